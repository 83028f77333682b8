"""One segmentation of several: majority vote and STAPLE."""

from collections.abc import Sequence

import numpy as np

from medseg.errors import InputError


def vote(segmentations: Sequence[np.ndarray], values: Sequence[int]) -> np.ndarray:
    """How many of several label maps hold each value, float32 (*spatial, len(values)), as shares."""
    shares = np.zeros((*segmentations[0].shape, len(values)), np.float32)
    for labels in segmentations:
        for k, value in enumerate(values):
            shares[..., k] += labels == value
    return shares / len(segmentations)


def staple(
    segmentations: Sequence[np.ndarray], values: Sequence[int], iterations: int = 50, tolerance: float = 1e-5
) -> tuple[np.ndarray, np.ndarray]:
    """STAPLE of several classes: the hidden truth and how well each segmentation knows it (Warfield et al. 2004).

    Only the box around all that is not background is estimated, so that its size does not drown the structures.

    Args:
        segmentations: label maps of one shape.
        values: the label values, background first.
        iterations: of expectation and maximisation at most.
        tolerance: largest change of a performance parameter at which it has converged.

    Returns:
        Probabilities float32 (*spatial, K), and performance (J, K, K): of the J segmentations, the probability of
        writing value k' where the truth is k, as [j, k', k].

    Raises:
        InputError: for no segmentation, or other shapes.
    """
    if not len(segmentations):
        raise InputError("staple: no segmentations; expected at least one")
    if len({labels.shape for labels in segmentations}) > 1:
        raise InputError(f"staple: segmentations of shapes {[s.shape for s in segmentations]}, expected one")
    count = len(values)
    probabilities = vote(segmentations, values)
    performance = np.full((len(segmentations), count, count), 0.05 / max(1, count - 1))
    performance[:, range(count), range(count)] = 0.95
    box = _box(probabilities[..., 0] < 1)
    if box is None:
        return probabilities, performance
    inner = probabilities[box].reshape(-1, count)
    written = np.stack([np.searchsorted(values, labels[box].ravel()) for labels in segmentations])
    prior = inner.mean(axis=0, dtype=float)
    for _ in range(iterations):
        truth = _expected(written, performance, prior)
        updated = np.stack(
            [np.stack([truth[row == k].sum(axis=0) for k in range(count)]) for row in written]
        ) / np.maximum(truth.sum(axis=0), 1e-12)
        change = float(np.abs(updated - performance).max())
        performance = updated
        if change < tolerance:
            break
    probabilities[box] = _expected(written, performance, prior).reshape(probabilities[box].shape)
    return probabilities, performance


def _box(mask):
    """Slices around the True voxels of a mask, or None."""
    places = np.argwhere(mask)
    if not len(places):
        return None
    return tuple(slice(int(a), int(b) + 1) for a, b in zip(places.min(axis=0), places.max(axis=0), strict=True))


def _expected(written, performance, prior):
    """Probability of each class at each voxel (N, K), by logarithms, as products of many would vanish."""
    logs = np.log(np.maximum(prior, 1e-12)) + sum(
        np.log(np.maximum(table, 1e-12))[row] for row, table in zip(written, performance, strict=True)
    )
    logs -= logs.max(axis=-1, keepdims=True)
    truth = np.exp(logs)
    return truth / truth.sum(axis=-1, keepdims=True)
