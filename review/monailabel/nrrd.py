"""Scans as NRRD files in memory; ITK's LPS world in the file, our RAS outside it."""

import os
import tempfile
from pathlib import Path

from imaging.io.files import write
from imaging.scan import Scan


def nrrd_bytes(scan: Scan, folder) -> bytes:
    """A scan as an NRRD file.

    Args:
        scan: what.
        folder: for the file while it is made.
    """
    Path(folder).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as place:
        path = os.path.join(place, "label.nrrd")
        write(path, scan)
        return Path(path).read_bytes()
