"""What a person draws: points, boxes and scribbles with a label each, from JSON."""

from dataclasses import dataclass

from medseg.errors import InputError
from medseg.untrusted import read_json, shown

KINDS = ("point", "box", "scribble")
SPACES = ("voxel", "world")
MOST_LABEL = 65535
MOST_STROKES = 10_000  # of a file
MOST_POINTS = 1_000_000  # of a file, and of the voxels along its scribbles
_LARGEST = 1e9  # coordinate, in voxels or mm


@dataclass(frozen=True)
class Stroke:
    """Something drawn on a scan.

    Attributes:
        kind: "point", "box" (two opposite corners: what is to be segmented lies within) or "scribble" (a line
            through its points).
        label: value of the structure; 0 is the background.
        points: one row a point, voxel indices (from 0, the centre of the first voxel) or world mm (RAS+).
        space: "voxel" or "world".
        radius_mm: of a point or line; 0 marks single voxels.
    """

    kind: str
    label: int
    points: tuple[tuple[float, ...], ...]
    space: str = "voxel"
    radius_mm: float = 0.0


def read_strokes(path) -> tuple[Stroke, ...]:
    """Read a JSON file of strokes; docs/how-to/annotate.md describes it.

    Raises:
        InputError: if it is missing, no JSON or holds something else; the message names the stroke.
    """
    try:
        return strokes_from(read_json(path, "strokes"))
    except InputError as error:
        text = str(error)
        raise type(error)(text if text.startswith(str(path)) else f"{path}: {text}") from None


def strokes_from(data) -> tuple[Stroke, ...]:
    """Strokes from plain JSON types: ``{"space": "voxel", "strokes": [{"point": [x, y, z], "label": 1}, ...]}``.

    Raises:
        InputError: for anything else.
    """
    if not isinstance(data, dict):
        raise InputError(f"expected an object with a list of strokes, got {shown(data)}")
    _known(data, ("space", "strokes"), "strokes file")
    space = data.get("space", "voxel")
    if space not in SPACES:
        raise InputError(f"space {shown(space)}: expected {' or '.join(SPACES)}")
    entries = data.get("strokes")
    if not isinstance(entries, list) or not entries:
        raise InputError(f"strokes {shown(entries)}: expected a list with at least one stroke")
    if len(entries) > MOST_STROKES:
        raise InputError(f"strokes: {len(entries)}, expected at most {MOST_STROKES}; draw fewer")
    strokes = tuple(_stroke(entry, f"strokes[{i}]", space) for i, entry in enumerate(entries))
    if sum(len(stroke.points) for stroke in strokes) > MOST_POINTS:
        raise InputError(f"strokes: more than {MOST_POINTS} points; draw fewer")
    return strokes


def _stroke(entry, where, space):
    if not isinstance(entry, dict):
        raise InputError(f"{where}: expected an object, got {shown(entry)}")
    _known(entry, (*KINDS, "label", "radius_mm"), where)
    kinds = [kind for kind in KINDS if kind in entry]
    if len(kinds) != 1:
        raise InputError(f"{where}: expected one of {', '.join(KINDS)}, got {' and '.join(kinds) or 'none'}")
    kind = kinds[0]
    label, radius = entry.get("label"), entry.get("radius_mm", 0)
    if not isinstance(label, int) or isinstance(label, bool) or not 0 <= label <= MOST_LABEL:
        raise InputError(f"{where}: label {shown(label)}, expected a whole number from 0 (background) to {MOST_LABEL}")
    if kind == "box" and label == 0:
        raise InputError(f"{where}: a box of label 0; expected that of a structure, as what lies outside is background")
    if not _is_number(radius) or not 0 <= radius <= 1000:
        raise InputError(f"{where}: radius_mm {shown(radius)}, expected mm from 0 to 1000")
    rows = [entry[kind]] if kind == "point" else entry[kind]
    if not isinstance(rows, list) or not rows or (kind == "box" and len(rows) != 2):
        expected = "two corners" if kind == "box" else "a list of points"
        raise InputError(f"{where}: {kind} {shown(rows)}, expected {expected}")
    for row in rows:
        if isinstance(row, list) and isinstance(rows[0], list) and len(row) != len(rows[0]):
            raise InputError(f"{where}: {kind} holds points of {len(rows[0])} and of {len(row)} numbers, expected one")
        if not isinstance(row, list) or len(row) not in (2, 3) or not all(map(_is_number, row)):
            raise InputError(f"{where}: {kind} holds {shown(row)}, expected 2 or 3 numbers up to {_LARGEST:g}")
    return Stroke(kind, label, tuple(tuple(map(float, row)) for row in rows), space, float(radius))


def _is_number(value):
    return isinstance(value, int | float) and not isinstance(value, bool) and -_LARGEST <= value <= _LARGEST


def _known(data, names, where):
    unknown = sorted(set(data) - set(names))
    if unknown:
        raise InputError(f"{where}: unknown field {shown(unknown[0])}; expected {', '.join(names)}")
