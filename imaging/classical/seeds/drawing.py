"""Strokes drawn on the grid of a scan: the seeds that methods start from."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from imaging.classical.seeds.strokes import MOST_LABEL, MOST_POINTS, Stroke
from imaging.geometry.orientation import Turn, canonical
from imaging.scan import Scan
from medseg.errors import InputError, UsageError

MOST_WIDENED = 1_000_000_000  # voxels of the boxes around strokes that have a radius
_TIE = 1e-6  # voxels, that rounding moves a place between two voxels by


@dataclass(frozen=True)
class Seeds:
    """Strokes on the grid of a scan.

    Attributes:
        labels: int32 (*spatial), label value where a stroke lies, -1 elsewhere.
        box: slices of the part that boxes leave, or None where there is no box.
        box_label: label of the boxes; 0 where there is none.
    """

    labels: np.ndarray
    box: tuple[slice, ...] | None = None
    box_label: int = 0

    @property
    def values(self) -> tuple[int, ...]:
        """Label values, ascending, that of the boxes with them; 0, the background, only if it was drawn."""
        drawn = set(np.unique(self.labels[self.labels >= 0]).tolist())
        return tuple(sorted(drawn | ({self.box_label} - {0})))

    def turned(self, turn: Turn) -> "Seeds":
        """The same seeds on a grid whose axes were turned."""
        box = None if self.box is None else turn.of_slices(self.box, self.labels.shape)
        return Seeds(turn.of(self.labels), box, self.box_label)


def seeds_on(scan: Scan, strokes: Sequence[Stroke]) -> Seeds:
    """Draw strokes on the grid of a scan.

    Raises:
        InputError: if there is none, one lies outside the scan, two labels meet on a voxel, a seed lies outside the
            box, or boxes have several labels.
        UsageError: for points with other axes than the scan.
    """
    if not strokes:
        raise InputError("no strokes; expected at least one point, box or scribble")
    labels = np.full(scan.shape, -1, np.int32)
    boxes = [(i, stroke) for i, stroke in enumerate(strokes) if stroke.kind == "box"]
    spent = 0, 0
    for i, stroke in enumerate(strokes):
        if stroke.kind != "box":
            points = _indices(stroke, scan, i)
            spent = _affordable(stroke, points, scan, spent)
            _draw(labels, stroke, points, scan, f"strokes[{i}]")
    box, box_label = _box(boxes, scan) if boxes else (None, 0)
    if box is not None:
        outside = np.ones(scan.shape, bool)
        outside[box] = False
        if (labels[outside] > 0).any():
            raise InputError("strokes: a structure is marked outside the box; enlarge the box or leave it out")
    return Seeds(labels, box, box_label)


def as_seeds(scan: Scan, given) -> Seeds:
    """Seeds from strokes, from a label array (*spatial) where -1 is unmarked, or from Seeds.

    Raises:
        InputError: if they do not fit the scan.
    """
    if isinstance(given, Seeds):
        seeds = given
    elif isinstance(given, np.ndarray):
        if given.dtype.kind not in "iub":
            raise InputError(f"seeds of type {given.dtype}: expected whole numbers, -1 where nothing is marked")
        low, high = (int(given.min()), int(given.max())) if given.size else (-1, -1)
        if low < -1 or high > MOST_LABEL:
            raise InputError(
                f"seeds: values {low} to {high}, expected labels from 0 to {MOST_LABEL} and -1 where nothing is marked"
            )
        seeds = Seeds(given.astype(np.int32))
    else:
        seeds = seeds_on(scan, tuple(given))
    if seeds.labels.shape != scan.shape:
        raise InputError(f"seeds of shape {seeds.labels.shape}: expected that of the scan, {scan.shape}")
    if not seeds.values:
        raise InputError("seeds: nothing is marked; expected label values where seeds lie and -1 elsewhere")
    return seeds


def _indices(stroke, scan, number):
    """Voxel indices (N, rank) of a stroke's points, real numbers."""
    points = np.array(stroke.points, float)
    if stroke.space == "world":
        if points.shape[1] == 2:
            points = np.pad(points, ((0, 0), (0, 1)))
        if scan.rank == 3 and len(stroke.points[0]) == 2:
            raise UsageError(f"strokes[{number}]: 2 world coordinates for a 3D scan; expected 3")
        local = np.linalg.solve(scan.affine, np.pad(points, ((0, 0), (0, 1)), constant_values=1).T).T
        points = local[:, : scan.rank]
    elif points.shape[1] != scan.rank:
        raise UsageError(f"strokes[{number}]: {points.shape[1]} voxel coordinates, expected {scan.rank} for this scan")
    outside = ~((points >= -0.5) & (points <= np.array(scan.shape) - 0.5)).all(axis=1)
    if outside.any():
        given = stroke.points[int(np.argmax(outside))]
        raise InputError(
            f"strokes[{number}]: ({', '.join(f'{value:g}' for value in given)}) lies outside the scan of shape "
            f"{scan.shape}; expected a place within (is its space {stroke.space}?)"
        )
    return points


