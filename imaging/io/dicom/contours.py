"""Masks as outlines and back: the borders of pixels, so that every pixel's centre keeps its side."""

from collections import defaultdict

import numpy as np


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
    turns = np.zeros((shape[0], shape[1] + 1), np.int64)
    for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        low, high = sorted((y0, y1))
        rows = np.arange(max(0, int(np.ceil(low))), min(shape[0], int(np.ceil(high))))
        if not len(rows):
            continue
        crossing = x0 + (rows - y0) * (x1 - x0) / (y1 - y0)
        turns[rows, np.clip(np.ceil(crossing), 0, shape[1]).astype(np.int64)] += 1
    return (np.cumsum(turns, axis=1)[:, :-1] % 2).astype(bool)


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
