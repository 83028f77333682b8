"""Manifests: round trip, and every way in which one can be wrong."""

import json
import re
import shutil
from pathlib import Path

import pytest
from record_fields import fields_of

from edge import load_manifest
from edge.manifest import SCHEMA, Manifest, sha256
from imaging import InputError
from medseg import record

GOLDEN = Path(__file__).parents[1] / "golden" / "manifests"


@pytest.fixture
def artifact(artifacts, tmp_path):
    return shutil.copytree(artifacts["folded-int8"], tmp_path / "artifact")


def change(artifact, **fields):
    """Rewrite fields of a manifest; a name such as ``input__scale`` reaches inside, None removes the field."""
    path = artifact / "manifest.json"
    data = json.loads(path.read_text())
    for name, value in fields.items():
        *outer, last = name.split("__")
        inner = data
        for part in outer:
            inner = inner[int(part) if part.isdecimal() else part]
        if value is None:
            del inner[last]
        else:
            inner[last] = value
    path.write_text(json.dumps(data))


def test_round_trip(artifact, tmp_path):
    manifest = load_manifest(artifact)
    record.save(artifact / "manifest.json", manifest)
    assert load_manifest(artifact) == manifest
    assert manifest.patch == (8, 16, 12)
    assert manifest.labels[2].value == 300


def test_sha256_of_known_bytes(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")  # FIPS 180-2, appendix B.1
    assert sha256(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"schema": 99, "needs": "7.1.0"}, "manifest schema 99, expected 1 to .; it needs medseg-zoo 7.1.0 or newer"),
        ({"schema": 99, "needs": None}, "manifest schema 99, expected 1 to .; it needs a newer medseg-zoo"),
        ({"schema": None}, "manifest schema None, expected 1 to .; export it again"),
        ({"schema": 0}, "manifest schema 0, expected 1 to "),
        ({"schema": True}, "manifest schema True, expected 1 to "),
        ({"schema": "2"}, "manifest schema '2', expected 1 to "),
        ({"colour": "blue"}, "unknown field colour; expected one of name, format"),
        ({"overlap": None}, "field overlap is missing"),
        ({"patch": "big"}, "patch: expected a list, got 'big'"),
        ({"format": "tflite-int4"}, "format 'tflite-int4': expected one of tflite-float32, "),
        ({"model": "../model.tflite"}, "model '../model.tflite': expected the name of a file beside"),
        ({"model": ""}, "model '': expected the name of a file beside"),
        ({"model": "other.tflite"}, "other.tflite: no such file, though the manifest names it"),
        ({"patch": [8, 16]}, r"patch \(8, 16\): expected 3 positive numbers"),
        ({"patch": [8, 16, 0]}, "expected 3 positive numbers"),
        ({"patch": [8, 16, 16]}, r"input.shape \(8, 16, 12, 1\): .* it is \(8, 16, 16, 1\)"),
        ({"folded": False}, r"input.shape \(8, 16, 12, 1\): .* it is \(1, 8, 16, 12, 1\)"),
        ({"form": "depth"}, "form 'depth': expected one of '', 'height', 'channels'"),
        ({"form": "height"}, "form 'height': expected networks of rank 3 that are not folded"),
        ({"form": "height", "folded": False}, r"input.shape \(8, 16, 12, 1\): .* it is \(1, 128, 12, 1\)"),
        ({"form": "channels", "folded": False}, r"input.shape \(8, 16, 12, 1\): .* it is \(1, 8, 16, 12\)"),
        ({"overlap": 1.5}, "overlap 1.5: expected 0 to 0.9"),
        ({"channels": ["a", "b"]}, "channels a, b: the recipe takes 1"),
        ({"labels": [{"name": "background", "value": 0}]}, "expected two or more, all different"),
        ({"labels__1__value": 0}, r"values \[0, 0, 300\]: expected two or more, all different"),
        ({"labels__1__value": 2**40}, "label core has value 1099511627776: expected 32-bit"),
        ({"labels__1__colour": 3}, r"labels\[1\]: unknown field colour"),
        ({"output__shape": [8, 16, 12, 4]}, "output.shape"),
        ({"input__dtype": "int9"}, "input.dtype 'int9': expected NumPy names"),
        ({"input__dtype": "object"}, "input.dtype 'object'"),
        ({"input__scale": 0.0}, "input.scale 0.0: a tensor of int8 needs a positive one"),
        ({"recipe__rank": 4}, "recipe rank 4"),
        ({"postprocessing": {"classes": [{"label": "nope"}]}}, "postprocessing of 'nope': expected each of core"),
        (
            {"postprocessing": {"classes": [{"label": "core"}] * 2}},
            "postprocessing of 'core': expected .* once at most",
        ),
        (
            {"postprocessing": {"classes": [{"label": "core", "min_volume_mm3": -1.0}]}},
            "postprocessing of core: min_volume_mm3 -1.0, expected 0 or more",
        ),
        ({"recipe__spacing": [1.0, -1.0, 1.0]}, "recipe spacing"),
        ({"recipe__blur": 2}, "recipe: unknown field blur"),
        (
            {"recipe__filters": [{"name": "sharpen", "parameters": {}}]},
            "recipe: filter 'sharpen': unknown; expected one of gaussian",
        ),
        (
            {"recipe__filters": [{"name": "median", "parameters": {"radius_mm": -1}}]},
            "recipe: filter median: radius_mm -1, expected a number from",
        ),
        ({"recipe__filters": [{"name": "nyul", "parameters": {}}]}, "recipe: filter nyul: landmarks is missing"),
        ({"recipe__nan": float("inf")}, "recipe.nan: expected a finite number, got inf"),
    ],
)
def test_wrong_manifests(artifact, fields, message):
    change(artifact, **fields)
    with pytest.raises(InputError, match=message) as caught:
        load_manifest(artifact)
    assert str(artifact) in str(caught.value)
    assert "\n" not in str(caught.value)


