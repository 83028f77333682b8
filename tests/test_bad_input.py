"""A user's mistakes at the front door: one clear line, exit status 1 or 2, no traceback, nothing half-written."""

import json
from pathlib import Path

import numpy as np
import pytest
from dataset_folders import scan_3d, write_msd

import imaging
from imaging.scan import Scan
from zoo.cli import main


@pytest.fixture
def folder(tmp_path):
    return write_msd(tmp_path / "balls", cases=6)


def spoil_image(folder, change):
    path = folder / "imagesTr" / "case_003.nii.gz"
    change(path)
    return path


def truncate(path):
    path.write_bytes(path.read_bytes()[:300])


def put_nan(path):
    scan = imaging.read(path)
    voxels = scan.voxels.copy()
    voxels[3, 4, 5] = np.nan
    _write_raw(path, voxels, scan.affine)


def put_infinity(path):
    scan = imaging.read(path)
    voxels = scan.voxels.copy()
    voxels[0, 0, 0] = np.inf
    _write_raw(path, voxels, scan.affine)


def make_4d(path):
    scan = imaging.read(path)
    _write_raw(path, np.stack([scan.voxels[..., 0]] * 3, axis=-1)[..., None], scan.affine)


def make_larger(path):
    image, _ = scan_3d(3, shape=(22, 24, 16))
    imaging.write(path, image)


def _write_raw(path, voxels, affine):
    import nibabel

    nibabel.save(nibabel.Nifti1Image(voxels.squeeze(-1) if voxels.shape[-1] == 1 else voxels, affine), path)


def run(words, capfd):
    status = main([str(word) for word in words])
    said = capfd.readouterr().err
    assert "Traceback" not in said
    return status, said


def check_one_line(status, said, *expected):
    assert status in (1, 2)
    errors = [line for line in said.splitlines() if "error:" in line]
    assert len(errors) == 1, said
    for words in expected:
        assert words in said


TRAIN = ("--fold", 0, "--epochs", 1, "--steps-per-epoch", 1, "--batch", 1)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (Path.unlink, ("case_003",)),
        (truncate, ("case_003",)),
        (put_nan, ("case_003", "NaN")),
        (put_infinity, ("case_003", "infinite")),
        (make_4d, ("case_003",)),
        (make_larger, ("case_003", "(22, 24, 16)")),
    ],
    ids=["missing", "truncated", "NaN", "infinite", "4D", "shapes differ"],
)
def test_a_spoilt_case_stops_training_before_it_starts(folder, tmp_path, capfd, change, expected):
    spoil_image(folder, change)
    out = tmp_path / "run"
    status, said = run(["train", folder, "--out", out, "--cache", tmp_path / "cache", *TRAIN], capfd)
    check_one_line(status, said, *expected)
    assert not (out / "model.keras").exists()


def test_label_value_that_the_dataset_does_not_know(folder, tmp_path, capfd):
    path = folder / "labelsTr" / "case_002.nii.gz"
    label = imaging.read_labels(path)
    voxels = label.voxels.copy()
    voxels[0, 0, 0] = 9
    imaging.write(path, Scan(voxels, label.affine))
    status, said = run(["train", folder, "--out", tmp_path / "run", "--cache", tmp_path / "cache", *TRAIN], capfd)
    check_one_line(status, said, "case_002", "9")


def test_fewer_cases_than_folds(tmp_path, capfd):
    folder = write_msd(tmp_path / "few", cases=3)
    out = tmp_path / "plan.json"
    status, said = run(["plan", folder, "-o", out], capfd)
    check_one_line(status, said, "3", "5")
    assert not out.exists()


def test_check_lists_every_problem_at_once(folder, capfd):
    spoil_image(folder, put_nan)
    empty = folder / "labelsTr" / "case_005.nii.gz"
    label = imaging.read_labels(empty)
    imaging.write(empty, Scan(np.zeros_like(label.voxels), label.affine))
    status = main(["plan", str(folder), "--check"])
    printed = capfd.readouterr()
    assert status == 1
    assert "case_003" in printed.out + printed.err
    assert "case_005" in printed.out + printed.err


