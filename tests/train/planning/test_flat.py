"""Plans of flat scans: PNG and NIfTI of the same pictures are prepared alike."""

import dataclasses

import numpy as np
import pytest
from dataset_folders import write_flat

import imaging
from imaging.scan import Scan
from medseg import record
from train.data.dataset import open_dataset
from train.input.cache import cached
from train.planning.inspection import inspect
from train.planning.plan import load_plan
from train.planning.planner import make_plan

NAMES = ("a", "b", "c", "d")
PLACED = np.array([[-1.0, 0, 0, 30], [0, -1, 0, -8], [0, 0, 1, 0], [0, 0, 0, 1]])


def as_nifti(folder, affine=PLACED, names=NAMES):
    """The PNG files of a folder as NIfTI files, columns first; masks of 1."""
    for part in ("images", "labels"):
        for name in names:
            path = folder / part / f"{name}.png"
            voxels = imaging.read(path).voxels.astype(np.int32).transpose(1, 0, 2)
            imaging.write(path.with_suffix(".nii.gz"), Scan(np.ascontiguousarray(voxels), affine))
            path.unlink()
    return folder


@pytest.fixture
def pictures(tmp_path):
    return write_flat(tmp_path / "pictures", NAMES)


def test_nifti_is_cached_as_png_is(pictures, tmp_path):
    made = {}
    for kind in ("png", "nifti"):
        dataset = open_dataset(as_nifti(pictures) if kind == "nifti" else pictures)
        plan = make_plan(dataset, folds=2)
        assert plan.recipe.orientation == "picture"
        assert plan.fingerprint["shape"]["median"] == [64, 48]
        case = cached(dataset.cases[0], dataclasses.replace(plan.recipe, clip=None), dataset.labels, tmp_path / kind)
        made[kind] = np.array(case.image()), np.array(case.label())
    assert made["png"][1].any()
    for png, nifti in zip(*made.values(), strict=True):
        np.testing.assert_array_equal(png, nifti)


def test_headers_that_do_not_say_how_they_lie(pictures):
    plan = make_plan(open_dataset(as_nifti(pictures, np.eye(4))), folds=2)
    assert plan.recipe.orientation == "stored"
    assert "only such scans" in plan.reasons["recipe.orientation"]


def test_both_in_one_dataset_are_a_problem(pictures):
    (problem,) = inspect(open_dataset(as_nifti(pictures, np.eye(4), NAMES[:1]))).fatal
    assert problem.startswith("1 flat cases, such as a, have headers that do not say which way the axes run, b and")


@pytest.mark.parametrize(("sized", "orientation"), [(False, "picture"), (True, None)])
def test_plans_of_before(pictures, tmp_path, sized, orientation):
    plan = make_plan(open_dataset(pictures), folds=2)
    before = dataclasses.replace(plan.recipe, orientation=None)
    fingerprint = plan.fingerprint | {"has_spacing": sized}
    record.save(tmp_path / "plan.json", dataclasses.replace(plan, recipe=before, fingerprint=fingerprint))
    assert load_plan(tmp_path / "plan.json").recipe.orientation == orientation
