"""Files and folders written whole or not at all."""

import contextlib
import ctypes
import os
import shutil
import tempfile
from pathlib import Path
from typing import BinaryIO

from medseg.errors import InputError

# AT_FDCWD and RENAME_EXCHANGE of Linux.
_HERE = -100
_EXCHANGE = 2


def write_bytes(path, data: bytes) -> None:
    """Write ``data`` to ``path`` by a temporary name in the same folder and a rename; missing folders are made.

    Raises:
        InputError: if the place cannot be written; nothing is left under either name.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(data)
        os.replace(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):  # where the folder is not one, there is nothing to remove
            temporary.unlink(missing_ok=True)
        raise InputError(f"{path}: cannot be written ({error.strerror}); choose a folder that can") from None


@contextlib.contextmanager
def moved_into_place(path):
    """A temporary path beside ``path``, of the same ending, for a writer that takes a name.

    What it wrote is moved to ``path`` at the end; after an error nothing of it is left.

    Yields:
        The temporary path.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def temporary_folder(target):
    """A temporary folder beside ``target``, whose own folder is made; what is left of it in the end is removed.

    Yields:
        Its path; whoever moves it into place, see ``replace_folder``, leaves nothing to remove.

    Raises:
        OSError: if it cannot be made.
    """
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent))
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def replace_folder(temporary, target) -> None:
    """Move a finished folder into place; a folder that stands there is removed once the new one stands.

    Where the system can exchange two names at once (Linux) there is no moment without either. Elsewhere the old folder
    gets another name first, and its own again if the new one cannot be moved.

    Args:
        temporary: the finished folder, beside ``target``.
        target: where it goes; what is there must be the caller's to replace.

    Raises:
        OSError: if a move fails; the old folder then stands where it stood. Were even that to fail, the message says
            where it lies.
    """
    temporary, target = Path(temporary), Path(target)
    if not target.exists():
        os.replace(temporary, target)
    elif exchange(temporary, target):
        shutil.rmtree(temporary, ignore_errors=True)
    else:
        _move_aside(temporary, target)


def _move_aside(temporary, target):
    old = target.with_name(f"{target.name}.before-{os.getpid()}")
    os.replace(target, old)
    try:
        os.replace(temporary, target)
    except BaseException:
        try:
            os.replace(old, target)
        except OSError as error:
            raise OSError(error.errno, f"{error.strerror}; what was there is {old} now") from None
        raise
    shutil.rmtree(old, ignore_errors=True)


def exchange(first, second) -> bool:
    """Exchange two names of one file system in a single step (``renameat2`` of Linux).

    Returns:
        Whether it was done; False where the system or the file system cannot.
    """
    renameat2 = None
    with contextlib.suppress(OSError, AttributeError):  # no such C library, or none with this call
        renameat2 = ctypes.CDLL(None).renameat2
    if renameat2 is None:
        return False
    return renameat2(_HERE, os.fsencode(first), _HERE, os.fsencode(second), _EXCHANGE) == 0


def check_writable(folder, named) -> None:
    """Require that files can be written to ``folder``, or where it would be made; nothing is left there.

    Args:
        folder: the folder.
        named: what the user called it by, for the message.

    Raises:
        InputError: if they cannot.
    """
    place = Path(folder).absolute()
    while not os.path.lexists(place):
        place = place.parent
    if not place.is_dir():
        raise InputError(f"{named}: cannot be written, {place} is not a folder; choose another place")
    if not os.access(place, os.W_OK | os.X_OK):
        raise InputError(f"{named}: cannot be written, {place} may not be written to; choose another place")


def write_durably(path, content: bytes | BinaryIO) -> None:
    """Write ``content`` to ``path`` whole or not at all, and return only once it would survive the loss of power.

    Args:
        path: where to; missing folders are made.
        content: bytes, or a file that holds them.

    Raises:
        OSError: if the place cannot be written, or the disk is full; nothing is left under either name.
    """
    path = Path(path)
    if not path.parent.is_dir():
        path.parent.mkdir(parents=True, exist_ok=True)
        _sync_folder(path.parent.parent)
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            if isinstance(content, bytes):
                file.write(content)
            else:
                shutil.copyfileobj(content, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder):
    """Make the names in a folder durable, where the system lets a folder be opened."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_files(folder, target) -> None:
    """Move the files of a temporary folder beside ``target``, the one of its name last: it names the others.

    Args:
        folder: holds the finished files, one of them called as ``target``.
        target: where that one goes.

    Raises:
        InputError: if another of the files stands there already while ``target`` does not: it belongs to somebody else.
        OSError: if a move fails.
    """
    target = Path(target)
    companions = [path for path in sorted(Path(folder).iterdir()) if path.name != target.name]
    if not target.exists():
        for path in companions:
            if target.with_name(path.name).exists():
                raise InputError(
                    f"{target}: would replace {target.with_name(path.name)}, which does not belong to it; choose "
                    "another name"
                )
    for path in (*companions, Path(folder) / target.name):
        os.replace(path, target.with_name(path.name))
