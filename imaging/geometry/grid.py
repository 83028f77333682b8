"""Whether two scans lie on one voxel grid, whatever way their axes run."""

from dataclasses import replace

import numpy as np

from imaging.geometry.affine import index_map
from imaging.scan import Scan
from medseg.errors import InputError

# Headers store affines in float32, and files of one patient written by different tools differ a little more; beyond
# this share of a voxel they are different grids.
SAME_GRID = 0.1


def grid_distance(first: Scan, second: Scan) -> tuple[float, float]:
    """How far apart the corner voxels of two scans of equal shape lie at most: in voxels of the first, and in mm."""
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in first.shape], indexing="ij")).reshape(first.rank, -1)
    matrix, offset = index_map(first.affine, second.affine, first.rank)
    apart = matrix @ corners + offset[:, None] - corners
    return float(np.abs(apart).max()), float(np.linalg.norm(first.affine[:3, : first.rank] @ apart, axis=0).max())


def align(scan: Scan, like: Scan, name, like_name) -> Scan:
    """A scan with its axes flipped and permuted to the grid of another; no voxel changes its value or place.

    A label map may be stored in another order than its image (LPS beside RAS) and still mark the same places.

    Args:
        scan: (*spatial, C).
        like: the scan that gives the grid; channels may differ.
        name: what to call ``scan`` in the message, a file name for example.
        like_name: what to call ``like``.

    Returns:
        ``scan`` on the grid of ``like``, its voxels a view.

    Raises:
        InputError: if the shapes differ, or a corner lies more than a tenth of a voxel apart; the message holds the
            distance in millimetres.
    """
    turned = _turned(scan, like)
    if turned is None or turned.shape != like.shape:
        raise InputError(
            f"{name}: shape {scan.shape}, but {like_name} has shape {like.shape}; both must lie on one voxel grid, "
            + _mend(scan, like)
        )
    voxels, millimetres = grid_distance(like, turned)
    if not voxels <= SAME_GRID:  # NaN is no grid either
        raise InputError(
            f"{name}: lies up to {millimetres:.3g} mm ({voxels:.3g} voxels) away from {like_name}, expected at most "
            f"{SAME_GRID} voxels; resample one onto the other, or correct the affine in its header"
        )
    return replace(like, voxels=turned.voxels)


def _mend(scan, like):
    pictures = not scan.has_spacing and not like.has_spacing
    if pictures and scan.shape == like.shape[::-1]:
        return "pictures are turned as their orientation tag (EXIF) says, give both the same tag or remove it from both"
    return "resample one onto the other"


def _turned(scan, like):
    """The scan with the axis order and directions that are nearest to those of ``like``; None if there is no order."""
    if scan.rank != like.rank:
        return None
    matrix, _ = index_map(scan.affine, like.affine, like.rank)
    axes = [int(axis) for axis in np.abs(matrix).argmax(axis=0)]
    if len(set(axes)) != len(axes):
        return scan
    signs = [1 if matrix[axis, column] >= 0 else -1 for column, axis in enumerate(axes)]
    if axes == list(range(scan.rank)) and min(signs) > 0:
        return scan
    change = np.eye(4)
    change[: scan.rank, : scan.rank] = 0
    for column, (axis, sign) in enumerate(zip(axes, signs, strict=True)):
        change[axis, column] = sign
        change[axis, 3] = 0 if sign > 0 else scan.shape[axis] - 1
    voxels = scan.voxels.transpose(*axes, scan.rank)[tuple(slice(None, None, sign) for sign in signs)]
    return Scan(voxels, scan.affine @ change)
