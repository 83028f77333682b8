"""Seeds on the coarser grid that a method works on, as class indices."""

import numpy as np

from imaging.classical.seeds.drawing import Seeds
from imaging.geometry.affine import index_map
from imaging.scan import Scan
from medseg.errors import InputError


def markers_on(coarse: Scan, scan: Scan, seeds: Seeds, minimum: int = 2) -> tuple[np.ndarray, tuple[int, ...]]:
    """Seeds as class indices on the grid of ``coarse``.

    Where seeds of several labels fall on one coarse voxel, it gets the label that has most of them there (of equals
    the smaller).

    Args:
        coarse: a scan on the grid to mark.
        scan: the scan that the seeds lie on.
        seeds: on its grid. A box without background seeds makes all that lies outside it background.
        minimum: labels that there must be, the background with them.

    Returns:
        int32 (*coarse.shape), class index or -1; and the label value of each class, ascending.

    Raises:
        InputError: if there are fewer labels.
    """
    values = seeds.values
    if seeds.box is not None and 0 not in values:
        values = (0, *values)
    if len(values) < minimum:
        raise InputError(
            f"seeds: only label {', '.join(map(str, values))} is marked; expected seeds of at least {minimum}, such "
            "as 0 for the background and 1 for the structure"
        )
    places = np.argwhere(seeds.labels >= 0)
    labels = seeds.labels[tuple(places.T)]
    matrix, offset = index_map(coarse.affine, scan.affine, scan.rank)
    inside = np.clip(np.rint(places @ matrix.T + offset).astype(int), 0, np.array(coarse.shape) - 1)
    votes = np.zeros((*coarse.shape, len(values)), np.uint32)
    np.add.at(votes, (*inside.T, np.searchsorted(values, labels)), 1)
    markers = np.where(votes.any(axis=-1), votes.argmax(axis=-1), -1).astype(np.int32)
    if seeds.box is not None:
        markers[~coarse_box(coarse, scan, seeds.box) & (markers < 0)] = 0
    return markers, values


def coarse_box(coarse: Scan, scan: Scan, box: tuple[slice, ...]) -> np.ndarray:
    """Bool (*coarse.shape): voxels of the coarse grid whose centre lies in a box of the scan's grid."""
    matrix, offset = index_map(scan.affine, coarse.affine, scan.rank)
    mask = np.zeros(coarse.shape, bool)
    ranges = []
    for axis, part in enumerate(box):
        position = matrix[axis, axis] * np.arange(coarse.shape[axis]) + offset[axis]
        ranges.append((position >= part.start - 0.5) & (position <= part.stop - 0.5))
    mask[np.ix_(*ranges)] = True
    return mask
