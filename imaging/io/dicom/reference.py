"""Which paths stand for DICOM, and ``place#part``: one series of a place, or a segmentation with its values."""

from pathlib import Path

from imaging.io.dicom.dataset import HEAD, looks_like_dicom
from medseg.untrusted import open_regular

SUFFIXES = (".dcm", ".dicom", ".ima")
ZIP = ".zip"


def is_dicom(path) -> bool:
    """Whether a path is to be read as DICOM: a folder, a zip, a DICOMDIR, a file named or beginning as one.

    Args:
        path: of anything, with ``#part`` at its end or without.
    """
    place, _ = split_reference(path)
    if not isinstance(place, str | Path):
        return False
    place = Path(place)
    name = place.name.lower()
    if place.is_dir() or name.endswith(SUFFIXES):
        return True
    if not place.is_file():
        return False
    if name.endswith(ZIP) or name == "dicomdir":
        return True
    try:
        with open_regular(place) as file:
            head = file.read(HEAD)
    except OSError:
        return False
    return head[128:132] == b"DICM" or (not place.suffix and looks_like_dicom(head))


def is_there(path) -> bool:
    """Whether what a path names exists: a scan's file, or the place of a DICOM series."""
    place, _ = split_reference(path)
    return Path(place).exists()


def dicom_reference(place, part: str) -> Path:
    """The path that names a part of a place, ``folder#1.2.840...`` for a series; ``part`` holds no separator."""
    return Path(f"{place}#{part}")


def split_reference(path):
    """The place and the part of a reference; a file or folder of that very name goes before."""
    if not isinstance(path, str | Path):
        return path, None
    place, mark, part = str(path).rpartition("#")
    if not mark or Path(path).exists() or not Path(place).exists():
        return path, None
    return Path(place), part
