"""Folders and names of the node's files, without a word of the patient."""

import hashlib
import shutil
from pathlib import Path

RECEIVED, RESULTS, UPLOADS = "received", "results", "uploads"
_TEMPORARY = ".tmp"
MEGABYTE = 2**20


def hashed(uid: str) -> str:
    """What stands for a unique identifier in file names and log lines."""
    return hashlib.sha256(uid.encode()).hexdigest()[:20]


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
