"""Saved Keras models without a run: recipe, scans and labels beside them, to verified artifacts."""

import argparse
import json
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from export_runs import ball_network, write_run

import edge
import imaging
from export.commands.export import add_export
from export.source.model_file import open_model
from export.source.source import int8_warning
from imaging.io.cases import Cases
from imaging.measure import overlap
from medseg import command, record


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with model.keras, model.h5, recipe.json, images and labels; nothing else of a run."""
    root = tmp_path_factory.mktemp("foreign")
    run = write_run(root, training=6, validation=1)
    for kind in ("images", "labels"):
        (root / kind).mkdir()
    for case in record.load(run / "cases.json", Cases).training:
        os.replace(case.images[0], root / "images" / f"{case.name}.nii.gz")
        os.replace(case.label, root / "labels" / f"{case.name}.nii.gz")
    for path in (root / "labels").iterdir():  # ball is 3 in the run, 1 by class index
        scan = imaging.read_labels(path)
        imaging.write(path, imaging.Scan(scan.voxels // 3, scan.affine))
    model = ball_network()
    model.save(root / "model.keras")
    model.save(root / "model.h5")
    plan = json.loads((run / "plan.json").read_text())
    (root / "recipe.json").write_text(json.dumps(plan["recipe"]))
    return root


def export(*words):
    parser = argparse.ArgumentParser()
    add_export(parser.add_subparsers())
    return command.run(parser, ["export", *map(str, words)])


def scans(place):
    return ["--recipe", place / "recipe.json", "--calibration-folder", place / "images"]


@pytest.mark.parametrize("file", ["model.keras", "model.h5"])
def test_saved_model_to_verified_artifact(place, tmp_path, file):
    words = [*scans(place), "--labels-folder", place / "labels", "--classes", "background", "ball"]
    assert export(place / file, "--format", "tflite-int8", "--out", tmp_path, "--patch", 8, 8, 8, *words) == 0
    segmenter = edge.load(tmp_path / "tflite-int8")
    manifest = segmenter.manifest
    assert [label.name for label in manifest.labels] == ["background", "ball"]
    assert manifest.source["model_file"] == file
    assert manifest.fidelity["verdict"] == "99.9 %"
    assert len(manifest.calibration) == 4
    assert set(manifest.calibration).isdisjoint(manifest.fidelity["cases"])
    case = manifest.fidelity["cases"][0]
    predicted = segmenter.predict(imaging.read(place / "images" / f"{case}.nii.gz")).labels.voxels == 1
    reference = imaging.read_labels(place / "labels" / f"{case}.nii.gz").voxels == 1
    assert overlap.dice(predicted, reference) > 0.85


def test_without_labels_only_unverified(place, tmp_path, capsys):
    words = ["--out", tmp_path, "--patch", 8, 8, 8, *scans(place)]
    assert export(place / "model.keras", "--format", "onnx-int8", *words) == 2
    assert "give --labels-folder or --verify-on, or --no-verify" in capsys.readouterr().err
    assert export(place / "model.keras", "--format", "onnx-int8", "--no-verify", *words) == 0
    assert "Not verified" in (tmp_path / "onnx-int8" / "CARD.md").read_text()


def test_float_needs_no_scans(place, tmp_path):
    words = ["--recipe", place / "recipe.json", "--no-verify", "--patch", 8, 8, 8]
    assert export(place / "model.h5", "--format", "onnx-float32", "--out", tmp_path, *words) == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "needs --recipe"),
        (["--recipe", "recipe.json"], "needs --calibration-folder"),
        (["--recipe", "none.json", "--calibration-folder", "images"], "none.json: no such file"),
        (["--recipe", "recipe.json", "--calibration-folder", "nowhere"], "nowhere: no such folder"),
        (["--recipe", "recipe.json", "--calibration-folder", "images"], "is open; give --patch"),
        (["--recipe", "flat.json", "--calibration-folder", "images"], "mend rank, channels and slices of the recipe"),
        (["--recipe", "wrong.json", "--calibration-folder", "images"], "wrong.json: "),
        (
            ["--recipe", "recipe.json", "--calibration-folder", "images", "--patch", "8", "8", "8", "--classes", "a"],
            "has 2 classes, 1 names are given: a",
        ),
    ],
)
def test_mistakes_are_told_and_leave_nothing(place, tmp_path, capsys, monkeypatch, words, message):
    (place / "flat.json").write_text(json.dumps({"rank": 2}))
    (place / "wrong.json").write_text(json.dumps({"rank": 3, "zoom": 2}))
    monkeypatch.chdir(place)
    assert export("model.keras", "--format", "tflite-int8", "--out", tmp_path, "--no-verify", *words) in (1, 2)
    assert message in capsys.readouterr().err
    assert os.listdir(tmp_path) == []


def test_missing_label_file_is_named(place, tmp_path, capsys):
    words = [*scans(place), "--labels-folder", place / "images" / ".."]
    assert export(place / "model.keras", "--format", "tflite-int8", "--out", tmp_path, *words) == 1
    assert "holds no label file" in capsys.readouterr().err


def test_scans_and_labels_pair_by_their_whole_names(place, tmp_path):
    for number, file in enumerate(sorted((place / "images").iterdir())[:3]):
        for kind, suffix in (("images", ""), ("labels", "_seg")):
            (tmp_path / kind).mkdir(exist_ok=True)
            shutil.copy(place / kind / file.name, tmp_path / kind / f"pat.0{number}{suffix}.nii.gz")
    source = open_model(
        place / "model.keras",
        place / "recipe.json",
        tmp_path / "images",
        labels=tmp_path / "labels",
        patch=(8, 8, 8),
    )
    cases = (*source.training, *source.validation)
    assert {case.name: Path(case.label).name for case in cases} == {
        f"pat.0{number}": f"pat.0{number}_seg.nii.gz" for number in range(3)
    }


def test_options_of_a_model_are_refused_for_a_run(place, tmp_path, capsys):
    words = ["--out", tmp_path, "--recipe", place / "recipe.json"]
    assert export(place / "run", "--format", "onnx-float32", *words) == 2
    assert "--recipe: is for a saved model" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("network", "formats", "warned"),
    [
        ("unetr", ["onnx-float32", "tflite-int8"], True),
        ("swin_unetr3d", ["onnx-int8"], True),
        ("unetr", ["onnx-float32"], False),
        ("unet3d", ["tflite-int8"], False),
        (None, ["tflite-int8"], False),
    ],
)
def test_a_transformer_is_not_converted_to_int8_silently(network, formats, warned):
    warning = int8_warning(SimpleNamespace(provenance={"network": network}), formats)
    assert (warning is not None) == warned
    if warned:
        assert f"{network}: the zoo declares it float" in warning
        assert "onnx-float32 and tflite-float32 are exact" in warning
