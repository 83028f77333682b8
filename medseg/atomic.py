"""Files and folders written whole or not at all."""

import contextlib
import os
import shutil
from pathlib import Path

from medseg.errors import InputError


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


def replace_folder(temporary, target) -> None:
    """Move a finished folder into place; a folder that stands there is removed once the new one stands.

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
        return
    old = target.with_name(f"{target.name}.before-{os.getpid()}")
    os.replace(target, old)
    try:
        os.replace(temporary, target)
    except OSError:
        try:
            os.replace(old, target)
        except OSError as error:
            raise OSError(error.errno, f"{error.strerror}; what was there is {old} now") from None
        raise
    shutil.rmtree(old, ignore_errors=True)
