"""Dataclasses to JSON and back."""

import json
from dataclasses import dataclass, field

import pytest

from imaging import Clip, InputError, Normalise, Recipe
from imaging.labels import Label
from medseg.record import from_dict, load, save, to_dict, write_text


@dataclass(frozen=True)
class Thing:
    name: str
    size: float
    labels: tuple[Label, ...]
    counts: dict[str, int] = field(default_factory=dict)
    clip: Clip | None = None


THING = Thing("a", 1.5, (Label("b", 0), Label("c", 3)), {"x": 1}, Clip("value", -1.0, 2.0))


def test_round_trip(tmp_path):
    save(tmp_path / "x" / "thing.json", THING)
    assert load(tmp_path / "x" / "thing.json", Thing) == THING
    assert json.loads((tmp_path / "x" / "thing.json").read_text())["labels"][1] == {"name": "c", "value": 3}
    recipe = Recipe(2, size=(256, 256), normalise=Normalise("fixed", (1.0,), (2.0,)))
    assert from_dict(Recipe, json.loads(json.dumps(to_dict(recipe)))) == recipe


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"colour": 1}, "unknown field colour; expected one of name, size, labels, counts, clip"),
        ({"a\n  error: b": 1}, r"unknown field a\\n  error: b; expected one of name"),
        ({"name": "a", "size": 1, "counts": {"a\n  b": "x"}}, r"counts.a\\n  b: expected int, got 'x'"),
        ({"size": "big"}, r"Thing\.size: expected float, got 'big'"),
        ({"name": 3}, r"Thing\.name: expected str, got 3"),
        ({"size": True}, r"Thing\.size: expected float, got True"),
        ({"labels": 4}, r"Thing\.labels: expected a list, got 4"),
        ({"labels": [{"name": "x"}]}, r"Thing\.labels\[0\]: field value is missing"),
        ({"counts": {"x": "y"}}, r"Thing\.counts\.x: expected int, got 'y'"),
        ({"counts": []}, r"Thing\.counts: expected an object, got \[\]"),
        ({"clip": 5}, r"Thing\.clip: expected an object, got 5"),
    ],
)
def test_what_does_not_fit_is_named(change, match):
    with pytest.raises(InputError, match=match):
        from_dict(Thing, to_dict(THING) | change)


def test_whole_numbers_are_real_ones_too():
    assert from_dict(Thing, to_dict(THING) | {"size": 2}).size == 2.0
    assert from_dict(Thing, to_dict(THING) | {"clip": None}).clip is None


def test_files_that_cannot_be_loaded(tmp_path):
    with pytest.raises(InputError, match=r"none\.json: no such file, expected the JSON file of a thing"):
        load(tmp_path / "none.json", Thing)
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(InputError, match=r"bad\.json: not readable as JSON"):
        load(tmp_path / "bad.json", Thing)
    (tmp_path / "empty.json").write_text("{}")
    with pytest.raises(InputError, match=r"empty\.json: Thing: field name, size, labels is missing"):
        load(tmp_path / "empty.json", Thing)


def test_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="cannot be written"):
        write_text(tmp_path / "file" / "a.json", "{}")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
