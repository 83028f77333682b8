"""One process at a time writes a file: the second is told so before it works for nothing."""

import contextlib
import hashlib
import importlib.util
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from medseg.errors import InputError


@contextlib.contextmanager
def claimed(path) -> Iterator[None]:
    """Hold the claim to write ``path`` while the block runs, among the processes of this user on this machine.

    The claim is a locked file in a folder of the user's own under the system's temporary folder; it ends with the
    process, however that ends. Where the system has no such locks (Windows) nothing is claimed.

    Args:
        path: the file that will be written; it need not exist.

    Raises:
        InputError: if another process holds the claim.
    """
    if importlib.util.find_spec("fcntl") is None:
        yield
        return
    import fcntl

    name = hashlib.sha256(os.fsencode(Path(path).resolve())).hexdigest()[:32]
    with open(_folder() / f"{name}.lock", "ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError(
                f"{path}: another process is writing it; wait for that one, or choose another place"
            ) from None
        yield


def _folder() -> Path:
    """The user's own folder for claims, which nobody else may write to."""
    folder = Path(tempfile.gettempdir()) / f"medseg-claims-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    owner = folder.lstat()
    if folder.is_symlink() or owner.st_uid != os.getuid():
        raise InputError(f"{folder}: belongs to another user; remove it, or set TMPDIR to a folder of your own")
    return folder