def test_constant_image(folder, tmp_path, capfd):
    image = folder / "imagesTr" / "case_004.nii.gz"
    scan = imaging.read(image)
    imaging.write(image, Scan(np.full_like(scan.voxels, 7), scan.affine))
    status, said = run(["train", folder, "--out", tmp_path / "run", "--cache", tmp_path / "cache", *TRAIN], capfd)
    check_one_line(status, said, "case_004", "constant")


def test_a_case_with_an_empty_mask_is_trained_on(folder, tmp_path, capfd):
    mask = folder / "labelsTr" / "case_004.nii.gz"
    label = imaging.read_labels(mask)
    imaging.write(mask, Scan(np.zeros_like(label.voxels), label.affine))
    status, said = run(["train", folder, "--out", tmp_path / "run", "--cache", tmp_path / "cache", *TRAIN], capfd)
    assert status == 0, said
    assert (tmp_path / "run" / "model.keras").exists()


@pytest.mark.parametrize(
    ("words", "status", "expected"),
    [
        (("train", "{folder}", "--model", "unet3", "--out", "{out}"), 2, ("unet3d",)),
        (("export", "{out}", "--format", "tflite-int9", "--out", "{out}"), 2, ("tflite-int8",)),
        (("export", "{folder}", "--format", "tflite-int8", "--out", "{out}"), 1, ("not a finished run",)),
        (("train", "{folder}", "--out", "{file}/run"), 1, ("cannot be written",)),
        (("plan", "{folder}", "-o", "{file}/plan.json"), 1, ("cannot be written",)),
        (("train", "{folder}", "--fold", "7", "--out", "{out}"), 2, ("7",)),
        (("evaluate", "{folder}", "{folder}"), 1, ("not a run folder",)),
        (("train", "{file}", "--out", "{out}"), 1, ("file",)),
    ],
)
def test_wrong_words(folder, tmp_path, capfd, words, status, expected):
    file = tmp_path / "file"
    file.write_text("in the way", encoding="utf-8")
    words = [word.format(folder=folder, out=tmp_path / "out", file=file) for word in words]
    exit_status, said = run(words, capfd)
    check_one_line(exit_status, said, *expected)
    assert exit_status == status
    assert file.read_text(encoding="utf-8") == "in the way"
    assert not list(tmp_path.rglob("*.tmp"))


def test_plan_edited_into_nonsense(folder, tmp_path, capfd):
    path = tmp_path / "plan.json"
    assert main(["plan", str(folder), "-o", str(path)]) == 0
    plan = json.loads(path.read_text(encoding="utf-8"))
    plan["traning"] = plan.pop("training")
    path.write_text(json.dumps(plan), encoding="utf-8")
    capfd.readouterr()
    status, said = run(["train", folder, "--plan", path, "--out", tmp_path / "run"], capfd)
    check_one_line(status, said, "traning", "plan.json")


def test_an_edited_plan_that_cannot_work_says_which_field_and_what_would_do(folder, tmp_path, capfd):
    path, out = tmp_path / "plan.json", tmp_path / "run"
    assert main(["plan", str(folder), "-o", str(path)]) == 0
    text = path.read_text(encoding="utf-8")
    for change, expected in (
        (lambda p: p.update(patch=[20, 24, 15]), ("patch (20, 24, 15)", "use (20, 24, 16)")),
        (lambda p: p["labels"].append({"name": "more", "value": 3}), ("labels are", "3 more", "plan again")),
        (lambda p: p["network"]["options"].update(widht=8), ("network.options", "Did you mean 'width'?")),
        (lambda p: p["network"]["options"].update(width="wide"), ("network.options", "'width': 'wide'")),
        (lambda p: p["recipe"]["normalise"].update(kind="minmax"), ("recipe: normalise kind 'minmax'", "'zscore'")),
    ):
        plan = json.loads(text)
        change(plan)
        path.write_text(json.dumps(plan), encoding="utf-8")
        capfd.readouterr()
        status, said = run(["train", folder, "--plan", path, "--out", out], capfd)
        check_one_line(status, said, *expected)
        assert not out.exists()
