"""Where a scan is bright and where dark, on a coarse grid: is it like those of the training, and the same way up?"""

import functools
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from imaging.scan import Scan
from medseg.errors import InputError

CELLS = {2: 16, 3: 8}  # along each axis, by the number of axes
_SAMPLES = {2: 8, 3: 4}  # along each axis of a cell
_STEP = 1 / 32  # of a stored mean and of a stored deviation
_FLOOR = 0.05  # added to the variance of a cell: no few cases make one cell outweigh all others


@dataclass(frozen=True)
class Layout:
    """Mean and deviation of each cell over the training scans, each scan with mean 0 and deviation 1 over its cells.

    Attributes:
        shape: cells along each axis.
        mean: signed bytes in hexadecimal, row by row, in steps of 1/32.
        deviation: unsigned bytes, likewise.
    """

    shape: tuple[int, ...]
    mean: str
    deviation: str


def cells_of(prepared: Scan) -> np.ndarray:
    """A scan on the coarse grid.

    Args:
        prepared: what the recipe made of it.

    Returns:
        float64 (*cells), mean 0 and deviation 1; all 0 of a scan without contrast.
    """
    count, samples = CELLS[prepared.rank], _SAMPLES[prepared.rank]
    places = [((np.arange(count * samples) + 0.5) * n / (count * samples)).astype(int) for n in prepared.shape]
    sampled = prepared.voxels[np.ix_(*places)].mean(axis=-1, dtype=np.float64)
    cells = sampled.reshape((count, samples) * prepared.rank).mean(axis=tuple(range(1, 2 * prepared.rank, 2)))
    cells -= cells.mean()
    deviation = cells.std()
    return cells / deviation if deviation > 0 else cells


def make_layout(cells: Sequence[np.ndarray]) -> Layout:
    """The layout of several scans.

    Args:
        cells: of each, as ``cells_of`` gives them; two or more.
    """
    mean, deviation = np.mean(cells, axis=0), np.std(cells, axis=0, ddof=1)
    return Layout(
        mean.shape,
        _text(np.clip(np.round(mean / _STEP), -128, 127).astype(np.int8)),
        _text(np.clip(np.round(deviation / _STEP), 0, 255).astype(np.uint8)),
    )


def layout_features(cells: np.ndarray, layout: Layout) -> dict[str, float]:
    """Likeness of a scan to those of the training.

    Args:
        cells: as ``cells_of`` gives them.
        layout: of the training.

    Returns:
        "likeness": correlation with the mean, cells weighted by the inverse of their variance, -1 to 1; "likeness over
        turned": by how much it exceeds the largest of all turned and mirrored copies, below 0 where one is more alike.
    """
    weight, weighted, spread = _turned(layout)
    flat = cells.ravel()
    variance = weight @ flat**2 - (weight @ flat) ** 2
    likeness = (weighted @ flat) / np.sqrt(np.maximum(variance * spread, 1e-12))
    return {"likeness": float(likeness[0]), "likeness over turned": float(likeness[0] - likeness[1:].max())}


def check_layout(layout: Layout, rank: int) -> None:
    """Require a layout that came from a file to make sense.

    Raises:
        InputError: naming the field that does not.
    """
    if layout.shape != (CELLS[rank],) * rank:
        raise InputError(f"training.layout.shape {list(layout.shape)[:8]}: expected {[CELLS[rank]] * rank}")
    for name in ("mean", "deviation"):
        try:
            count = len(bytes.fromhex(getattr(layout, name)))
        except ValueError:
            raise InputError(f"training.layout.{name}: is no hexadecimal text; export it again") from None
        if count != math.prod(layout.shape):
            raise InputError(
                f"training.layout.{name}: holds {count} bytes, expected {math.prod(layout.shape)}; export it again"
            )


@functools.lru_cache(maxsize=8)
def _turned(layout):
    """Weights, weighted deviations from the mean, and its variance: a row each way to turn the grid, as it is first.

    The layout is turned instead of the scan, in the opposite way: over all ways that is the same.
    """
    mean = _numbers(layout.mean, np.int8, layout.shape)
    weight = 1 / (_numbers(layout.deviation, np.uint8, layout.shape) ** 2 + _FLOOR)
    weight /= weight.sum()
    rank = len(layout.shape)
    ways = itertools.product(itertools.permutations(range(rank)), itertools.product((1, -1), repeat=rank))
    weights, means = [], []
    for order, signs in ways:
        flipped = tuple(slice(None, None, sign) for sign in signs)
        weights.append(weight.transpose(order)[flipped].ravel())
        means.append(mean.transpose(order)[flipped].ravel())
    weight, mean = np.array(weights), np.array(means)
    mean -= (weight * mean).sum(axis=1, keepdims=True)
    return weight, weight * mean, (weight * mean**2).sum(axis=1)


def _numbers(text, dtype, shape):
    return np.frombuffer(bytes.fromhex(text), dtype).reshape(shape) * _STEP


def _text(values) -> str:
    return values.tobytes().hex()