def _box(boxes, scan):
    values = {stroke.label for _, stroke in boxes}
    if len(values) > 1:
        raise InputError(f"strokes: boxes of labels {', '.join(map(str, sorted(values)))}; expected one label")
    corners = []
    for i, stroke in boxes:
        if stroke.space == "voxel":
            corners.append(_indices(stroke, scan, i))
            continue
        # A box of the world may lie askew on the grid: all of its corners count.
        low, high = np.min(stroke.points, axis=0), np.max(stroke.points, axis=0)
        every = np.stack(np.meshgrid(*zip(low, high, strict=True), indexing="ij"), -1).reshape(-1, len(low))
        whole = Stroke("box", stroke.label, tuple(map(tuple, every.tolist())), "world")
        corners.append(_indices(whole, scan, i))
    corners = _nearest(np.concatenate(corners), scan)
    low, high = corners.min(axis=0), corners.max(axis=0)
    limit = np.array(scan.shape) - 1
    return tuple(
        slice(int(a), int(b) + 1) for a, b in zip(np.clip(low, 0, limit), np.clip(high, 0, limit), strict=True)
    ), values.pop()


def _affordable(stroke, points, scan, spent):
    """Voxels along scribbles and in the boxes of wide strokes so far; few bytes of JSON can ask for any number."""
    along, widened = spent
    if stroke.kind == "scribble":
        along += int(_steps(points).sum()) // 2
    if stroke.radius_mm:
        low, high = _reach(points, scan.shape, scan.spacing, stroke.radius_mm)
        widened += math.prod((high - low).tolist())
    if along > MOST_POINTS or widened > MOST_WIDENED:
        raise InputError(
            f"strokes: scribbles over {along} voxels and radii over {widened}, expected at most {MOST_POINTS} and "
            f"{MOST_WIDENED}; draw fewer or thinner ones"
        )
    return along, widened


def _nearest(points, scan):
    """The voxels (N, rank) that points lie in; of two that they lie between, the further one along the world's axes.

    That way the order and direction in which a scan stores its axes does not move a seed.
    """
    _, turn = canonical(scan)
    against = np.zeros(scan.rank, bool)
    against[list(turn.order)] = turn.flipped
    return np.where(against, np.ceil(points - 0.5 - _TIE), np.floor(points + 0.5 + _TIE)).astype(int)


def _draw(labels, stroke, points, scan, where):
    if stroke.kind == "scribble":
        points = _line(points)
    centres = np.unique(np.clip(_nearest(points, scan), 0, np.array(labels.shape) - 1), axis=0)
    if stroke.radius_mm:
        centres = _widened(centres, labels.shape, scan.spacing, stroke.radius_mm)
    place = tuple(centres.T)
    clash = (labels[place] >= 0) & (labels[place] != stroke.label)
    if clash.any():
        voxel = centres[int(np.argmax(clash))]
        raise InputError(
            f"{where}: voxel {tuple(voxel.tolist())} is marked as {labels[tuple(voxel)]} and as {stroke.label}; "
            "take one of the two strokes away"
        )
    labels[place] = stroke.label


def _widened(centres, shape, spacing, radius_mm):
    """Voxels within a radius of the centres, (N, rank)."""
    from scipy.ndimage import distance_transform_edt

    low, high = _reach(centres, shape, spacing, radius_mm)
    away = np.ones(high - low, bool)
    away[tuple((centres - low).T)] = False
    return np.argwhere(distance_transform_edt(away, spacing) <= radius_mm + 1e-6) + low


def _reach(points, shape, spacing, radius_mm):
    """First and last index (exclusive) of the box around points and a radius, within a shape."""
    reach = np.minimum(np.floor(radius_mm / np.array(spacing)) + 1, shape)
    low = np.maximum(np.floor(points.min(axis=0) - reach), 0)
    high = np.minimum(np.ceil(points.max(axis=0) + reach) + 1, shape)
    return low.astype(int), high.astype(int)


def _steps(points):
    """In how many steps of at most half a voxel each part of a line is drawn, (N - 1,)."""
    return np.maximum(1, np.ceil(2 * np.abs(np.diff(points, axis=0)).max(axis=1, initial=0))).astype(int)


def _line(points):
    """Points at most half a voxel apart along the line through ``points``."""
    steps = _steps(points)
    if not len(steps):
        return points
    ends = np.cumsum(steps)
    share = (np.arange(ends[-1]) - np.repeat(ends - steps, steps) + 1) / np.repeat(steps, steps)
    line = np.repeat(points[:-1], steps, axis=0) + np.repeat(np.diff(points, axis=0), steps, axis=0) * share[:, None]
    return np.concatenate([points[:1], line])
