"""How sure a mean over cases is: bootstrap by patient, and paired tests of two segmentations of the same cases."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medseg.errors import InputError

LEVEL = 0.95
DRAWS = 2000
SEED = 0


@dataclass(frozen=True)
class Interval:
    """A mean over cases and where it may lie.

    Attributes:
        mean: over the cases.
        low: lower end of the percentile interval; None of fewer than two patients.
        high: its upper end.
    """

    mean: float
    low: float | None = None
    high: float | None = None

    def __str__(self):
        ends = "" if self.low is None or self.high is None else f" ({self.low:.4f} to {self.high:.4f})"
        return f"{self.mean:.4f}{ends}"


@dataclass(frozen=True)
class Paired:
    """The second of two values of the same cases against the first.

    Attributes:
        difference: mean of second minus first, with its bootstrap interval.
        p: of Wilcoxon's signed-rank test, two-sided; 1 where no pair differs.
        better: pairs in which the second is larger.
        worse: pairs in which it is smaller.
        pairs: that were compared.
        left_out: pairs with an infinite value, such as the distance to an empty segmentation.
    """

    difference: Interval
    p: float
    better: int
    worse: int
    pairs: int
    left_out: int


def bootstrap_mean(values: Sequence[float], groups: Sequence, draws: int = DRAWS, seed: int = SEED) -> Interval:
    """The mean over cases and its 95 % percentile interval, patients drawn with replacement.

    A patient brings all of their cases (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, ch. 13): cases of
    one patient are alike, and drawn one by one they would look like more evidence than they are.

    Args:
        values: (N,) a number a case, at least one; infinite distances make ends infinite, nothing else.
        groups: (N,) the patient of each case.
        draws: number of bootstrap samples.
        seed: of the draws; the same seed gives the same interval.

    Raises:
        InputError: if there is no value, or as many groups as values are not given.
    """
    numbers = np.asarray(values, np.float64)
    if not len(numbers) or len(groups) != len(numbers):
        raise InputError(f"bootstrap: {len(numbers)} values in {len(groups)} groups; expected as many, at least one")
    mean = float(numbers.mean())
    _, members = np.unique(np.asarray([str(group) for group in groups]), return_inverse=True)
    count = int(members.max()) + 1
    if count < 2:
        return Interval(mean)
    sums, sizes = np.zeros(count), np.bincount(members).astype(np.float64)
    np.add.at(sums, members, numbers)
    drawn = np.random.default_rng(seed).integers(0, count, (draws, count))
    means = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    tail = 50 * (1 - LEVEL)
    # Between a finite and an infinite mean there is nothing to interpolate: the ends are means that were drawn.
    low, high = np.percentile(means, (tail, 100 - tail), method="inverted_cdf")
    return Interval(mean, float(low), float(high))


def compare_paired(first: Sequence[float], second: Sequence[float], groups: Sequence) -> Paired:
    """Compare two values of each case.

    Args:
        first: (N,) of the reference.
        second: (N,) of what is compared with it, of the same cases in the same order.
        groups: (N,) the patient of each case, for the interval of the difference.

    Raises:
        InputError: if lengths differ or no pair is finite.
    """
    pairs = np.array([first, second], np.float64)
    kept = np.asarray(np.isfinite(pairs).all(axis=0))
    if not kept.any():
        raise InputError(f"{len(kept)} pairs, none of them finite; expected one or more to compare")
    before, after = pairs[:, kept]
    difference = after - before
    interval = bootstrap_mean(difference, [group for group, keep in zip(groups, kept, strict=True) if keep])
    p = 1.0
    if difference.any():
        from scipy.stats import wilcoxon

        p = float(wilcoxon(difference).pvalue)
    left_out = int(np.count_nonzero(~kept))
    better, worse = int(np.count_nonzero(difference > 0)), int(np.count_nonzero(difference < 0))
    return Paired(interval, p, better, worse, int(kept.sum()), left_out)


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted for being several, by Holm's step-down method (Scandinavian Journal of Statistics, 1979)."""
    order = np.argsort(p_values)
    adjusted, largest = [0.0] * len(order), 0.0
    for rank, place in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * float(p_values[place])))
        adjusted[int(place)] = largest
    return adjusted
