"""How a flat scan lies: as the rows and columns of a picture, by its affine in the patient, or nobody knows."""

from dataclasses import replace

import numpy as np

from imaging.geometry.orientation import Turn, turned
from imaging.scan import Scan
from medseg.errors import InputError

# What ``Scan.axes`` says; "" for a scan that no file tells of, whose affine counts.
PICTURE, PATIENT, UNKNOWN = "picture", "patient", "unknown"
# What ``Recipe.orientation`` says of flat scans: rows and columns; or as stored, in files that do not say how they lie.
STORED = "stored"
FLAT = (PICTURE, STORED)


def axes_in_header(affine: np.ndarray, rank: int, coded: bool = True) -> str:
    """What a header of a format that places voxels in the patient says of the axes of a scan, for ``Scan.axes``.

    An affine of nothing but voxel sizes is what programs write that know no place, for rows and columns, too.

    Args:
        affine: (4, 4), as read.
        rank: spatial axes.
        coded: whether the header says at all that its affine means something.

    Returns:
        ``PATIENT`` or ``UNKNOWN``; "" of a volume, whose affine always counts.
    """
    if rank != 2:
        return ""
    is_placed = coded and (not _is_diagonal(affine) or bool(affine[:3, 3].any()))
    return PATIENT if is_placed else UNKNOWN


def axes_of(scan: Scan) -> str:
    """Which of ``PICTURE``, ``PATIENT`` and ``UNKNOWN`` a flat scan is.

    One that no file tells of is a picture where its affine turns nothing.
    """
    return scan.axes or (PICTURE if _is_diagonal(scan.affine) else PATIENT)


def as_picture(scan: Scan) -> Scan:
    """A flat scan that lies in the patient as rows and columns; any other as it is.

    As in DICOM's own planes, rows run down to the patient's back or feet, and columns to the left or the back.

    Args:
        scan: 2D or 3D.

    Returns:
        The scan, whose voxels are a view of the given ones; each keeps its value and place.
    """
    from nibabel.orientations import io_orientation

    if scan.rank != 2 or axes_of(scan) != PATIENT:
        return scan
    nearest = io_orientation(np.asarray(scan.affine, float)[:, [0, 1, 3]])
    order = (1, 0) if nearest[0, 0] < nearest[1, 0] else (0, 1)
    return turned(scan, Turn(order, tuple(bool(nearest[axis, 1] > 0) for axis in order)))


def drawn(scan: Scan, *maps: np.ndarray) -> list[np.ndarray]:
    """A flat scan and maps on its grid as rows and columns, to be drawn.

    Args:
        scan: 2D.
        maps: (*spatial) each.

    Returns:
        Voxels (rows, columns, C), and each map (rows, columns); views of the given ones.
    """
    return [as_picture(scan).voxels, *(as_picture(replace(scan, voxels=m[..., None])).voxels[..., 0] for m in maps)]


def oriented(scan: Scan, orientation: str) -> Scan:
    """A flat scan as a recipe wants it.

    Args:
        scan: 2D, as read.
        orientation: of the recipe, one of ``FLAT``.

    Raises:
        InputError: if it is not known whether it lies like those that the recipe was made for.
    """
    axes = axes_of(scan)
    if orientation == PICTURE and axes == UNKNOWN:
        raise InputError(
            f"scan of shape {scan.shape}: its header does not say which way its axes run, expected rows and columns; "
            "save it as .png or .tif, or write its place in the patient into the header"
        )
    if orientation == STORED and scan.axes in (PICTURE, PATIENT):
        raise InputError(
            f"scan of shape {scan.shape}: expected a header that does not say which way the axes run, as those of all "
            "training scans; convert it as they were, or train again on files that say it"
        )
    return as_picture(scan) if orientation == PICTURE else scan


def _is_diagonal(affine):
    """Whether an affine scales two axes, and turns and flips none."""
    sizes = np.diag(affine)[:2]
    return bool((sizes > 0).all()) and np.array_equal(affine[:3, :2], np.diag([*sizes, 1.0])[:, :2])
