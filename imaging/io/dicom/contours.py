"""Masks as outlines and back: the borders of pixels, so that every pixel's centre keeps its side."""

from collections import defaultdict

import numpy as np

_CROSSINGS = 2**18  # of edges and rows at a time
_STEPS_A_ROW = 8  # a crossing takes about as long as so many pixels


def outlines(mask: np.ndarray) -> list[np.ndarray]:
    """The outlines of a flat mask along the borders of its pixels.

    A part with holes is one outline with a channel of no width to each hole (DICOM's keyhole, PS3.3 C.8.8.6.3), so an
    outline is a simple polygon for every reader.

    Args:
        mask: bool (rows, columns).

    Returns:
        A float array (points, 2) for each part of 4-connected pixels: column and row, where whole numbers are centres
        of pixels and so borders lie at halves.
    """
    loops = [_corners(loop) for loop in _loops(np.asarray(mask, bool))]
    areas = [_area(loop) for loop in loops]
    outer = [index for index, area in enumerate(areas) if area > 0]
    holes = defaultdict(list)
    for index, area in enumerate(areas):
        if area < 0:
            # Half a step into the hole from its first edge, which no outline runs along.
            inside = [o for o in outer if areas[o] > -area and _contains(loops[o], _beside(loops[index]))]
            holes[min(inside, key=lambda o: areas[o])].append(loops[index])
    return [_with_holes(loops[index], holes[index]) - 0.5 for index in outer]


def fill(polygon: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The pixels whose centres lie in a polygon, by the even-odd rule.

    Args:
        polygon: (points, 2), column and row, closed by itself.
        shape: rows and columns.

    Returns:
        bool (rows, columns).
    """
    (left, right), (first, last) = _reach(polygon, shape)
    turns = np.zeros((last - first, right - left + 1), np.uint32)
    for edges, rows in _crossed(*_rows_of(polygon, shape)):
        x0, y0 = polygon[edges].T
        x1, y1 = polygon[(edges + 1) % len(polygon)].T
        columns = np.clip(np.ceil(x0 + (rows - y0) * (x1 - x0) / (y1 - y0)), left, right).astype(np.int64)
        np.add.at(turns.ravel(), (rows - first) * turns.shape[1] + columns - left, 1)
    filled = np.zeros(shape, bool)
    filled[first:last, left:right] = np.bitwise_xor.accumulate((turns & 1).astype(bool), axis=1)[:, :-1]
    return filled


def filling_work(polygon: np.ndarray, shape: tuple[int, int]) -> int:
    """About how many steps ``fill`` takes: pixels around the polygon, and rows that its edges cross.

    Args:
        polygon, shape: as for ``fill``.
    """
    (left, right), (first, last) = _reach(polygon, shape)
    return (right - left) * (last - first) + _STEPS_A_ROW * int(_rows_of(polygon, shape)[1].sum())


def _reach(polygon, shape):
    """First and last column, and row, exclusive, of the pixels that a polygon may hold."""
    low, high = np.ceil(polygon.min(axis=0)), np.ceil(polygon.max(axis=0))
    ends = np.clip([low, high], 0, [shape[1], shape[0]]).astype(np.int64)
    return ends[:, 0].tolist(), ends[:, 1].tolist()


def _rows_of(polygon, shape):
    """The first row whose centre each edge crosses, and how many it crosses."""
    here, there = polygon[:, 1], np.roll(polygon[:, 1], -1)
    ends = np.clip(np.ceil([np.minimum(here, there), np.maximum(here, there)]), 0, shape[0]).astype(np.int64)
    return ends[0], ends[1] - ends[0]


def _crossed(begins, counts):
    """Edges and rows of all crossings, some hundred thousand at a time."""
    ends = np.cumsum(counts)
    start, total = 0, len(counts)
    while start < total:
        before = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + _CROSSINGS, "right")))
        edges = np.repeat(np.arange(start, stop), counts[start:stop])
        offsets = np.arange(len(edges)) - np.repeat(ends[start:stop] - counts[start:stop] - before, counts[start:stop])
        yield edges, begins[edges] + offsets
        start = stop


def _loops(mask):
    """Closed runs of corners, (column, row) from 0, with the mask on the right hand as a viewer shows it."""
    padded = np.pad(mask, 1)
    inner = padded[1:-1, 1:-1]
    steps = defaultdict(list)
    sides = (
        (padded[:-2, 1:-1], (0, 0), (1, 0)),
        (padded[1:-1, 2:], (1, 0), (1, 1)),
        (padded[2:, 1:-1], (1, 1), (0, 1)),
        (padded[1:-1, :-2], (0, 1), (0, 0)),
    )
    for neighbour, start, end in sides:
        for row, column in np.argwhere(inner & ~neighbour).tolist():
            steps[column + start[0], row + start[1]].append((column + end[0], row + end[1]))
    while steps:
        first = next(iter(steps))
        loop, here, direction = [first], first, None
        while True:
            ends = steps[here]
            following = _right_turn(here, direction, ends)
            ends.remove(following)
            if not ends:
                del steps[here]
            direction, here = (following[0] - here[0], following[1] - here[1]), following
            if here == first:
                break
            loop.append(here)
        yield loop


def _right_turn(here, direction, ends):
    """Where two pixels touch at a corner, the step that stays with the pixel that the loop came along."""
    if len(ends) == 1 or direction is None:
        return ends[0]
    right = (here[0] - direction[1], here[1] + direction[0])
    return right if right in ends else ends[0]


def _corners(loop):
    """The loop without the points on its straight runs."""
    points = np.array(loop, float)
    before, after = points - np.roll(points, 1, axis=0), np.roll(points, -1, axis=0) - points
    return points[before[:, 0] * after[:, 1] != before[:, 1] * after[:, 0]]


def _area(loop):
    x, y = loop.T
    return float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)) / 2)


def _beside(loop):
    """A point just inside a hole: its loop has the mask on the right, so the hole lies on the left."""
    step = (loop[1] - loop[0]) / np.abs(loop[1] - loop[0]).max()
    return loop[0] + step / 2 + np.array([step[1], -step[0]]) / 2


def _contains(loop, point):
    x, y = loop.T
    next_x, next_y = np.roll(x, -1), np.roll(y, -1)
    crosses = (y <= point[1]) != (next_y <= point[1])
    with np.errstate(divide="ignore", invalid="ignore"):
        at = x + (point[1] - y) * (next_x - x) / (next_y - y)
    return bool(np.count_nonzero(crosses & (at > point[0])) % 2)


def _with_holes(outer, holes):
    joined = outer
    for hole in sorted(holes, key=lambda loop: loop[:, 0].min()):
        distances = ((joined[:, None] - hole[None]) ** 2).sum(-1)
        at, to = np.unravel_index(int(distances.argmin()), distances.shape)
        around = np.concatenate([hole[to:], hole[: to + 1]])
        joined = np.concatenate([joined[: at + 1], around, joined[at:]])
    return joined
