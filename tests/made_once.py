"""A folder that is made once for all processes of pytest-xdist."""

import fcntl
import os
from pathlib import Path


def made_once(tmp_path_factory, name: str, make) -> Path:
    """The folder ``name`` that the first process to ask has ``make(folder)`` fill; tests must not change it."""
    base = tmp_path_factory.getbasetemp()
    root = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder = root / name
    with open(root / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the others wait
        if not folder.exists():
            making = tmp_path_factory.mktemp(name)
            make(making)
            making.rename(folder)
    return folder
