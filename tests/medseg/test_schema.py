"""Schema numbers: what is read, and what a file of a newer version is told to need."""

import json
from dataclasses import dataclass

import pytest

from medseg import record, schema
from medseg.errors import InputError
from medseg.schema import Schema

THINGS = Schema("thing", ("0.1.0", "0.1.0", "0.4.2"), "make it again")


@dataclass(frozen=True)
class Thing:
    name: str
    colour: str = "grey"
    schema: int = THINGS.newest
    needs: str = THINGS.needs


def written(tmp_path, data):
    path = tmp_path / "thing.json"
    path.write_text(json.dumps(data))
    return path


def test_what_is_written_names_the_version_that_reads_it(tmp_path):
    record.save(tmp_path / "thing.json", Thing("a", "red"))
    stored = json.loads((tmp_path / "thing.json").read_text())
    assert (stored["schema"], stored["needs"]) == (3, "0.4.2")
    assert schema.load(tmp_path / "thing.json", Thing, THINGS) == Thing("a", "red")


@pytest.mark.parametrize("number", [1, 2])
def test_older_files_mean_the_defaults_of_later_fields(tmp_path, number):
    path = written(tmp_path, {"name": "a", "schema": number})
    assert schema.load(path, Thing, THINGS) == Thing("a", "grey", 3, "0.4.2")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"schema": 4, "needs": "0.9.0"}, "thing schema 4, expected 1 to 3; it needs medseg-zoo 0.9.0 or newer: pip"),
        ({"schema": 4}, "thing schema 4, expected 1 to 3; it needs a newer medseg-zoo: pip install -U"),
        ({"schema": 4, "needs": 7}, "it needs a newer medseg-zoo"),
        ({"schema": 0}, "thing schema 0, expected 1 to 3; make it again"),
        ({"schema": 1.0}, "thing schema 1.0, expected 1 to 3"),
        ({"schema": True}, "thing schema True, expected 1 to 3"),
        ({}, "thing schema None, expected 1 to 3"),
        ([], "thing schema None"),
        ({"schema": 3, "colour": "red"}, "field name is missing"),
        ({"schema": 3, "name": "a", "size": 1}, "unknown field size"),
    ],
)
def test_what_cannot_be_read(tmp_path, data, message):
    path = written(tmp_path, data)
    with pytest.raises(InputError, match=message) as caught:
        schema.load(path, Thing, THINGS)
    assert str(caught.value).startswith(f"{path}: ")
