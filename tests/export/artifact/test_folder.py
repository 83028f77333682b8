"""A run to artifact folders: what is in them, and what cannot be exported."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from export_runs import LABELS, ball_network, write_run

import edge
import imaging
from edge.trust.verification import check_artifact
from export.artifact.folder import export_run
from export.errors import FormatError
from export.formats import FORMATS
from export.source.source import load_network, open_source
from imaging.measure import overlap
from medseg import record
from medseg.errors import InputError


def quietly(line):
    """Takes the place of printing."""


@pytest.fixture(scope="module")
def artifacts(run, tmp_path_factory):
    """The run in every format."""
    out = tmp_path_factory.mktemp("artifacts")
    lines = []
    folders = export_run(run, list(FORMATS), out, tell=lines.append)
    return out, folders, lines


@pytest.mark.parametrize("name", FORMATS)
def test_the_folder_is_complete_and_true(artifacts, run, name):
    out, folders, lines = artifacts
    folder = out / name
    assert folder in folders
    assert {"manifest.json", "CARD.md", "bom.json", "test_vector.npz", FORMATS[name].file} <= set(os.listdir(folder))
    manifest = edge.load_manifest(folder)
    assert set(manifest.files) == set(os.listdir(folder)) - {"manifest.json"}
    assert check_artifact(folder).vector.equal
    source = open_source(run)
    assert manifest.recipe == source.recipe
    assert manifest.patch == (8, 8, 8)
    assert manifest.labels == source.labels
    assert manifest.fidelity["verdict"] == "99.9 %"
    assert manifest.fidelity["cases"] == [case.name for case in source.validation]
    assert manifest.fidelity["labels"]["ball"]["dice_network"] > 0.85
    assert manifest.source["parameters"] == ball_network().count_params()
    quantized = FORMATS[name].quantized
    assert manifest.source["int8_share"] == (1.0 if name.endswith("-int8") else 0.0)
    assert set(manifest.calibration) == ({case.name for case in source.training} if quantized else set())
    card = (folder / "CARD.md").read_text(encoding="utf-8")
    assert manifest.sha256 in card
    if manifest.input.scale:
        assert f"scale {manifest.input.scale:.9g}, zero point {manifest.input.zero_point}" in card
    assert "99.9 %" in card
    assert "Not a medical device" in card
    assert any(line.startswith(f"{name}: verdict 99.9 %") for line in lines)


def test_nothing_else_is_left_beside_the_artifacts(artifacts):
    assert sorted(os.listdir(artifacts[0])) == sorted(FORMATS)


def test_the_device_finds_the_ball(artifacts, run):
    case = open_source(run).validation[0]
    scan, reference = imaging.read(case.images[0]), imaging.read_labels(case.label).voxels
    for name in FORMATS:
        labels = edge.load(artifacts[0] / name, 1).predict(scan).labels
        np.testing.assert_array_equal(labels.affine, scan.affine)
        assert set(np.unique(labels.voxels)) == {0, 3}
        assert overlap.dice(labels.voxels == 3, reference == 3) > 0.85


@pytest.mark.parametrize(("rank", "channels"), [(2, 1), (3, 2)])
def test_grey_images_in_colour_and_channels_as_fourth_axis(tmp_path, rank, channels):
    made = write_run(tmp_path, rank, channels)
    (folder,) = export_run(made, ["tflite-int8"], tmp_path / "out", tell=quietly)
    manifest = edge.load_manifest(folder)
    assert manifest.input.shape[-1] == channels
    assert manifest.folded == (rank == 3)
    assert manifest.fidelity["verdict"] == "99.9 %"


def test_another_patch_and_no_verification(run, tmp_path):
    (folder,) = export_run(
        run, ["tflite-float32"], tmp_path / "deep" / "out", patch=[4, 12, 8], verify=False, tell=quietly
    )
    manifest = edge.load_manifest(folder)
    assert manifest.patch == (4, 12, 8)
    assert manifest.fidelity == {}
    assert "Not verified" in (folder / "CARD.md").read_text(encoding="utf-8")


def test_calibration_reads_training_cases_only(run, tmp_path, monkeypatch):
    read, opened = imaging.read, []
    monkeypatch.setattr(
        imaging, "read", lambda paths, *given, **named: opened.extend(paths) or read(paths, *given, **named)
    )
    export_run(run, ["tflite-int8"], tmp_path, verify=False, tell=quietly)
    assert sorted({Path(path).name for path in opened}) == [f"training_{n}.nii.gz" for n in range(3)]


def test_an_unknown_format_is_named_before_any_work(tmp_path):
    with pytest.raises(FormatError, match=r"'tflite-int-8' is unknown: did you mean tflite-int8\?"):
        export_run(tmp_path / "no run", ["tflite-int-8"], tmp_path / "out", tell=quietly)
    with pytest.raises(FormatError, match="'x' is unknown: expected one of tflite-float32, "):
        export_run(tmp_path / "no run", ["x"], tmp_path / "out", tell=quietly)
    assert os.listdir(tmp_path) == []
    assert FormatError.exit_status == 2


def test_a_run_that_is_not_finished(run, tmp_path):
    with pytest.raises(InputError, match=r"not a finished run folder, plan\.json, cases\.json, model\.keras missing"):
        export_run(tmp_path, ["tflite-int8"], tmp_path / "out", tell=quietly)
    broken = shutil.copytree(run, tmp_path / "run")
    plan = json.loads((broken / "plan.json").read_text())
    (broken / "plan.json").write_text(json.dumps({k: v for k, v in plan.items() if k != "patch"}))
    with pytest.raises(InputError, match="field 'patch' is missing"):
        open_source(broken)
    (broken / "plan.json").write_text("{")
    with pytest.raises(InputError, match="not readable as JSON"):
        open_source(broken)


@pytest.mark.parametrize("content", [b"", b"no zip", None])
def test_a_damaged_network_is_one_line(run, tmp_path, content):
    path = tmp_path / "model.keras"
    whole = (run / "model.keras").read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if content is None else content)
    with pytest.raises(InputError, match="not readable as a Keras archive") as caught:
        load_network(path)
    assert "\n" not in str(caught.value)


def test_a_run_without_training_cases_calibrates_nothing(tmp_path):
    made = write_run(tmp_path, training=0)
    with pytest.raises(InputError, match="calibration: the run lists no training cases"):
        export_run(made, ["tflite-int8"], tmp_path / "out", tell=quietly)
    export_run(made, ["tflite-float32"], tmp_path / "out", tell=quietly)
    made = write_run(tmp_path / "other", training=0, validation=0)
    with pytest.raises(InputError, match="expected at least one labelled case held back from training, got none"):
        export_run(made, ["tflite-float32"], tmp_path / "out2", tell=quietly)
    assert os.listdir(tmp_path / "out2") == []


def test_a_scan_that_is_gone_or_broken(run, tmp_path):
    made = write_run(tmp_path)
    scan = Path(open_source(made).training[0].images[0])
    scan.write_bytes(scan.read_bytes()[:200])
    with pytest.raises(InputError, match=str(scan)):
        export_run(made, ["tflite-int8"], tmp_path / "out", tell=quietly)
    assert not (tmp_path / "out").exists()


def test_what_cross_validation_adopted_is_in_the_manifest(tmp_path):
    folder = write_run(tmp_path / "balls").rename(tmp_path / "fold_0")
    chosen = {"classes": [{"label": LABELS[1].name, "largest": True, "min_volume_mm3": 8.0, "fill_holes": False}]}
    summary = {"folds": [0, 1], "postprocessing": {"chosen": chosen}}
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    (written,) = export_run(folder, ["onnx-float32"], tmp_path / "out", tell=quietly)
    assert record.to_dict(edge.load_manifest(written).postprocessing)["classes"] == tuple(chosen["classes"])
    assert edge.load_manifest(written).fidelity["labels"][LABELS[1].name]["dice_drop"] == pytest.approx(0, abs=1e-3)
    (tmp_path / "summary.json").write_text(json.dumps(summary | {"folds": [1, 2]}))  # of other runs
    assert not open_source(folder).postprocessing.classes
    (tmp_path / "summary.json").unlink()
    assert not open_source(folder).postprocessing.classes


def test_flips_that_the_plan_averages_over_are_in_the_manifest(tmp_path):
    run = write_run(tmp_path, training=1, validation=1)
    plan = json.loads((run / "plan.json").read_text())
    for averages, expected in ((False, ()), (True, (0, 2))):
        changed = plan | {"training": {"seed": 0, "mirror": [0, 2]}, "average_flips": averages}
        (run / "plan.json").write_text(json.dumps(changed))
        (folder,) = export_run(run, ["tflite-float32"], tmp_path / str(averages), tell=quietly)
        assert edge.load_manifest(folder).mirror == expected


def test_a_link_to_a_fold_and_a_run_fine_tuned_from_it_are_cleaned_up_as_the_fold_is(tmp_path):
    folder = write_run(tmp_path / "balls").rename(tmp_path / "fold_0")
    chosen = {"classes": [{"label": LABELS[1].name, "largest": True, "min_volume_mm3": 8.0, "fill_holes": False}]}
    (tmp_path / "summary.json").write_text(json.dumps({"folds": [0, 1], "postprocessing": {"chosen": chosen}}))
    (tmp_path / "best").symlink_to(folder)
    starts = {tmp_path / "tuned": folder, tmp_path / "again": tmp_path / "tuned"}
    for tuned, start in starts.items():
        shutil.copytree(folder, tuned)
        plan = json.loads((tuned / "plan.json").read_text())
        plan["training"] |= {"quantize": "per-channel", "start": str(start)}
        (tuned / "plan.json").write_text(json.dumps(plan))
    for run in (tmp_path / "best", *starts):
        assert record.to_dict(open_source(run).postprocessing)["classes"] == tuple(chosen["classes"]), run
    plan["training"]["quantize"] = ""  # another training, perhaps of another dataset
    (tmp_path / "again" / "plan.json").write_text(json.dumps(plan))
    assert not open_source(tmp_path / "again").postprocessing.classes
