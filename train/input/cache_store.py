"""Housekeeping of the cache of preprocessed scans: what lies there, what is in use, what goes.

These are patients' data. The folder is for the user alone, holds the tag by which backups leave caches out
(https://bford.info/cachedir), and is kept to a limit; only folders that look as this package writes them are removed.
"""

import contextlib
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from medseg.byte_sizes import parse_size
from medseg.errors import UsageError

try:
    import fcntl
except ImportError:  # a system without locks: nothing is removed unasked there
    fcntl = None

LIMIT_VARIABLE, DEFAULT_LIMIT = "MEDSEG_CACHE_LIMIT", "50GB"
TAG = "CACHEDIR.TAG"
TAG_TEXT = "Signature: 8a477f597d28d172789f06886806bc55\n# Scans as medseg-zoo prepared them: zoo cache --help\n"
FILES = {"image.npy", "label.npy", "positions.npy", "offsets.npy", "labelled.npy", "prior.npy"}
ABANDONED_S = 3600.0  # after which a case that is not finished is of a process that was killed
_ENTRY = re.compile(r"[0-9a-f]{32}")
_UNFINISHED = re.compile(r"\.[0-9a-f]{32}\..*\.tmp")
_held = []  # handles of files that are locked until this process ends


@dataclass(frozen=True)
class Entry:
    """A preprocessed case.

    Attributes:
        folder: its place.
        size: bytes.
        used: when it was last used, seconds of the epoch.
        finished: False for what a process is writing, or left when it was killed.
    """

    folder: Path
    size: int
    used: float
    finished: bool = True


def cache_limit() -> int:
    """The bytes that the cache may hold: ``MEDSEG_CACHE_LIMIT`` ("20GB"), 50 GB where it is not set.

    Raises:
        UsageError: if the variable holds no size.
    """
    try:
        return parse_size(os.environ.get(LIMIT_VARIABLE) or DEFAULT_LIMIT)
    except UsageError as error:
        raise UsageError(f"{LIMIT_VARIABLE}: {error}") from None


def open_store(root: Path) -> bool:
    """Make the folder of a cache, for this user only, and mark it.

    Returns:
        Whether it was new.

    Raises:
        OSError: if it cannot be made.
    """
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        with open(root / TAG, "x", encoding="utf-8") as tag:
            tag.write(TAG_TEXT)
    except FileExistsError:
        return False
    return True


def entries(root: Path) -> list[Entry]:
    """What a cache holds, last used first; nothing that was not written by this package."""
    stored = []
    for folder in root.iterdir() if root.is_dir() else ():
        finished = bool(_ENTRY.fullmatch(folder.name))
        if not (finished or _UNFINISHED.fullmatch(folder.name)) or folder.is_symlink() or not folder.is_dir():
            continue
        with contextlib.suppress(FileNotFoundError):  # another process has removed or finished it
            files = list(folder.iterdir())
            if {file.name for file in files} <= FILES:
                size = sum(file.stat().st_size for file in files)
                stored.append(Entry(folder, size, folder.stat().st_mtime, finished))
    return sorted(stored, key=lambda entry: -entry.used)


def clear(root: Path, older_than_s: float | None = None) -> list[Entry]:
    """Remove what is not in use.

    Args:
        root: the cache.
        older_than_s: only what was not used for so many seconds.

    Returns:
        What was removed.
    """
    kept, now = in_use(root), time.time()
    chosen = [
        entry
        for entry in entries(root)
        if entry.folder.name not in kept
        and entry.used <= now - (older_than_s or 0.0)
        and (entry.finished or _is_abandoned(entry, now))
    ]
    return _removed(chosen)


def hold(root: Path, keys: Collection[str]) -> None:
    """Keep entries from being removed by another process as long as this one lives.

    Raises:
        OSError: if that cannot be noted.
    """
    if fcntl is None:
        return
    handle, name = tempfile.mkstemp(prefix=".hold.", dir=root)
    _held.append(handle)
    fcntl.flock(handle, fcntl.LOCK_EX)  # before others can see it
    os.write(handle, json.dumps(sorted(keys)).encode())
    os.replace(name, root / f".use.{Path(name).name.removeprefix('.hold.')}")


def in_use(root: Path) -> set[str]:
    """The keys that living processes hold; what dead ones held is forgotten."""
    keys = set()
    for path in root.glob(".use.*") if fcntl is not None else ():
        with contextlib.suppress(FileNotFoundError), open(path, encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:  # its process lives
                keys |= set(json.load(file))
            else:
                path.unlink()
    return keys


def tidy(root: Path) -> list[Entry]:
    """Remove what killed processes left unfinished and, beyond the limit, what was not used for longest.

    Returns:
        What was removed.

    Raises:
        UsageError: if the limit is no size.
    """
    limit = cache_limit()
    stored, kept, now = entries(root), in_use(root), time.time()
    chosen = [entry for entry in stored if _is_abandoned(entry, now)]
    total = 0
    for entry in (entry for entry in stored if entry.finished):
        total += entry.size
        if total > limit and entry.folder.name not in kept and fcntl is not None:
            chosen.append(entry)
            total -= entry.size
    return _removed(chosen)


def _is_abandoned(entry, now):
    return not entry.finished and entry.used < now - ABANDONED_S


def _removed(chosen):
    gone = []
    for entry in chosen:
        shutil.rmtree(entry.folder, ignore_errors=True)
        if not entry.folder.exists():
            gone.append(entry)
    return gone
