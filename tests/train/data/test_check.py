import dataclasses
import json

import numpy as np
import pytest
from dataset_folders import scan_3d, write_flat, write_msd

import imaging
from imaging.scan import Scan
from medseg.errors import InputError
from train.data.check import check_dataset
from train.data.dataset import open_dataset
from train.planning.planner import make_plan


def replace_image(folder, number, change):
    image, _ = scan_3d(number)
    imaging.write(folder / "imagesTr" / f"case_{number:03d}.nii.gz", Scan(change(image.voxels.copy()), image.affine))


def replace_label(folder, number, change, affine=None):
    _, label = scan_3d(number)
    affine = label.affine if affine is None else affine
    imaging.write(folder / "labelsTr" / f"case_{number:03d}.nii.gz", Scan(change(label.voxels.copy()), affine))


def spoil(voxels):
    voxels[0, 0, :3, 0] = np.nan, np.inf, -np.inf
    return voxels


def test_a_sound_dataset_has_no_problem(tmp_path):
    report = check_dataset(write_msd(tmp_path, cases=6), folds=3)
    assert report.problems == ()
    assert len(report.inspection.facts) == 6


def test_every_problem_at_once(tmp_path):
    write_msd(tmp_path, cases=12)
    shifted = scan_3d()[1].affine.copy()
    shifted[0, 3] = 7
    replace_image(tmp_path, 1, spoil)
    replace_label(tmp_path, 2, lambda v: v[:-2])
    replace_label(tmp_path, 3, lambda v: v, shifted)
    replace_label(tmp_path, 4, lambda v: v * 3)
    replace_label(tmp_path, 5, np.zeros_like)
    replace_image(tmp_path, 6, np.ones_like)
    truncated = tmp_path / "imagesTr" / "case_007.nii.gz"
    truncated.write_bytes(truncated.read_bytes()[:500])
    (tmp_path / "labelsTr" / "case_008.nii.gz").unlink()
    same = (tmp_path / "imagesTr" / "case_009.nii.gz").read_bytes()
    (tmp_path / "imagesTr" / "case_010.nii.gz").write_bytes(same)
    image, _ = scan_3d(11)
    four = np.repeat(image.voxels[..., 0, None], 2, axis=-1)
    imaging.write(tmp_path / "imagesTr" / "case_011.nii.gz", Scan(four, image.affine))
    report = check_dataset(tmp_path, folds=6)
    text = [str(problem) for problem in report.problems]
    expected = [
        ("case_008.nii.gz is missing", True),
        ("case_001.nii.gz: 3 of 7680 voxels are NaN or infinite", True),
        ("case_002.nii.gz: shape (18, 24, 16), but", True),
        ("case_003.nii.gz: lies up to 7 mm (7 voxels) away", True),
        ("case_004.nii.gz: holds label value 3, 6", True),
        ("case_005.nii.gz: marks nothing, every voxel is background", False),
        ("case_006.nii.gz: is constant, every voxel is 1", True),
        ("case_007.nii.gz", True),
        ("case_011.nii.gz", True),
        ("case_009, case_010: the same image under 2 names", False),
    ]
    for (part, fatal), problem in zip(expected, report.problems, strict=False):
        assert part in problem.message
        assert problem.fatal is fatal
        assert ("(warning)" in str(problem)) is not fatal
    leaks = [
        line for line in text[len(expected) :] if line.startswith("leak: case_009, case_010 are one image, in folds")
    ]
    assert text[len(expected) :] == leaks


def test_a_label_that_never_occurs(tmp_path):
    write_msd(tmp_path, cases=3, labels={"0": "background", "1": "a", "2": "b", "3": "ghost"})
    (problem,) = check_dataset(tmp_path, folds=3).problems
    assert str(problem) == "label 'ghost' (value 3) occurs in no case; take it out of dataset.json"


def test_mixed_channels_in_flat_images(tmp_path):
    write_flat(tmp_path, ["a", "b", "c"])
    colour = np.random.default_rng(0).integers(0, 255, (64, 48, 3))
    imaging.write(tmp_path / "images" / "b.png", Scan(colour, np.eye(4)))
    assert check_dataset(tmp_path, folds=2).problems == ()  # grey pictures are colour of three equal channels
    (tmp_path / "dataset.json").write_text(json.dumps({"modality": {"0": "ultrasound"}}))
    (problem,) = check_dataset(tmp_path, folds=2).problems
    assert "b.png: expected 1 channels, got 3" in problem.message


def test_too_few_groups(tmp_path):
    write_flat(tmp_path, ["1_a", "1_b", "2_a"])
    (problem,) = check_dataset(tmp_path, folds=3).problems
    assert "3 labelled cases in 2 groups cannot make 3 folds" in problem.message


def test_a_patient_in_two_folds_of_a_plan(tmp_path):
    write_flat(tmp_path, [f"{patient}_{view}" for patient in "123" for view in "ab"])
    plan = make_plan(open_dataset(tmp_path), folds=3)
    assert check_dataset(tmp_path, plan=plan).problems == ()
    first, second, third = plan.folds
    leaking = dataclasses.replace(plan, folds=((first[0], second[1]), (second[0], first[1]), third))
    (problem,) = check_dataset(tmp_path, plan=leaking).problems
    assert problem.message.count("keep its cases together") == 2
    assert "is in folds 0, 1" in problem.message


def test_a_folder_that_is_none(tmp_path):
    with pytest.raises(InputError, match="not a dataset"):
        check_dataset(tmp_path)


def test_a_value_that_the_description_lacks_is_told_for_every_case(tmp_path):
    problems = check_dataset(write_msd(tmp_path, cases=2, labels={"0": "background", "1": "only"}), folds=2).problems
    assert len(problems) == 2
    for number, problem in enumerate(problems, start=1):
        assert f"case_{number:03d}.nii.gz: holds label value 2; the dataset's labels are 0 background, 1 only" in str(
            problem
        )
