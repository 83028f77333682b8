"""A large scan through a network that takes a fixed patch: tiles that overlap, blended with Gaussian weights."""

import itertools
import math
from collections.abc import Callable, Iterator

import numpy as np

from imaging.prior import Prior, one_hot
from imaging.slices import images
from medseg.errors import InputError

# Deviation of the Gaussian as a share of the patch (Isensee et al. 2021, nnU-Net, doi:10.1038/s41592-020-01008-z).
SIGMA = 0.125


def tiles(shape, patch, overlap: float) -> list[tuple[slice, ...]]:
    """Where the patches of a scan lie: as few as the overlap allows, evenly spread, every voxel covered.

    Args:
        shape: spatial shape of the scan, at least ``patch`` along every axis.
        patch: spatial shape of a patch.
        overlap: share of a patch that neighbours overlap by at least, 0 to 0.9.

    Returns:
        Slices per spatial axis, first axis slowest.

    Raises:
        InputError: for a scan smaller than the patch (``pad_to`` mends that), or an overlap out of range.
    """
    return [
        tuple(slice(s, s + p) for s, p in zip(start, patch, strict=True))
        for start in itertools.product(*starts(shape, patch, overlap))
    ]


def starts(shape, patch, overlap: float) -> list[list[int]]:
    """First index of every tile along each axis; arguments and errors as for ``tiles``."""
    if not 0 <= overlap <= 0.9:
        raise InputError(f"overlap {overlap}: expected 0 to 0.9")
    if len(shape) != len(patch) or any(n < p or p < 1 for n, p in zip(shape, patch, strict=True)):
        raise InputError(f"scan of shape {tuple(shape)} is smaller than the patch {tuple(patch)}; pad it first")
    positions = []
    for n, p in zip(shape, patch, strict=True):
        step = max(1, math.floor(p * (1 - overlap)))
        count = math.ceil((n - p) / step) + 1
        positions.append([round(i * (n - p) / max(1, count - 1)) for i in range(count)])
    return positions


def gaussian_weights(length: int) -> np.ndarray:
    """How much a voxel of a patch counts by its place along one axis; its weight is the product over the axes.

    Args:
        length: of the patch along the axis, voxels.

    Returns:
        float64 (length,): a Gaussian, 1 at the centre, an eighth of the length its deviation.
    """
    return np.exp(-0.5 * ((np.arange(length) - (length - 1) / 2) / (SIGMA * length)) ** 2)


