"""Files of strokes that are traps: what ``zoo annotate`` reads from a page or a viewer."""

import json


def strokes(*entries, **more):
    """A file of these strokes."""
    return lambda: json.dumps({"strokes": list(entries), **more}).encode()


def text(content):
    """A file of this text."""
    return lambda: content.encode() if isinstance(content, str) else content


def zigzag():
    """A line that runs across the scan two hundred thousand times."""
    return json.dumps({"strokes": [{"scribble": [[0, 0, 0], [19, 19, 19]] * 100_000, "label": 1}]}).encode()


POINT = {"point": [3, 3, 3], "label": 1}
STROKES = {
    "no object": text("[1, 2]"),
    "no JSON": text("strokes"),
    "no text": text(b"\xff\xfe\x00\x01"),
    "empty": text(""),
    "nested": text("[" * 100_000),
    "nested in a stroke": text('{"strokes": [{"label": 1, "point": ' + "[" * 50_000 + "]" * 50_000 + "}]}"),
    "many lists": text('{"strokes": [' + "[]," * 2_000_000 + "[]]}"),
    "not a number": text('{"strokes": [{"point": [NaN, 1, 1], "label": 1}]}'),
    "infinite": text('{"strokes": [{"point": [1e400, 1, 1], "label": 1}]}'),
    "a number of 400 digits": text('{"strokes": [{"point": [' + "9" * 400 + ', 1, 1], "label": 1}]}'),
    "a label of 400 digits": text('{"strokes": [{"point": [1, 1, 1], "label": ' + "9" * 400 + "}]}"),
    "a number of 5000 digits": text('{"strokes": [{"point": [' + "9" * 5000 + ', 1, 1], "label": 1}]}'),
    "the largest double in mm": strokes({"point": [1e308, -1e308, 1e308], "label": 1}, space="world"),
    "a radius without end": strokes({"point": [3, 3, 3], "label": 1, "radius_mm": 1e308}),
    "a radius beyond the scan": strokes({"point": [3, 3, 3], "label": 1, "radius_mm": 1000}),
    "many crossings": zigzag,
    "a path as label": strokes({"point": [1, 1, 1], "label": "../../etc/passwd"}),
    "escapes in a name": strokes({"point": [1, 1, 1], "label": 1, "\x1b[2J\x07": 1}),
    "escapes in a space": strokes(POINT, space="\x1b]0;owned\x07"),
    "a long name": strokes({"point": [1, 1, 1], "label": 1, "x" * 1_000_000: 1}),
    "a box without end": strokes({"box": [[-1e300, 0, 0], [1e300, 5, 5]], "label": 1}),
    "a negative label": strokes({"point": [1, 1, 1], "label": -1}),
    "true as label": strokes({"point": [1, 1, 1], "label": True}),
    "points of two lengths": strokes({"scribble": [[1, 1, 1], [2, 2]], "label": 1}),
    "many strokes of one label": lambda: json.dumps({"strokes": [POINT] * 300_000}).encode(),
    "many boxes": lambda: json.dumps(
        {"space": "world", "strokes": [{"box": [[0, 0, 0], [9, 9, 9]], "label": 1}] * 200_000}
    ).encode(),
    "many strokes": lambda: json.dumps({"strokes": [{**POINT, "label": k % 70000} for k in range(50_000)]}).encode(),
}
