"""Surfaces as elements between voxels with an area each, as the package surface-distance and MONAI define them.

Every block of 2 x 2 x 2 voxel centres (in 2D 2 x 2) that is neither full nor empty holds a piece of the surface, at the
block's centre. Its area is that of the triangles of marching cubes (Lorensen and Cline 1987, doi:10.1145/37402.37422).
Nikolov et al. 2018, arXiv:1809.04430, whose table of areas this equals.
"""

import itertools
from functools import cache

import numpy as np

# Normals of the triangles in a block, their length being the area, in eighths and without their signs, which areas do
# not need. The key is the set of full corners, corner k having the bits of k as its coordinates. All other blocks are
# one of these turned, mirrored or with full and empty exchanged.
_TRIANGLES = {
    0b00000001: [(1, 1, 1)],
    0b00000011: [(2, 2, 0)] * 2,
    0b00000110: [(1, 1, 1)] * 2,
    0b00011000: [(1, 1, 1)] * 2,
    0b00000111: [(1, 1, 1), (2, 2, 2), (4, 0, 0)],
    0b00010110: [(1, 1, 1)] * 3,
    0b00011001: [(0, 2, 2)] * 2 + [(1, 1, 1)],
    0b00001111: [(4, 0, 0)] * 2,
    0b00010111: [(1, 1, 1)] * 2 + [(2, 2, 2)] * 2,
    0b00011011: [(0, 2, 2), (1, 1, 1), (2, 0, 2), (3, 3, 3)],
    0b00011110: [(1, 1, 1)] * 2 + [(2, 2, 2), (4, 0, 0)],
    0b00111100: [(2, 2, 0)] * 4,
    0b01101001: [(1, 1, 1)] * 4,
}


def elements(mask: np.ndarray, spacing) -> tuple[np.ndarray, np.ndarray]:
    """The surface of a mask; outside of the array nothing is in it.

    Args:
        mask: bool, 2 or 3 axes.
        spacing: voxel size in mm per axis.

    Returns:
        (N, rank) positions in mm of the elements, and (N,) their areas in mm² (in 2D lengths in mm).
    """
    rank = mask.ndim
    box = []
    for axis in range(rank):
        hit = np.flatnonzero(mask.any(axis=tuple(a for a in range(rank) if a != axis)))
        if not len(hit):
            return np.zeros((0, rank)), np.zeros(0)
        box.append(slice(int(hit[0]), int(hit[-1]) + 1))
    padded = np.pad(mask[tuple(box)], 1).astype(np.uint8)
    code = np.zeros([size - 1 for size in padded.shape], np.uint8)
    for number, corner in enumerate(itertools.product((0, 1), repeat=rank)):
        block = tuple(slice(c, c + size) for c, size in zip(corner, code.shape, strict=True))
        code |= padded[block] << np.uint8(number)
    places = np.argwhere((code != 0) & (code != 2 ** (2**rank) - 1))
    sizes = _areas(tuple(float(s) for s in spacing))
    start = np.array([b.start for b in box]) - 0.5
    return (places + start) * np.asarray(spacing, float), sizes[code[tuple(places.T)]]


@cache
def _areas(spacing: tuple[float, ...]) -> np.ndarray:
    """Area in each kind of block, by the number that its full corners make."""
    return _lengths(spacing) if len(spacing) == 2 else _triangle_areas(spacing)


def _lengths(spacing):
    """A corner cut off is half a diagonal, a side is an edge; two opposite corners are two cut off."""
    diagonal = float(np.hypot(*spacing)) / 2
    lengths = np.zeros(16)
    for code in range(1, 15):
        full = [tuple(corner) for k, corner in enumerate(itertools.product((0, 1), repeat=2)) if code >> k & 1]
        if len(full) != 2:
            lengths[code] = diagonal
        elif full[0][0] == full[1][0]:
            lengths[code] = spacing[1]
        else:
            lengths[code] = spacing[0] if full[0][1] == full[1][1] else 2 * diagonal
    return lengths


def _triangle_areas(spacing):
    # A normal along an axis has the area of the two other sides.
    faces = np.array([spacing[1] * spacing[2], spacing[0] * spacing[2], spacing[0] * spacing[1]])
    corners = list(itertools.product((0, 1), repeat=3))
    areas = np.full(256, np.nan)
    areas[[0, 255]] = 0
    for code, normals in _TRIANGLES.items():
        full = np.array([corners[k] for k in range(8) if code >> k & 1])
        for axes in itertools.permutations(range(3)):
            area = np.linalg.norm(np.array(normals)[:, axes] / 8 * faces, axis=1).sum()
            for flips in corners:
                moved = full[:, axes] ^ np.array(flips)
                turned = sum(1 << corners.index(tuple(corner)) for corner in moved.tolist())
                areas[[turned, 255 - turned]] = area
    return areas
