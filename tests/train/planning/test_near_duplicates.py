"""Scans of one patient that names do not give away: nearly the same, or of one DICOM patient."""

import dataclasses
import json

import nibabel
import numpy as np
import pytest
from scipy import ndimage

from train.data.dataset import open_dataset
from train.data.grouping import joined, of_equal_keys
from train.planning.inspection import inspect
from train.planning.near_duplicates import near_duplicates, sketch, with_duplicates_together
from train.planning.planner import make_plan


def anatomy(number, shape=(40, 36, 30)):
    """What all scans share, and what this patient alone has."""
    common = ndimage.gaussian_filter(np.random.default_rng(99).normal(size=shape), 5)
    own = ndimage.gaussian_filter(np.random.default_rng(number).normal(size=shape), 3)
    return (3 * common / common.std() + own / own.std()).astype(np.float32)


def noisy(scan, seed):
    return scan + np.random.default_rng(seed).normal(0, 0.3, scan.shape).astype(np.float32)


def test_a_sketch_is_the_means_of_equal_parts():
    voxels = np.random.default_rng(0).normal(size=(32, 48, 2)).astype(np.float32)
    means = voxels[..., 0].reshape(16, 2, 16, 3).mean((1, 3)).ravel()
    np.testing.assert_allclose(sketch(voxels), (means - means.mean()) / means.std(), atol=1e-5)
    assert sketch(voxels[:5, :5]).shape == (256,)  # fewer voxels than parts
    assert not sketch(np.ones((20, 20, 1), np.float32)).any()


def test_patients_differ_though_their_anatomy_is_one():
    scans = [anatomy(number) for number in range(8)]
    altered = [noisy(2.5 * scans[0] + 100, 1), noisy(scans[3], 2)[1:, :, 1:]]  # another gain, another crop
    sketches = [sketch(scan[..., None]) for scan in (*scans, *altered)]
    assert near_duplicates(sketches) == [(0, 8), (3, 9)]
    assert near_duplicates(sketches[:8]) == []
    assert near_duplicates(sketches[:1]) == []


def test_groups_are_joined_along_chains():
    assert joined("abcde", [(0, 2), (2, 4)]) == ("a", "b", "a", "d", "a")
    assert joined("abcde", [(4, 2), (2, 0)]) == ("a", "b", "a", "d", "a")
    assert joined(("x", "y", "x", "z"), [(1, 3)]) == ("x", "y", "x", "y")
    assert joined("ab", []) == ("a", "b")
    assert of_equal_keys([5, None, 7, 5, None, 5]) == [(0, 0), (2, 2), (0, 3), (0, 5)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Eight patients by names that tell nothing, and another scan of the first two."""
    top = tmp_path_factory.mktemp("alike")
    names = ["oak", "elm", "ash", "fir", "yew", "bay", "fig", "nut", "pear", "plum"]
    scans = [anatomy(number) for number in range(8)]
    scans += [noisy(scans[0], 1), noisy(scans[1], 2)]
    for kind in ("images", "labels"):
        (top / kind).mkdir()
    for name, scan in zip(names, scans, strict=True):
        label = (scan > np.percentile(scan, 90)).astype(np.uint8)
        nibabel.save(nibabel.Nifti1Image(scan, np.eye(4)), top / "images" / f"{name}.nii.gz")
        nibabel.save(nibabel.Nifti1Image(label, np.eye(4)), top / "labels" / f"{name}.nii.gz")
    (top / "dataset.json").write_text(json.dumps({"labels": {"background": 0, "bright": 1}}))
    return top


def test_the_plan_keeps_them_in_one_fold_and_says_so(folder):
    plan = make_plan(open_dataset(folder), folds=4)
    fold_of = {name: number for number, fold in enumerate(plan.folds) for name in fold}
    assert fold_of["oak"] == fold_of["pear"]
    assert fold_of["elm"] == fold_of["plum"]
    assert "scans that are nearly alike are of one patient: elm and plum, oak and pear" in plan.reasons["folds"]


def test_what_the_user_says_stays(folder):
    for groups in ("none", "^."):
        dataset = open_dataset(folder, groups=groups)
        plan = make_plan(dataset, folds=4)
        assert "nearly alike" not in plan.reasons["folds"]
    dataset = open_dataset(folder)
    facts = inspect(dataset).facts
    by_author = dataclasses.replace(dataset, cases=tuple(dataclasses.replace(case, fold=0) for case in dataset.cases))
    assert with_duplicates_together(by_author, facts, 4) is by_author


def test_folds_that_would_be_left_without_groups(folder):
    dataset = open_dataset(folder)
    kept = with_duplicates_together(dataset, inspect(dataset).facts, 9)
    assert kept.cases == dataset.cases
    assert (
        "not joined: elm and plum, oak and pear are nearly alike, which would leave 8 groups for 9 folds"
        in kept.grouping
    )
