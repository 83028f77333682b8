"""Watershed by steepest ascent: every voxel belongs to the peak that it climbs to, and shallow peaks join higher ones.

A peak is kept if one must go down from it by more than a depth before one can climb to a higher peak: the h-maxima of
Soille (Morphological Image Analysis, 2003), found as the persistence of peaks (ToMATo; Chazal et al., Journal of the
ACM 2013). Voxels are neighbours by face, edge or corner, in 2D and 3D.
"""

import itertools

import numpy as np

from medseg.errors import InputError


def flood(heights: np.ndarray, mask: np.ndarray, depth: float, relative: bool = False) -> np.ndarray:
    """Divide a mask among the peaks of a landscape.

    Args:
        heights: real numbers (*spatial), high inside of objects.
        mask: bool (*spatial); what lies outside belongs to no peak.
        depth: how far one must go down from a peak before a higher one is reached, for it to be an object of its own.
        relative: ``depth`` is a share of the peak's own height.

    Returns:
        int32 (*spatial): numbers of the objects from 1 in the order of their first voxels, 0 outside the mask. Each is
        connected.

    Raises:
        InputError: if the shapes differ.
    """
    heights, mask = np.asarray(heights, np.float32), np.asarray(mask, bool)
    if heights.shape != mask.shape:
        raise InputError(f"heights of shape {heights.shape}: the mask has {mask.shape}, expected the same")
    numbers = np.zeros(mask.shape, np.int32)
    places = np.flatnonzero(mask)
    if not len(places):
        return numbers
    values = heights.ravel()[places]
    order = np.argsort(values, kind="stable")  # of equal heights the later voxel is higher, so nothing is level
    ranks = np.zeros(mask.size, np.int32)
    ranks[places[order]] = np.arange(1, len(places) + 1)
    ranks = ranks.reshape(mask.shape)
    peaks = _climbed(ranks, order, places)
    tops = np.unique(peaks)
    basins = np.zeros(mask.shape, np.int32)
    basins[mask] = np.searchsorted(tops, peaks[ranks[mask] - 1]) + 1
    pairs, passes = _saddles(basins, heights)
    joined = _join(values[order][tops - 1], pairs, passes, depth, relative)
    _, first, inverse = np.unique(joined[basins[mask] - 1], return_index=True, return_inverse=True)
    renamed = np.empty(len(first), np.int32)
    renamed[np.argsort(first)] = np.arange(1, len(first) + 1)
    numbers[mask] = renamed[inverse.ravel()]
    return numbers


def _climbed(ranks, order, places):
    """For the voxel of each rank, from 1, the rank of the peak that it climbs to."""
    highest = ranks
    for axis in range(ranks.ndim):
        padded = np.pad(highest, [(1, 1) if a == axis else (0, 0) for a in range(ranks.ndim)])
        size = ranks.shape[axis]
        parts = [np.take(padded, np.arange(start, start + size), axis) for start in range(3)]
        highest = np.maximum(np.maximum(parts[0], parts[1]), parts[2])
    climbs = highest.ravel()[places[order]]
    while True:
        further = climbs[climbs - 1]
        if np.array_equal(further, climbs):
            return climbs
        climbs = further


def _saddles(basins, heights):
    """Pairs of basins (N, 2) that touch, from 1, and the height (N,) of the highest pass between them."""
    pairs, passes = [], []
    for step in itertools.product((-1, 0, 1), repeat=basins.ndim):
        if step <= (0,) * basins.ndim:  # each pair of neighbours once
            continue
        here = tuple(slice(max(0, -s), size - max(0, s)) for s, size in zip(step, basins.shape, strict=True))
        there = tuple(slice(max(0, s), size - max(0, -s)) for s, size in zip(step, basins.shape, strict=True))
        here_basin, there_basin = basins[here], basins[there]
        touching = (here_basin != there_basin) & (here_basin > 0) & (there_basin > 0)
        pairs.append(np.stack([here_basin[touching], there_basin[touching]], axis=-1))
        passes.append(np.minimum(heights[here][touching], heights[there][touching]))
    pairs, passes = np.sort(np.concatenate(pairs), axis=1), np.concatenate(passes)
    distinct, which = np.unique(pairs, axis=0, return_inverse=True)
    best = np.full(len(distinct), -np.inf, np.float32)
    np.maximum.at(best, which.ravel(), passes)
    return distinct, best


def _join(tops, pairs, passes, depth, relative):
    """For each basin the basin, from 0, whose peak it belongs to once shallow ones have joined higher ones."""
    root = list(range(len(tops)))

    def find(basin):
        while root[basin] != basin:
            root[basin] = root[root[basin]]
            basin = root[basin]
        return basin

    for number in np.argsort(-passes, kind="stable"):
        first, second = (find(basin - 1) for basin in pairs[number].tolist())
        low, high = sorted((first, second), key=lambda basin: (tops[basin], basin))
        if low != high and tops[low] - passes[number] < depth * (tops[low] if relative else 1):
            root[low] = high
    return np.array([find(basin) for basin in range(len(tops))])
