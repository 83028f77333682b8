"""Sets of weights that are traps: their cards, and the files beside these."""

import json
from pathlib import Path

from hostile_scans import device, itself, pipe

from edge.shipped import FOLDER

SET = FOLDER / "unet3d-hippocampus"


def card(**fields):
    """The folder of a set with fields of its card replaced; ``artifact__format`` reaches inside."""

    def make(folder):
        data = json.loads((SET / "card.json").read_text())
        for name, value in fields.items():
            *outer, last = name.split("__")
            inner = data
            for part in outer:
                inner = inner[part]
            inner[last] = value
        text(json.dumps(data).encode())(folder)

    return make


def text(content: bytes):
    """A set whose card is this text."""

    def make(folder):
        folder.mkdir()
        (folder / "card.json").write_bytes(content)

    return make


def trap(put):
    """A set with a trap in its card's place."""

    def make(folder):
        folder.mkdir()
        put(Path(folder) / "card.json")

    return make


CARDS = {
    "card a device": trap(device),
    "card a pipe": trap(pipe),
    "card a loop": trap(itself),
    "card empty": text(b""),
    "card a list": text(b"[]"),
    "card not UTF-8": text(b"\xff\xfe"),
    "card deep": text(b"[" * 100_000),
    "card of many lists": text(b'{"entry": [' + b"[]," * 5_000_000 + b"[]]}"),
    "card of 100 MB": text(b" " * 10**8),
    "classes a number": card(classes=5),
    "classes of numbers": card(classes=[1, 2, 3]),
    "channels a number": card(channels=5),
    "commands of lists": card(commands=[[1]]),
    "commands of control characters": card(commands=["a\x1b[2J\nerror: b"]),
    "data of control characters": card(data="\x1b]0;owned\x07"),
    "entry of control characters": card(entry="\x1b[2J"),
    "entry a path": card(entry="../../../etc"),
    "name a path": card(name="/etc/passwd"),
    "name empty": card(name=""),
    "options a list": card(options=[1]),
    "scores a number": card(scores=5),
    "scores of words": card(scores__mean={"a": {"dice": "x"}}),
    "scores of lists": card(scores__mean=[1]),
    "scores of nothing": card(scores__mean={}),
    "folds a number": card(scores__folds=5),
    "int8 scores of words": card(int8_scores={"dice": {"a": "x"}, "folds": [0], "cases": 1}),
    "storage a word": card(storage="x"),
    "storage of words": card(storage={"kind": "int8", "labels": {"a": 5}}),
    "plan a list": card(plan=[1]),
    "labels of the plan a number": card(plan__labels=5),
    "labels of the plan too few": card(plan__labels=[{"value": 1}]),
    "regions of the plan a number": card(plan__regions=5),
    "versions a list": card(versions=[1]),
    "parameters a word": card(parameters="x"),
    "parameters NaN": card(parameters=float("nan")),
    "bytes of many digits": text(b'{"bytes": 1' + b"0" * 100_000 + b"}"),
    "artifact a word": card(artifact="x"),
    "artifact by a path upwards": card(artifact__format="../other"),
    "artifact by an absolute path": card(artifact__format="/etc"),
    "artifact by no text": card(artifact__format=[1]),
    "patch of the artifact a number": card(artifact__patch=5),
    "bytes of the artifact a word": card(artifact__bytes="x"),
}
