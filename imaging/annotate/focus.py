"""The part of a scan around strokes, and back."""

from dataclasses import replace

import numpy as np

from imaging.classical.seeds.drawing import Seeds
from imaging.geometry.affine import moved
from imaging.scan import Scan

_GROW = 0.25  # of the strokes' extent, on sides where the background is marked
_LEAST = 3  # voxels on each side


def focus(scan: Scan, seeds: Seeds) -> tuple[slice, ...]:
    """Slices of the box around all strokes and what they may stand for.

    On a side where strokes of the background, or a box, lie beyond those of the structures, it is a quarter of the
    strokes' extent larger. On the others nothing says where the structures end: there it is larger by the largest
    extent along any axis, the less so the more strokes show how large the structures are.
    """
    spacing = np.asarray(scan.spacing)
    low, high = _extent(seeds, seeds.labels >= 0)
    bounds = _extent(seeds, seeds.labels == 0)
    structures = np.argwhere(seeds.labels > 0)
    closed = np.ceil((high - low) * _GROW)
    margins = []
    for side in (-1, 1):
        margin = closed
        if len(structures):
            ends = structures.min(axis=0) if side < 0 else structures.max(axis=0)
            is_open = True if bounds is None else side * (bounds[(side + 1) // 2] - ends) <= 0
            margin = np.where(is_open, np.maximum(closed, np.ceil(_unknown(seeds, high - low, spacing))), closed)
        margins.append(np.maximum(margin, _LEAST).astype(int))
    low, high = np.maximum(low - margins[0], 0), np.minimum(high + margins[1] + 1, scan.shape)
    return tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))


def _unknown(seeds, extent, spacing):
    """How many voxels along each axis structures may go on beyond their strokes: with one point, the whole extent."""
    from scipy.ndimage import label

    widest = float((extent * spacing).max())
    marked = seeds.labels > 0
    places = np.argwhere(marked)
    length = float(((places.max(axis=0) - places.min(axis=0)) * spacing).max())
    count = label(marked)[1]
    return widest / max(count, 1 + 4 * length / max(widest, 1e-6)) / spacing


def _extent(seeds, mask):
    """Smallest and largest index of a mask's voxels and of the box, or None where there is neither."""
    places = np.argwhere(mask)
    corners = [places.min(axis=0), places.max(axis=0)] if len(places) else []
    if seeds.box is not None:
        corners += [np.array([s.start for s in seeds.box]), np.array([s.stop - 1 for s in seeds.box])]
    return (np.min(corners, axis=0), np.max(corners, axis=0)) if corners else None


def crop(scan: Scan, seeds: Seeds, box: tuple[slice, ...]) -> tuple[Scan, Seeds]:
    """Scan and seeds within a box."""
    start = [part.start for part in box]
    cut = Scan(scan.voxels[box], moved(scan.affine, start), has_spacing=scan.has_spacing, axes=scan.axes)
    inner = seeds.box
    if inner is not None:
        inner = tuple(slice(s.start - a, s.stop - a) for s, a in zip(inner, start, strict=True))
    return cut, Seeds(seeds.labels[box], inner, seeds.box_label)


def pasted(scan: Scan, voxels: np.ndarray, box: tuple[slice, ...]) -> Scan:
    """Voxels (*box, 1) in the geometry of ``scan``, 0 elsewhere."""
    whole = np.zeros((*scan.shape, 1), voxels.dtype)
    whole[box] = voxels
    return replace(scan, voxels=whole)
