"""Control charts (Montgomery, Introduction to Statistical Quality Control): points, centre and limits."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

SIGMAS = 3.0
FEWEST = 3  # earlier points, below which there are no limits


@dataclass(frozen=True)
class Point:
    """A period.

    Attributes:
        t: its first day, ISO.
        value: of it.
        n: cases.
        spread: standard deviation of a single case, of means; 0 of shares.
    """

    t: str
    value: float
    n: int
    spread: float = 0.0


@dataclass(frozen=True)
class Chart:
    """A series with its limits for the last point, from those before it.

    Attributes:
        name, unit: what it is.
        points: oldest first.
        center, low, high: None where there are too few points before the last.
        alert: the last point lies beyond the limit that is bad.
    """

    name: str
    unit: str
    points: tuple[Point, ...]
    center: float | None
    low: float | None
    high: float | None
    alert: bool


def share_chart(name: str, points: Sequence[Point]) -> Chart:
    """A p chart: of shares, of which high ones are bad.

    The limits are p ± 3 sqrt(p (1 - p) / n), p that of all cases before the last point and n the cases of the last.
    """
    before, last = points[:-1], points[-1:]
    count = sum(point.n for point in before)
    if len(before) < FEWEST or not count:
        return Chart(name, "", tuple(points), None, None, None, False)
    center = sum(point.value * point.n for point in before) / count
    # Where nothing went wrong yet, half a case did: a rate of 0 would have limits without width.
    rate = min(max(center, 0.5 / count), 1 - 0.5 / count)
    margin = SIGMAS * math.sqrt(rate * (1 - rate) / last[0].n)
    high = min(1.0, center + margin)
    return Chart(name, "", tuple(points), center, max(0.0, center - margin), high, last[0].value > high)


def mean_chart(name: str, unit: str, points: Sequence[Point], bad: str = "low") -> Chart:
    """An x-bar chart: of means, with limits mean ± 3 s / sqrt(n).

    Args:
        name, unit: what it is.
        points: with their spread.
        bad: "low" or "high", the side that is an alert.
    """
    before, last = points[:-1], points[-1:]
    count = sum(point.n for point in before)
    if len(before) < FEWEST or count < 2 * FEWEST:
        return Chart(name, unit, tuple(points), None, None, None, False)
    center = sum(point.value * point.n for point in before) / count
    within = sum(point.n * point.spread**2 for point in before) / count
    between = sum(point.n * (point.value - center) ** 2 for point in before) / count
    margin = SIGMAS * math.sqrt((within + between) / last[0].n)
    low, high = center - margin, center + margin
    beyond = last[0].value < low if bad == "low" else last[0].value > high
    return Chart(name, unit, tuple(points), center, low, high, beyond and margin > 0)
