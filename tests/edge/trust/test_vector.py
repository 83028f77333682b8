"""The test vector of an artifact: what it holds is what the network does, and a changed artifact is told by it."""

import dataclasses
import json

import numpy as np
import pytest
from edge_artifacts import values_of

import edge
from edge.cli import main
from edge.trust import vector
from imaging.recipe import Clip, Normalise, Recipe, prepare
from medseg import record
from medseg.errors import InputError


def with_vector(artifact, target, change=lambda made: made):
    """A copy of an artifact folder that has a test vector."""
    target.mkdir()
    for path in artifact.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    vector.write(target / vector.NAME, change(vector.make(edge.load(target))))
    manifest = edge.load_manifest(target)
    record.save(target / "manifest.json", dataclasses.replace(manifest, files=(manifest.model, vector.NAME)))
    return target


@pytest.mark.parametrize("name", ["folded-int8", "flat-int8", "native-float", "two-channels", "onnx-folded-uint8"])
def test_a_vector_holds_what_the_network_does(artifacts, tmp_path, name):
    segmenter = edge.load(artifacts[name])
    made = vector.make(segmenter)
    vector.write(tmp_path / vector.NAME, made)
    assert (tmp_path / vector.NAME).stat().st_size <= vector.MAX_BYTES
    read = vector.read(tmp_path / vector.NAME)
    assert vector.compare(segmenter, read) == vector.Comparison(made.labels.size, 0, 0.0, 0.0)
    assert len(np.unique(read.labels)) == len(segmenter.manifest.labels)
    # Several tiles, and an axis that is padded.
    assert read.prepared.shape[0] > segmenter.manifest.patch[0]
    assert read.prepared.shape[1] < segmenter.manifest.patch[1]
    if name == "native-float":
        np.testing.assert_array_equal(read.labels, values_of(read.voxels))


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(3, orientation="LPS", spacing=(0.7, 1.1, 3.0), normalise=Normalise("fixed", (90.0,), (7.0,))),
        Recipe(3, crop_nonzero=True, normalise=Normalise("zscore_foreground"), interpolation="cubic"),
        Recipe(2, size=(40, 30), clip=Clip("percentile", 1, 99)),
        Recipe(2, orientation="picture", spacing=(1.3, 0.9)),
        Recipe(2, orientation="stored"),
        Recipe(3, orientation="SRA", spacing=(8.0, 1.1, 0.9), slices=3),
        Recipe(3, 2, spacing=(1.0, 1.0, 2.0), clip=Clip("value", -100, 240), normalise=Normalise("unit")),
    ],
)
def test_scans_for_every_step_of_a_recipe(artifacts, recipe):
    patch = (16, 20, 12)[: recipe.patch_rank]
    manifest = dataclasses.replace(edge.load_manifest(artifacts["native-float"]), recipe=recipe, patch=patch)
    scan = vector.draw_scan(manifest)
    prepared = prepare(scan, recipe)
    assert prepared.voxels.std() > 0.1
    assert np.abs(prepared.voxels).max() < 10
    if recipe.spacing or recipe.size or recipe.crop_nonzero:
        assert scan.shape != prepared.shape
    if recipe.orientation not in (None, "stored"):
        assert not np.allclose(scan.affine[:3, :3] * prepared.affine[:3, :3], scan.affine[:3, :3] ** 2)


def test_verify_runs_it_again(artifacts, tmp_path, capsys):
    folder = with_vector(artifacts["folded-int8"], tmp_path / "same")
    assert main(["verify", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["vector"]["labels_differ"] == 0
    assert main(["verify", str(folder)]) == 0
    assert "vector     labels equal on" in capsys.readouterr().out
    assert main(["verify", str(artifacts["folded-int8"])]) == 0
    assert "vector     none" in capsys.readouterr().out

    def changed(made):
        return dataclasses.replace(made, labels=np.roll(made.labels, 3, axis=1))

    folder = with_vector(artifacts["folded-int8"], tmp_path / "changed", changed)
    assert main(["verify", str(folder)]) == 1
    assert "differ of" in capsys.readouterr().err


def test_vectors_that_are_none(artifacts, tmp_path):
    made = vector.make(edge.load(artifacts["native-float"]))
    path = tmp_path / vector.NAME
    with pytest.raises(InputError, match="no such file"):
        vector.read(path)
    vector.write(path, made)
    whole = path.read_bytes()
    for content in (b"", b"PK", whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(InputError, match=vector.NAME):
            vector.read(path)
    for change in ({"affine": np.full((4, 4), np.nan)}, {"logits_step": 0}, {"labels": np.array(["a"])}):
        vector.write(path, dataclasses.replace(made, **change))
        with pytest.raises(InputError, match="export it again"):
            vector.read(path)
    np.savez(path, voxels=made.voxels)
    with pytest.raises(InputError, match="holds voxels, expected"):
        vector.read(path)
    with pytest.raises(InputError, match="of shape"):
        vector.compare(edge.load(artifacts["native-float"]), dataclasses.replace(made, logits=made.logits[1:]))
