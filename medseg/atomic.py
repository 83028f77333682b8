"""Files written whole or not at all."""

import contextlib
import os
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
