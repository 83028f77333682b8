"""Files of the node: durable before they are spoken of, and named without a word of the patient."""

import contextlib
import hashlib
import os
import shutil
from pathlib import Path
from typing import BinaryIO

RECEIVED, RESULTS, UPLOADS = "received", "results", "uploads"
_TEMPORARY = ".tmp"
MEGABYTE = 2**20


def hashed(uid: str) -> str:
    """What stands for a unique identifier in file names and log lines."""
    return hashlib.sha256(uid.encode()).hexdigest()[:20]


def write_durably(path: Path, content: bytes | BinaryIO) -> None:
    """Write a file whole or not at all; when this returns it outlives a loss of power.

    Args:
        path: where to; missing folders are made.
        content: bytes, or a file that holds them.

    Raises:
        OSError: if it cannot be written; nothing is left under either name.
    """
    _make(path.parent)
    temporary = path.with_name(path.name + _TEMPORARY)
    try:
        with open(temporary, "wb") as file:
            if isinstance(content, bytes):
                file.write(content)
            else:
                shutil.copyfileobj(content, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    _sync(path.parent)


def prepare_folder(folder: Path) -> None:
    """Make the node's folders, for nobody but its user, and remove what a killed node left half-written.

    Raises:
        OSError: if they cannot be made.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name in (RECEIVED, RESULTS, UPLOADS):
        (folder / name).mkdir(exist_ok=True, mode=0o700)
        for path in (folder / name).rglob(f"*{_TEMPORARY}"):
            path.unlink(missing_ok=True)


def has_room(folder: Path, size: int, free_mb: int) -> bool:
    """Whether ``free_mb`` stay free on the disk after so many bytes more."""
    return shutil.disk_usage(folder).free - size >= free_mb * MEGABYTE


def remove_tree(path: Path) -> None:
    """Remove a folder of ours; it does not matter if it is gone already."""
    shutil.rmtree(path, ignore_errors=True)


def _make(folder):
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _sync(folder.parent)


def _sync(folder):
    """Make the entries of a folder durable; Windows has no such call."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
