"""A scan stored along other axes: the same voxels at the same places of the world."""

import itertools

import numpy as np

from imaging import Scan


def turns(rank):
    """Every (order, flips): the old axis of each new one, and whether the new one runs against it."""
    return [
        (order, flips)
        for order in itertools.permutations(range(rank))
        for flips in itertools.product((False, True), repeat=rank)
    ]


def turned(scan, order, flips):
    """The scan with its axes in another order, some of them reversed."""
    local = np.eye(4)
    local[: scan.rank, : scan.rank] = 0
    for new, (old, flip) in enumerate(zip(order, flips, strict=True)):
        local[old, new] = -1 if flip else 1
        local[old, 3] = scan.shape[old] - 1 if flip else 0
    voxels = scan.voxels.transpose(*order, scan.rank)[tuple(slice(None, None, -1 if flip else 1) for flip in flips)]
    return Scan(np.ascontiguousarray(voxels), scan.affine @ local)


def turned_back(voxels, order, flips):
    """Voxels (*spatial, C) of a scan that was turned, in the order of the scan that it was."""
    straight = voxels[tuple(slice(None, None, -1 if flip else 1) for flip in flips)]
    return straight.transpose(*np.argsort(order), voxels.ndim - 1)
