"""Labels that clients send: read, put on the page's grid and checked before anything is kept."""

import gzip
import os
import tempfile
from pathlib import Path

import numpy as np

from imaging.io.files import read_labels
from imaging.io.nifti import nifti_bytes
from imaging.labels import Label
from imaging.measure.overlap import dice
from imaging.scan import Scan
from medseg.errors import InputError
from review.volumes.page_grid import as_page, on_page
from review.volumes.quick import quick_labels

_FASTEST = 1  # of gzip: label maps shrink to next to nothing at any level


def parse_labels(content: bytes, grid: Scan, labels: tuple[Label, ...], incoming) -> Scan:
    """The labels in a file's bytes.

    Args:
        content: NIfTI, gzipped or not, or NRRD.
        grid: of the scan that they must lie on.
        labels: classes that may occur.
        incoming: folder for the file while it is read.

    Returns:
        (i, j, k, 1) on the page's grid.

    Raises:
        InputError: if the bytes are damaged, lie on another grid, or hold a value that is no class.
    """
    page = quick_labels(content, on_page(grid))
    if page is None:
        page = as_page(read_label_bytes(content, incoming), grid, "the label")
    check_values(page.voxels, labels)
    return page


def read_label_bytes(content: bytes, incoming) -> Scan:
    """The label map in a file's bytes, as it lies there.

    Args:
        content: NIfTI, gzipped or not, or NRRD.
        incoming: folder for the file while it is read.

    Raises:
        InputError: if the bytes are damaged, or hold no label map.
    """
    Path(incoming).mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(suffix=_suffix(content), dir=incoming)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        return read_labels(name)
    except InputError as error:
        raise InputError(str(error).replace(name, "the label")) from None
    finally:
        os.unlink(name)


def check_values(voxels: np.ndarray, labels: tuple[Label, ...]) -> None:
    """Require every value to be that of a class.

    Raises:
        InputError: naming the values that are none, and those that are.
    """
    known_values = {label.value for label in labels}
    if voxels.dtype == np.uint8:  # bytes sort themselves out quicker than arrays
        allowed = bytes(value for value in known_values if 0 <= value < 256)
        values = sorted(set(voxels.tobytes(order="A").translate(None, allowed)))
    else:
        values = np.unique(voxels).tolist()
    strange = [value for value in values if value not in known_values]
    if strange:
        known = ", ".join(f"{label.value} ({label.name})" for label in labels)
        raise InputError(f"the label holds values {', '.join(map(str, strange[:8]))}; expected {known}")


def label_bytes(labels: Scan) -> bytes:
    """Labels on the page's grid as a gzipped NIfTI file."""
    return gzip.compress(nifti_bytes(labels, compressed=False), compresslevel=_FASTEST, mtime=0)


def compare(before: np.ndarray, after: np.ndarray, labels: tuple[Label, ...]) -> tuple[int, dict[str, float]]:
    """Voxels that differ, and the Dice of each class but the background.

    Args:
        before, after: label values of one shape.
        labels: classes, background first.
    """
    changed = int(np.count_nonzero(before != after))
    if not changed:
        return 0, {label.name: 1.0 for label in labels[1:]}
    return changed, {label.name: dice(before == label.value, after == label.value) for label in labels[1:]}


def _suffix(content):
    return ".nrrd" if content[:4] == b"NRRD" else ".nii.gz" if content[:2] == b"\x1f\x8b" else ".nii"
