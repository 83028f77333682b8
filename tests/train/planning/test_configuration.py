"""2D or 3D: the rule, what the user asks for, and plans of volumes that go slice by slice."""

from dataclasses import replace

import nibabel
import numpy as np
import pytest
from dataset_folders import scan_of_slices, write_msd

import imaging
from imaging import UsageError
from imaging.recipe import Recipe
from medseg import record
from train.data.dataset import open_dataset
from train.planning.configuration import Asked, Slicing, check_asked, plan_configuration
from train.planning.low_resolution import low_resolution
from train.planning.plan import load_plan
from train.planning.plan_check import check_plan
from train.planning.planner import make_plan


def measured(spacing, shape):
    return {"rank": len(shape), "spacing": {"median": spacing}, "shape": {"median": shape}}


@pytest.fixture(scope="module")
def thick(tmp_path_factory):
    return open_dataset(write_msd(tmp_path_factory.mktemp("thick"), cases=6, make=scan_of_slices))


@pytest.mark.parametrize(
    ("spacing", "shape", "expected"),
    [
        ((1.25, 1.25, 10), (192, 192, 12), ("2d", "SRA")),  # short-axis cardiac MR
        ((0.6, 3.6, 0.6), (320, 20, 320), ("2d", "ARS")),  # coronal
        ((8.0, 1.0, 1.0), (10, 200, 200), ("2d", "RAS")),  # sagittal
        ((1, 1, 1), (35, 50, 35), ("3d", "RAS")),
        ((0.8, 0.8, 5.0), (512, 512, 100), ("2d", "SRA")),
        ((1, 1, 3), (100, 100, 20), ("3d", "RAS")),  # not more than three times as thick
        ((1, 1, 4), (100, 100, 40), ("3d", "RAS")),  # thick, but as many as the plane is wide, nearly
        ((1, 1, 2), (100, 100, 1), ("2d", "SRA")),  # single slices
        ((1, 1, 0.2), (100, 100, 1), ("2d", "SRA")),  # whatever their thickness says
        ((1, 1, 1), (100, 3, 100), ("2d", "ARS")),
    ],
)
def test_the_rule(spacing, shape, expected):
    reasons = {}
    configuration = plan_configuration(measured(spacing, shape), reasons)
    assert (configuration.configuration, configuration.orientation) == expected
    assert reasons["configuration"].startswith(expected[0])
    assert configuration.ordered("RAS") == tuple(configuration.orientation)
    assert configuration.slices == (expected[0] == "2d")


def test_flat_scans_are_2d():
    assert plan_configuration(measured((1, 1), (100, 100)), {}) == Slicing("2d", 0, (0, 1), "picture")


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (Asked("2d"), ("2d", 1, "SRA")),
        (Asked("2.5d"), ("2.5d", 3, "SRA")),
        (Asked("2.5d", 5, "A"), ("2.5d", 5, "ARS")),
        (Asked(slices=3), ("2.5d", 3, "SRA")),
        (Asked(plane="R"), ("2d", 1, "RAS")),
        (Asked(rank=2), ("2d", 1, "SRA")),
        (Asked("3d"), ("3d", 0, "RAS")),
        (Asked("3d-low"), ("3d-low", 0, "RAS")),
    ],
)
def test_what_the_user_asks_for_is_done(asked, expected):
    configuration = plan_configuration(measured((1, 1, 1.5), (100, 100, 90)), {}, asked)
    assert (configuration.configuration, configuration.slices, configuration.orientation) == expected


def test_slices_that_lie_another_way_in_every_scan(tmp_path):
    def turned(seed):
        affine = np.eye(4)[:, [seed % 3, (seed + 1) % 3, (seed + 2) % 3, 3]] * [8.0, 1.0, 1.0, 1.0]
        return tuple(replace(scan, affine=affine) for scan in scan_of_slices(seed))

    dataset = open_dataset(write_msd(tmp_path, cases=6, make=turned))
    plan = make_plan(dataset, folds=2)
    assert (plan.configuration, plan.recipe.orientation, plan.recipe.slices) == ("2d", None, 1)
    assert (plan.recipe.spacing, plan.patch) == ((8.0, 1.0, 1.0), (40, 40))
    for case in dataset.cases:
        scan = imaging.read(case.images[0])
        prepared = imaging.prepare(scan, plan.recipe)
        assert prepared.shape[0] == 6
        assert prepared.spacing == pytest.approx((8, 1, 1))
        np.testing.assert_allclose(imaging.restore(prepared.voxels, prepared, scan), imaging.prepare(
            scan, replace(plan.recipe, slices=0)).voxels, atol=1e-4)  # fmt: skip
    fixed = make_plan(dataset, folds=2, slice_axis="S")
    assert fixed.recipe.orientation == "SRA"
    assert make_plan(dataset, folds=2, configuration="3d").recipe.orientation == "RAS"


def test_thick_slices_of_every_scan_count_where_the_medians_are_of_none():
    reasons = {}
    configuration = plan_configuration(measured((1, 1, 1.5), (100, 100, 90)), reasons, own=True)
    assert (configuration.configuration, configuration.slices, configuration.orientation) == ("2d", 1, None)
    assert reasons["configuration"] == "2d: thick slices in every scan, though not by the medians of all"