def keeps(loaded, stored) -> bool:
    """Whether everything stored is loaded as it was; fields that came later may be there too."""
    if not isinstance(stored, dict):
        return loaded == stored
    return all(name in loaded and keeps(loaded[name], stored[name]) for name in stored)


def test_manifests_of_every_earlier_schema_open():
    folders = sorted(path.parent for path in GOLDEN.glob("*/manifest.json"))
    for folder in folders:
        manifest = load_manifest(folder, verify=False)
        assert (manifest.schema, manifest.needs) == (SCHEMA.newest, SCHEMA.needs)
        stored = json.loads((folder / "manifest.json").read_text())
        loaded = record.to_dict(manifest)
        kept = {name: stored[name] for name in stored if name not in ("schema", "needs")}
        assert keeps(json.loads(json.dumps(loaded)), kept)
    numbers = {json.loads((folder / "manifest.json").read_text())["schema"] for folder in folders}
    assert numbers == set(range(1, SCHEMA.newest + 1)), "keep a manifest of each schema in tests/golden/manifests"
    assert load_manifest(GOLDEN / "schema-1", verify=False).form == ""


def test_no_field_changes_without_a_new_schema():
    listed = (GOLDEN / f"schema-{SCHEMA.newest}" / "fields.txt").read_text().split()
    assert fields_of(Manifest) == listed, "a manifest's fields changed: append to edge.manifest.SCHEMA, list them anew"


def test_a_folded_network_is_three_dimensional(artifacts, tmp_path):
    artifact = shutil.copytree(artifacts["flat-int8"], tmp_path / "flat")
    change(artifact, folded=True)
    with pytest.raises(InputError, match="folded: expected networks of rank 3 only"):
        load_manifest(artifact)


def test_altered_model_file(artifact):
    model = artifact / "model.tflite"
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.write_bytes(content)
    with pytest.raises(InputError, match=r"model.tflite: altered since it was exported \(sha256 [0-9a-f]{12}"):
        load_manifest(artifact)
    assert load_manifest(artifact, verify=False).name == "folded-int8"


def test_not_json(artifact):
    (artifact / "manifest.json").write_text('{"name": ')
    with pytest.raises(InputError, match=r"manifest.json: not readable as JSON"):
        load_manifest(artifact)
    (artifact / "manifest.json").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match=r"manifest.json: not readable as JSON"):
        load_manifest(artifact)
    (artifact / "manifest.json").write_text("[]")
    with pytest.raises(InputError, match="schema None"):
        load_manifest(artifact)


def test_not_an_artifact_folder(artifact, tmp_path):
    with pytest.raises(InputError, match="no such folder; give an artifact folder"):
        load_manifest(tmp_path / "absent")
    with pytest.raises(
        InputError, match=re.escape(f"is a file; give the artifact folder that holds manifest.json, {artifact}")
    ):
        load_manifest(artifact / "model.tflite")
    with pytest.raises(InputError, match=r"holds no manifest.json; give one of the artifacts in it: artifact$"):
        load_manifest(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"holds no manifest.json; give a folder that zoo export wrote"):
        load_manifest(tmp_path / "empty")
