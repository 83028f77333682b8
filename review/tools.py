"""Smart tools: what clicks, scribbles and boxes make of the labels on the screen; nothing is kept between calls."""

from dataclasses import dataclass, replace

import numpy as np

from imaging.geometry.affine import moved
from imaging.scan import Scan
from medseg.errors import InputError
from medseg.untrusted import shown
from review.errors import UnknownError, WrongRequestError

FEW, MANY, NONE = "few", "many", "none"
MOST_POINTS = 1_000_000
# What is looked at around the strokes: corrections reach 30 mm at most, structures drawn from nothing may be larger.
_REACH_MM, _WIDE_MM = 40.0, 100.0


@dataclass(frozen=True)
class Tool:
    """A tool of the page.

    Attributes:
        id: its name in a path.
        title: for people.
        points: "few" (clicks), "many" (voxels of strokes) or "none".
    """

    id: str
    title: str
    points: str


TOOLS = (
    Tool("clicks", "Clicks", FEW),
    Tool("graph-cut", "Graph cut", MANY),
    Tool("random-walker", "Random walker", MANY),
    Tool("network", "Network refinement", FEW),
    Tool("largest-component", "Largest component", NONE),
    Tool("interpolate", "Interpolate between slices", NONE),
)


@dataclass(frozen=True)
class Request:
    """What a person drew.

    Attributes:
        label: value that is being drawn.
        foreground, background: voxels (N, 3) on the page's grid.
        box: two opposite corners (2, 3), inclusive, or None.
        axis: across the slices, for the interpolation.
    """

    label: int
    foreground: np.ndarray
    background: np.ndarray
    box: np.ndarray | None = None
    axis: int = 2


def parse_request(data, shape: tuple[int, ...], values: tuple[int, ...]) -> Request:
    """A request from plain JSON types.

    Args:
        data: as the client sent it.
        shape: of the page's grid.
        values: of the labels.

    Raises:
        WrongRequestError: for a field of the wrong kind, or a point outside the scan.
    """
    if not isinstance(data, dict):
        raise WrongRequestError(f"expected a JSON object, got {shown(data)}")
    label, axis = data.get("label"), data.get("axis", 2)
    if label not in values or label == values[0] or isinstance(label, bool):
        raise WrongRequestError(f"label {shown(label)}: expected one of {', '.join(map(str, values[1:]))}")
    if axis not in (0, 1, 2) or isinstance(axis, bool):
        raise WrongRequestError(f"axis {shown(axis)}: expected 0, 1 or 2")
    box = data.get("box")
    points = {name: _points(data.get(name) or [], name, shape) for name in ("foreground", "background")}
    corners = None if box is None else _points(box, "box", shape)
    if corners is not None and len(corners) != 2:
        raise WrongRequestError(f"box {shown(box)}: expected two corners")
    return Request(label, **points, box=corners, axis=axis)


def apply_tool(tool: str, request: Request, scan: Scan, base: Scan | None, propose=None) -> np.ndarray:
    """Where a label shall be now.

    Args:
        tool: name of one of ``TOOLS``.
        request: what was drawn.
        scan: on the page's grid; its first channel counts.
        base: labels on the screen, (i, j, k, 1) on the same grid; None for nothing.
        propose: function that returns the network's probabilities (i, j, k, K) and the values of its classes.

    Returns:
        uint8 (i, j, k): 1 where the label shall be.

    Raises:
        UnknownError: if there is no such tool.
        WrongRequestError: if the tool lacks points or labels.
        InputError: if what was drawn contradicts itself.
    """
    chosen = next((known for known in TOOLS if known.id == tool), None)
    if chosen is None:
        raise UnknownError(f"tool {tool[:40]!r}: expected one of {', '.join(known.id for known in TOOLS)}")
    if chosen.points == NONE and base is None:
        raise WrongRequestError(f"tool {tool}: works on labels, got none; save the draft first")
    if (
        chosen.points != NONE
        and not len(request.foreground)
        and request.box is None
        and not (base is not None and len(request.background))
    ):
        raise WrongRequestError(f"tool {tool}: expected a point or a box of the structure, got none")
    if tool == "largest-component":
        return _largest(base.voxels[..., 0] == request.label)
    if tool == "interpolate":
        from imaging.annotate import fill_between

        mask = replace(base, voxels=(base.voxels == request.label).astype(np.uint8))
        return fill_between(mask, request.axis).voxels[..., 0].astype(np.uint8)
    part = _surroundings(request, scan, _REACH_MM if base is not None or tool == "clicks" else _WIDE_MM)
    near = replace(request, **{name: getattr(request, name) - _start(part) for name in ("foreground", "background")})
    if request.box is not None:
        near = replace(near, box=request.box - _start(part))
    here = None if propose is None else lambda: _cut_proposal(propose(), part)
    drawn = _on_part(tool, near, _cut(scan, part), None if base is None else _cut(base, part), here)
    if base is not None:
        mask = (base.voxels[..., 0] == request.label).astype(np.uint8)
    elif tool == "network":
        probabilities, values = propose()
        mask = (probabilities.argmax(axis=-1) == values.index(request.label)).astype(np.uint8)
    else:
        mask = np.zeros(scan.shape, np.uint8)
    mask[part] = drawn
    return mask