def test_a_3d_network_keeps_thick_slices_whole():
    reasons = {}
    configuration = plan_configuration(measured((1, 1, 9), (100, 100, 9)), reasons, Asked(rank=3))
    assert configuration == Slicing.whole(3)
    assert reasons["configuration"].startswith("given by the user; 2d: thick slices")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (Asked("4d"), "configuration '4d': expected one of 2d, 2.5d, 3d, 3d-low"),
        (Asked(slices=2), "context_slices 2: expected an odd number"),
        (Asked(slices=-1), "context_slices -1: expected an odd number"),
        (Asked(plane="Z"), "slice_axis 'Z': expected one of R, A, S"),
        (Asked("3d", 3), "configuration '3d': takes volumes whole"),
        (Asked("3d-low", plane="S"), "configuration '3d-low': takes volumes whole"),
        (Asked("2d", 3), "configuration '2d': expected context_slices 1, got 3"),
        (Asked("2.5d", 1), "configuration '2.5d': expected context_slices of 3 and more, got 1"),
        (Asked("2d", rank=3), "configuration 2d: expected a 2D network and patch, got 3D"),
        (Asked("3d", rank=2), "configuration 3d: expected a 3D network and patch, got 2D"),
    ],
)
def test_what_does_not_fit_together(asked, message):
    with pytest.raises(UsageError, match=message):
        check_asked(asked)


@pytest.mark.parametrize("asked", [Asked("3d"), Asked("2.5d"), Asked(slices=3), Asked(plane="S")])
def test_flat_scans_have_no_slices(asked):
    with pytest.raises(UsageError, match="expected volumes, these scans are 2D; leave it out"):
        plan_configuration(measured((1, 1), (100, 100)), {}, asked)


def test_low_resolution_is_nnunets():
    facts, reasons = measured((0.8, 0.8, 2.5), (512, 512, 300)), {}
    recipe = low_resolution(Recipe(3, spacing=(0.8, 0.8, 2.5)), facts, (512, 512, 300), reasons)
    shape = [n * old / new for n, old, new in zip((512, 512, 300), (0.8, 0.8, 2.5), recipe.spacing, strict=True)]
    patch = 48**3
    assert 0.25 <= patch / np.prod(shape) < 0.25 * 1.03**3 * 1.01
    assert recipe.spacing[0] == recipe.spacing[1] <= recipe.spacing[2] <= 2 * 1.03 * recipe.spacing[0]
    assert "instead of 0.8×0.8×2.5 mm" in reasons["recipe.spacing"]
    with pytest.raises(UsageError, match=r"scan \(70, 70, 70\) has 343000 voxels, expected more than 442368"):
        low_resolution(Recipe(3, spacing=(1.0, 1.0, 1.0)), measured((1, 1, 1), (70, 70, 70)), (70, 70, 70), {})


def test_a_plan_of_thick_slices(thick, tmp_path):
    plan = make_plan(thick, folds=3)
    assert (plan.configuration, plan.network.name, plan.recipe.slices) == ("2d", "unet", 1)
    assert plan.recipe.orientation == "SRA"
    assert plan.recipe.spacing == (8.0, 1.0, 1.0)
    assert plan.patch == (40, 40)
    assert plan.training.mirror == (0,)  # along axis A one rod always lies before the other
    assert plan.average_flips
    assert "2 passes of the network a slice" in plan.reasons["average_flips"]
    still = make_plan(thick, folds=3, mirror=())
    assert not still.average_flips
    assert still.reasons["average_flips"] == "there are no flips"
    record.save(tmp_path / "plan.json", plan)
    assert load_plan(tmp_path / "plan.json") == plan
    more = make_plan(thick, folds=3, context_slices=3, spacing=(2.0, 1.5))
    assert (more.configuration, more.recipe.patch_channels, more.recipe.spacing) == ("2.5d", 3, (8.0, 2.0, 1.5))
    assert make_plan(thick, folds=3, model="unet3d").configuration == "3d"
    assert len(make_plan(thick, folds=3, patch=(32, 32)).patch) == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"configuration": "3d"}, "configuration is '3d', expected '2d', as recipe.rank is 3 and recipe.slices is 1"),
        ({"patch": (16, 16, 16)}, r"patch \(16, 16, 16\): expected 2 sizes"),
        ({"training.mirror": (2,)}, "training.mirror holds axis 2, expected 0 to 1"),
        ({"network.name": "unet3d"}, "network 'unet3d' takes 3D, with recipe.slices patches are of rank 2"),
    ],
)
def test_a_plan_edited_by_hand(thick, changes, message):
    plan = make_plan(thick, folds=3)
    for name, value in changes.items():
        outer, _, inner = name.rpartition(".")
        part = {outer: replace(getattr(plan, outer), **{inner: value})} if outer else {inner: value}
        plan = replace(plan, **part)
    with pytest.raises(UsageError, match=message):
        check_plan(plan)


def test_model_and_patch_of_different_ranks(thick):
    with pytest.raises(UsageError, match=r"model 'unet' is 2D; patch .* is 3D; give both of one rank"):
        make_plan(thick, folds=3, model="unet", patch=(16, 16, 16))
    with pytest.raises(UsageError, match=r"size \(32, 32\): expected for flat images only"):
        make_plan(thick, folds=3, size=(32, 32))


def test_a_set_of_volumes_and_flat_scans_is_refused_in_one_line(tmp_path):
    folder = write_msd(tmp_path, cases=4)
    for name in ("imagesTr", "labelsTr"):
        path = folder / name / "case_002.nii.gz"
        nibabel.save(nibabel.Nifti1Image(nibabel.load(path).get_fdata()[:, :, 8].astype(np.int16), np.eye(4)), path)
    with pytest.raises(imaging.InputError, match="cases differ in spatial axes: 1 have 2, such as case_002") as caught:
        make_plan(open_dataset(folder), folds=2)
    assert "\n" not in str(caught.value)