def pad_to(voxels: np.ndarray, patch) -> tuple[np.ndarray, tuple[slice, ...]]:
    """Surround a scan with zeros, the same on both sides, so that it is at least as large as a patch.

    Args:
        voxels: (*spatial, C).
        patch: spatial shape.

    Returns:
        The padded voxels (the same array if none was needed) and the slices that cut the scan out again.
    """
    before = [max(0, p - n) // 2 for n, p in zip(voxels.shape, patch, strict=False)]
    inner = tuple(slice(b, b + n) for b, n in zip(before, voxels.shape, strict=False))
    full = tuple(max(n, p) for n, p in zip(voxels.shape, patch, strict=False))
    if full == voxels.shape[:-1]:
        return voxels, inner
    padded = np.zeros((*full, voxels.shape[-1]), voxels.dtype)
    padded[inner] = voxels
    return padded, inner


def predict_tiled(
    voxels: np.ndarray, patch, overlap: float, predict, progress=None, slices: int = 0, prior: Prior | None = None
) -> np.ndarray:
    """Run ``predict`` over overlapping patches and blend what it returns.

    Weights are Gaussian and sum to 1 at every voxel. A scan smaller than the patch is padded with zeros on both sides
    and cut back; a scan that fits one patch is not blended at all.

    Args:
        voxels: (*spatial, C).
        patch: spatial shape that ``predict`` takes.
        overlap: share of a patch that neighbours overlap by, 0 to 0.9.
        predict: function of contiguous float32 (*patch, C) to (*patch, K).
        progress: called after each tile with the number of tiles done and of all; None for no calls.
        slices: of the recipe; where it is not 0, ``voxels`` are a volume and ``patch`` and ``predict`` are of a 2D
            network that takes so many slices as channels (``imaging.slices``).
        prior: what an earlier network found at the same voxels, which follows the channels of each patch; or None.

    Returns:
        float32 (*spatial, K).

    Raises:
        InputError: if the patch does not fit the scan's axes or ``predict`` returns another spatial shape.
    """
    total = None
    for start, scores in predict_slabs(voxels, patch, overlap, predict, progress, slices, prior):
        if len(scores) == len(voxels):
            return scores
        if total is None:
            total = np.empty((*voxels.shape[:-1], scores.shape[-1]), np.float32)
        total[start : start + len(scores)] = scores
    return total


def padded_blocks(voxels: np.ndarray, patch, prior: Prior | None = None) -> tuple[Callable, tuple[int, ...], tuple]:
    """A scan that is at least as large as the patch, read block by block with the channels of a cascade.

    Args:
        voxels: (*spatial, C).
        patch: spatial shape.
        prior: as for ``predict_tiled``; its channels are only made of the blocks that are read.

    Returns:
        A function from a place (slices per axis) to (*block, channels), the padded spatial shape, and the slices of the
        scan in it.
    """
    padded, inner = pad_to(voxels, patch)
    if prior is None:
        return padded.__getitem__, padded.shape[:-1], inner
    classes = pad_to(prior.classes[..., None], patch)[0][..., 0]

    def block(place):
        return np.concatenate([padded[place], one_hot(classes[place], prior.channels)], axis=-1)

    return block, padded.shape[:-1], inner


def predict_slabs(
    voxels: np.ndarray, patch, overlap: float, predict, progress=None, slices: int = 0, prior: Prior | None = None
) -> Iterator[tuple[int, np.ndarray]]:
    """``predict_tiled`` slab by slab along the first axis, holding the scores of no more slices than a patch has.

    Tiles run with the first axis slowest, so that slices before the next tiles' start are complete.

    Args:
        voxels, patch, overlap, predict, progress, slices, prior: as for ``predict_tiled``.

    Yields:
        Index of the first slice, and float32 (slices, *rest, K), which the next step overwrites. The slabs follow each
        other without gaps; their values are those of ``predict_tiled``, bit for bit.

    Raises:
        InputError: as ``predict_tiled``.
    """
    patch = tuple(int(p) for p in patch)
    rank = len(patch) + bool(slices)
    if voxels.ndim != rank + 1:
        raise InputError(f"voxels of shape {voxels.shape}: expected {rank} spatial axes and a channel axis")
    if slices:
        yield from _predict_slices(voxels, patch, overlap, predict, progress, slices)
        return
    block, shape, inner = padded_blocks(voxels, patch, prior)
    shares = [_shares(n, p, first) for n, p, first in zip(shape, patch, starts(shape, patch, overlap), strict=True)]
    count = math.prod(len(axis) for axis in shares)
    if count == 1:
        scores = _run(predict, block(...), patch)
        if progress is not None:
            progress(1, 1)
        yield 0, scores[inner]
        return
    first, *others = shares
    following = [start for start, _ in first[1:]] + [shape[0]]
    window, number = None, 0
    for (start, share), stop in zip(first, following, strict=True):
        for tile in itertools.product(*others):
            place = tuple(slice(s, s + p) for (s, _), p in zip(tile, patch[1:], strict=True))
            scores = _run(predict, block((slice(start, start + patch[0]), *place)), patch)
            weight = share
            for _, along in tile:
                weight = weight[..., None] * along
            if window is None:
                window = np.zeros((patch[0], *shape[1:], scores.shape[-1]), np.float32)
            window[(slice(None), *place)] += scores * weight[..., None]
            number += 1
            if progress is not None:
                progress(number, count)
        rows = slice(0, stop - start) if len(first) > 1 else inner[0]
        yield start, window[(rows, *inner[1:])]
        _shift(window, stop - start)


def _predict_slices(voxels, patch, overlap, predict, progress, slices):
    """Slice by slice: each is an image of its own to the network."""
    count = len(voxels)

    def tile_progress(index):
        return progress and (lambda done, tiles: progress(index * tiles + done, count * tiles))

    for index, image in enumerate(images(voxels, slices)):
        yield index, predict_tiled(image, patch, overlap, predict, tile_progress(index))[None]


def _shift(window, by):
    """Move the slices of a window ``by`` towards its start and zero those that follow, one at a time."""
    for place in range(len(window)):
        window[place] = window[place + by] if place + by < len(window) else 0


def _shares(n, p, first):
    """Along one axis: (start, float32 (p,) weight) of each tile, weights summing to 1 at every index.

    The tiles form a grid and the Gaussian is a product over axes, so sums over tiles are products of these.
    """
    total = np.zeros(n)
    for start in first:
        total[start : start + p] += gaussian_weights(p)
    return [(start, (gaussian_weights(p) / total[start : start + p]).astype(np.float32)) for start in first]


def _run(predict, block, patch):
    scores = np.asarray(predict(np.ascontiguousarray(block, np.float32)), np.float32)
    if scores.ndim != len(patch) + 1 or scores.shape[:-1] != patch:
        raise InputError(f"the network returned shape {scores.shape}; expected {patch} and a class axis")
    return scores
