"""Scores of a patch by one network, or by several and over flips; and patches that need no network."""

import itertools
from collections.abc import Callable, Sequence

import numpy as np

from edge.runtime.runner import Runner


def patch_scores(
    runners: Sequence[Runner], mirror: Sequence[int] = (), regions: bool = False, variance: bool = False
) -> Callable[[np.ndarray], np.ndarray]:
    """A function from a patch to its scores.

    Args:
        runners: opened networks of the same patch and classes.
        mirror: average over all flips along these axes.
        regions: the channels are regions.
        variance: add a channel: the variance of the probabilities over flips and networks, summed over the channels.

    Returns:
        From float32 (*patch, C) to float32 (*patch, K), K + 1 with the variance: the logits of one network without
        flips, the mean logits of regions, else the mean of the probabilities, as ``zoo predict`` does for a run.
    """
    flips = [axes for count in range(len(mirror) + 1) for axes in itertools.combinations(mirror, count)]
    if len(runners) * len(flips) == 1:
        return runners[0].run

    def averaged(patch):
        scores, first, second = 0.0, 0.0, 0.0
        for axes in flips:
            flipped = np.ascontiguousarray(np.flip(patch, axes))
            for runner in runners:
                logits = np.flip(runner.run(flipped), axes)
                chances = sigmoid(logits) if regions else softmax(logits)
                scores = scores + (logits if regions else chances)
                if variance:
                    first, second = first + chances, second + np.square(chances)
        count = len(flips) * len(runners)
        mean = np.asarray(scores / count, np.float32)
        if not variance:
            return mean
        spread = np.maximum(second / count - np.square(first / count), 0).sum(axis=-1, keepdims=True)
        return np.concatenate([mean, spread.astype(np.float32)], axis=-1)

    return averaged


def reuse_constant(predict: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    """The same function, which computes a patch of one value, such as air that was clipped, once in a row.

    The answer of a network depends on its input only, so nothing changes but the time.
    """
    last: dict = {"value": None, "scores": None}

    def run(patch):
        value = patch[(0,) * (patch.ndim - 1)]
        if not np.array_equal(patch[(-1,) * (patch.ndim - 1)], value) or not (patch == value).all():
            return predict(patch)
        if last["value"] is None or not np.array_equal(last["value"], value):
            last["scores"] = predict(patch)
            last["value"] = value.copy()
        return last["scores"]

    return run


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities float32 of logits (..., K) of classes, summing to 1 over the last axis."""
    chances = np.exp(logits - logits.max(axis=-1, keepdims=True))
    chances /= chances.sum(axis=-1, keepdims=True)
    return chances


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Probabilities float32 of the logits of regions, each by itself."""
    return 0.5 * (1 + np.tanh(0.5 * logits))


def entropy(chances: np.ndarray, regions: bool = False) -> np.ndarray:
    """How undecided probabilities (..., K) are: 0 certain, 1 all alike; of regions the mean of those of each."""
    if regions:
        pairs = np.stack([chances, 1 - chances], axis=-1)
        return _entropy(pairs).mean(axis=-1)
    return _entropy(chances)


def _entropy(chances):
    terms = np.where(chances > 0, chances * np.log(np.maximum(chances, np.finfo(np.float32).tiny)), 0)
    return np.maximum(-terms.sum(axis=-1) / np.log(chances.shape[-1]), 0).astype(np.float32)
