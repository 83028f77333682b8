"""Which part of a tensor's values an 8-bit scale covers: all of them, all but outliers, or the part of least error."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from export.errors import FormatError

METHODS = ("minmax", "percentile", "mse")
BINS = 2048
SAMPLES = 2**19
PERCENTILE = 99.99
_SHARES = np.linspace(0.2, 1.0, 41)


@dataclass
class Histogram:
    """How often a tensor's values fall into equal bins between its extremes.

    Attributes:
        low: smallest value.
        high: largest value.
        counts: values in each bin.
    """

    low: float
    high: float
    counts: np.ndarray

    @classmethod
    def between(cls, low: float, high: float) -> "Histogram":
        """An empty one."""
        return cls(float(low), float(high), np.zeros(BINS, np.int64))

    def add(self, values: np.ndarray) -> None:
        """Count values; those beyond the extremes fall into the outermost bins."""
        width = (self.high - self.low) / BINS
        if width <= 0:
            return
        bins = ((values.ravel() - np.float32(self.low)) * np.float32(1 / width)).astype(np.int32)
        self.counts += np.bincount(np.clip(bins, 0, BINS - 1), minlength=BINS)

    @property
    def centres(self) -> np.ndarray:
        """The value in the middle of each bin."""
        return self.low + (np.arange(BINS) + 0.5) * (self.high - self.low) / BINS


class Observer:
    """Extremes of a tensor over all that it held, and a sample of it, gathered as a network runs.

    Args:
        runs: number of arrays that will come.
    """

    def __init__(self, runs: int):
        self.low, self.high = np.inf, -np.inf
        self._samples: list[np.ndarray] = []
        self._most = max(1, SAMPLES // runs)

    def add(self, values: np.ndarray) -> None:
        """Take in what the tensor holds in one run."""
        sample = values.reshape(-1)[:: self.step(values.size)].copy()
        self.take(float(values.min()), float(values.max()), sample)

    def step(self, size: int) -> int:
        """Every how many values one is sampled; odd, so that every channel is: their number is even or small."""
        return (size // self._most) | 1

    def take(self, low: float, high: float, sample: np.ndarray) -> None:
        """Take in extremes and sample of an array that stays elsewhere."""
        self.low, self.high = min(self.low, low), max(self.high, high)
        self._samples.append(sample)

    def histogram(self) -> Histogram:
        """Of the sample, between the extremes of all."""
        histogram = Histogram.between(self.low, self.high)
        for sample in self._samples:
            histogram.add(sample)
        return histogram


def check_method(method: str) -> None:
    """Require a calibration method.

    Raises:
        FormatError: for another.
    """
    if method not in ("auto", *METHODS):
        raise FormatError(f"calibration {method!r} is unknown: expected one of auto, {', '.join(METHODS)}")


def cover(histogram: Histogram, method: str, levels: int = 256) -> tuple[float, float]:
    """The range that the scale of a tensor covers; zero is in it, since padding must be exact.

    Args:
        histogram: of the tensor on calibration patches.
        method: "minmax" covers every value, "percentile" leaves out 0.01 % at each end, "mse" is the range with the
            least mean squared error of rounding and clipping together.
        levels: number of values that the integer type has.
    """
    low, high = min(histogram.low, 0.0), max(histogram.high, 0.0)
    if method == "minmax" or not histogram.counts.any():
        return low, high
    if method == "percentile":
        share = np.cumsum(histogram.counts) / histogram.counts.sum()
        edges = np.linspace(histogram.low, histogram.high, BINS + 1)
        tail = 1 - PERCENTILE / 100
        return (
            min(float(edges[np.searchsorted(share, tail, side="right")]), 0.0),
            max(float(edges[np.searchsorted(share, 1 - tail, side="left") + 1]), 0.0),
        )
    ends = {(low * a, high * b) for a, b in _shrunk(low, high)}
    return min(sorted(ends, key=lambda pair: pair[0] - pair[1]), key=lambda pair: error(histogram, *pair, levels))


def _shrunk(low, high):
    """Shares of both ends tried: together, and each alone."""
    yield from ((s, s) for s in _SHARES)
    if low < 0 < high:
        yield from ((s, 1.0) for s in _SHARES)
        yield from ((1.0, s) for s in _SHARES)


def error(histogram: Histogram, low: float, high: float, levels: int = 256) -> float:
    """Mean squared error of storing the values as integers that cover ``low`` to ``high``."""
    step = (high - low) / (levels - 1)
    if step <= 0:
        return float(np.average(histogram.centres**2, weights=histogram.counts))
    x = histogram.centres
    beyond = x - np.clip(x, low, high)
    # A bin is often wider than a step, so within the range the error is that of values spread evenly over a step;
    # zero is stored exactly, and a rectified tensor is full of it.
    rounding = np.where((beyond == 0) & ~_zero(histogram), step**2 / 12, 0.0)
    return float(np.average(beyond**2 + rounding, weights=histogram.counts))


def _zero(histogram):
    width = (histogram.high - histogram.low) / BINS
    return np.abs(histogram.centres) <= width / 2


def carried(ranges: dict[str, tuple[float, float]], moves: Iterable[tuple[list[str], list[str]]]) -> dict:
    """Ranges with those of moved values added: what only moves keeps its scale, so that it is moved as integers.

    What is joined with values of a wider range takes that, too, if it begins where that begins and is at least half as
    wide: joining then copies bytes, for at most one bit. A range that begins elsewhere has another zero point, on which
    a fused ReLU depends.

    Args:
        ranges: by tensor name.
        moves: (inputs, outputs) of each operator that only moves values, in the order of execution.
    """
    reach, moves, before = dict(ranges), list(moves), None
    while reach != before:
        before = dict(reach)
        for inputs, outputs in moves:
            known = [reach[name] for name in (*inputs, *outputs) if name in reach]
            if known:
                low, high = min(low for low, _ in known), max(high for _, high in known)
                alike = [
                    n for n in inputs if n in reach and reach[n][0] == low and high - low <= 2 * (reach[n][1] - low)
                ]
                reach |= dict.fromkeys([*alike, *outputs], (low, high))
    return reach