def _on_part(tool, request, scan, base, propose):
    """uint8 (i, j, k): what a tool makes of the surroundings of what was drawn."""
    flat = scan.shape[2] == 1
    marked = _drawn(tool, request, _flat(scan, flat), base and _flat(base, flat), propose)
    mask = marked.reshape(scan.shape).astype(np.uint8)
    if request.box is not None:
        inside = np.zeros(scan.shape, bool)
        inside[_slices(request.box)] = True
        kept = mask & (inside | (base.voxels[..., 0] == request.label if base is not None else False))
        mask = kept.astype(np.uint8)
    mask[tuple(request.foreground.T)] = 1
    mask[tuple(request.background.T)] = 0
    return mask


def _surroundings(request, scan, reach_mm):
    """Slices around what was drawn, so that a click in a large scan is as quick as in a small one."""
    points = [request.foreground, request.background, *([] if request.box is None else [request.box])]
    places = np.concatenate(points)
    margin = np.ceil(reach_mm / np.asarray(scan.spacing)).astype(int)
    low = np.maximum(places.min(axis=0) - margin, 0)
    high = np.minimum(places.max(axis=0) + margin + 1, scan.shape)
    return tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))


def _start(part):
    return np.array([piece.start for piece in part])


def _cut(scan, part):
    """A scan's voxels in a box, where they lie."""
    return Scan(scan.voxels[part], moved(scan.affine, [piece.start for piece in part]), axes=scan.axes)


def _cut_proposal(proposal, part):
    probabilities, values = proposal
    return probabilities[part], values


def _drawn(tool, request, scan, base, propose):
    """Bool (*spatial) by the functions of ``imaging.annotate``."""
    from imaging.annotate import annotate, refine, refine_labels

    seeds = _seeds(request, scan)
    first = replace(scan, voxels=scan.voxels[..., :1])
    if tool == "network":
        if propose is None:
            raise WrongRequestError("tool network: the artifact answers with overlapping regions, choose another tool")
        probabilities, values = propose()
        seeds = replace(seeds, labels=np.where(seeds.labels == 1, request.label, seeds.labels))
        return refine(first, seeds, probabilities.reshape(*scan.shape, -1), values).labels.voxels == request.label
    if tool == "clicks" or base is not None:
        proposal = np.zeros((*scan.shape, 1), np.uint8)
        if base is not None:
            proposal = (base.voxels == request.label).astype(np.uint8)
        if tool == "clicks":
            return refine_labels(first, seeds, replace(first, voxels=proposal)).labels.voxels == 1
    return annotate(first, _binary_seeds(seeds, base, request), tool).labels.voxels == 1


def _seeds(request, scan):
    """Seeds of 0 and 1 on the grid of ``scan``."""
    from imaging.classical import Seeds

    labels = np.full(scan.shape, -1, np.int32)
    for points, value in ((request.background, 0), (request.foreground, 1)):
        places = points[:, : scan.rank]
        if value == 1 and len(places) and (labels[tuple(places.T)] == 0).any():
            raise InputError("a voxel is marked as structure and as background; undo one of the two strokes")
        labels[tuple(places.T)] = value
    box = None if request.box is None else _slices(request.box[:, : scan.rank])
    if box is not None:
        outside = np.ones(scan.shape, bool)
        outside[box] = False
        labels[outside & (labels < 0)] = 0
    return Seeds(labels)


def _binary_seeds(seeds, base, request):
    """Scribbles, and of labels on the screen what lies deep inside, so that a stroke of one kind suffices."""
    if base is None:
        return seeds
    from scipy import ndimage

    from imaging.classical import Seeds

    mask = base.voxels[..., 0] == request.label
    labels = seeds.labels.copy()
    for value, place in ((1, mask), (0, ~mask)):
        if (labels == value).any() or not place.any():
            continue
        depth = ndimage.distance_transform_edt(place)
        labels[(depth >= 0.9 * depth.max()) & (labels < 0)] = value
    return Seeds(labels)


def _largest(mask):
    from scipy import ndimage

    parts, count = ndimage.label(mask)
    if count < 2:
        return mask.astype(np.uint8)
    sizes = np.bincount(parts.ravel())
    return (parts == 1 + int(sizes[1:].argmax())).astype(np.uint8)


def _flat(scan, flat):
    return replace(scan, voxels=scan.voxels[:, :, 0], geometry=None) if flat else scan


def _slices(corners):
    low, high = corners.min(axis=0), corners.max(axis=0)
    return tuple(slice(int(a), int(b) + 1) for a, b in zip(low, high, strict=True))


def _points(rows, name, shape):
    if not isinstance(rows, list) or len(rows) > MOST_POINTS:
        raise WrongRequestError(f"{name} {shown(rows)}: expected a list of at most {MOST_POINTS} points")
    if not rows:
        return np.empty((0, 3), int)
    fits = all(
        isinstance(row, list) and len(row) == 3 and all(type(v) in (int, float) and abs(v) < 2**31 for v in row)
        for row in rows
    )
    if not fits:
        raise WrongRequestError(f"{name} {shown(rows)}: expected points of three numbers [i, j, k]")
    points = np.rint(np.array(rows, float)).astype(int)
    outside = (points < 0).any(axis=1) | (points >= np.array(shape)).any(axis=1)
    if outside.any():
        raise WrongRequestError(
            f"{name} {points[outside][0].tolist()}: lies outside the scan, expected 0 to {[size - 1 for size in shape]}"
        )
    return points
