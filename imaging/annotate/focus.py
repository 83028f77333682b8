"""The part of a scan around strokes, and back."""

from dataclasses import replace

import numpy as np

from imaging.classical.seeds.strokes import Seeds
from imaging.geometry.affine import moved
from imaging.scan import Scan

_GROW = 0.25  # of the strokes' extent, on each side
_LEAST = 3  # voxels on each side


def focus(scan: Scan, seeds: Seeds) -> tuple[slice, ...]:
    """Slices of the box around all strokes, a quarter larger on each side."""
    places = np.argwhere(seeds.labels >= 0)
    corners = [places.min(axis=0), places.max(axis=0)] if len(places) else []
    if seeds.box is not None:
        corners += [np.array([s.start for s in seeds.box]), np.array([s.stop - 1 for s in seeds.box])]
    low, high = np.min(corners, axis=0), np.max(corners, axis=0)
    margin = np.maximum(np.ceil((high - low) * _GROW).astype(int), _LEAST)
    low, high = np.maximum(low - margin, 0), np.minimum(high + margin + 1, scan.shape)
    return tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))


def crop(scan: Scan, seeds: Seeds, box: tuple[slice, ...]) -> tuple[Scan, Seeds]:
    """Scan and seeds within a box."""
    start = [part.start for part in box]
    cut = Scan(scan.voxels[box], moved(scan.affine, start), has_spacing=scan.has_spacing)
    inner = seeds.box
    if inner is not None:
        inner = tuple(slice(s.start - a, s.stop - a) for s, a in zip(inner, start, strict=True))
    return cut, Seeds(seeds.labels[box], inner, seeds.box_label)


def pasted(scan: Scan, voxels: np.ndarray, box: tuple[slice, ...]) -> Scan:
    """Voxels (*box, 1) in the geometry of ``scan``, 0 elsewhere."""
    whole = np.zeros((*scan.shape, 1), voxels.dtype)
    whole[box] = voxels
    return replace(scan, voxels=whole)
