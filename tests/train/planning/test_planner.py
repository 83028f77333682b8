import dataclasses

import numpy as np
import pytest
from dataset_folders import scan_3d, write_flat, write_msd

import imaging
from imaging.recipe import Clip, Normalise, Recipe
from imaging.scan import Scan
from medseg import record
from medseg.errors import InputError, UsageError
from train.cli import main
from train.data.dataset import open_dataset
from train.planning.plan import Network, Plan, load_plan
from train.planning.plan_check import check_plan
from train.planning.planner import make_plan
from train.planning.recipe_rules import plan_recipe, prepared_shape
from train.planning.shape_rules import level_kernels, level_strides, plan_batch, plan_patch, plan_strides, total_stride


@pytest.fixture(scope="module")
def balls(tmp_path_factory):
    return open_dataset(write_msd(tmp_path_factory.mktemp("balls"), cases=6))


def measured(**changes):
    """A fingerprint of 3D MR at 1 mm."""
    base = {
        "cases": 100,
        "rank": 3,
        "channels": ["MRI"],
        "has_spacing": True,
        "shape": {"median": [35, 50, 35], "minimum": [31, 40, 24], "maximum": [43, 59, 47]},
        "extent_mm": [35, 50, 35],
        "nonzero_share": 1.0,
        "nonzero_extent_mm": [35, 50, 35],
        "spacing": {k: [1, 1, 1] for k in ("median", "percentile_10", "minimum", "maximum")},
        "intensity": [{"mean": 40.0, "std": 20.0, "percentile_00_5": -50.0, "percentile_99_5": 120.0}],
        "classes": {"background": {"thickness": None}, "organ": {"thickness": None}},
        "ordered": {},
    }
    return {**base, **changes}


def flat(shape, thickness, background=200.0):
    return measured(
        rank=2,
        has_spacing=False,
        shape={k: list(shape) for k in ("median", "minimum", "maximum")},
        extent_mm=list(shape),
        nonzero_extent_mm=list(shape),
        spacing={k: [1, 1] for k in ("median", "percentile_10", "minimum", "maximum")},
        classes={"background": {"thickness": background}, "organ": {"thickness": thickness}},
    )


def test_plan_of_small_volumes(balls):
    plan = make_plan(balls, folds=3)
    assert plan.network == Network("unet3d", {"depth": 3, "strides": [[2, 2, 2], [2, 2, 2]]})
    assert plan.patch == (20, 24, 16)
    assert plan.recipe.orientation == "RAS"
    assert plan.recipe.spacing == (1, 1, 2)
    assert plan.labels == balls.labels
    assert plan.training.mirror == (0, 2)
    assert not plan.average_flips
    assert "4 passes of the network cost more than they bring" in plan.reasons["average_flips"]
    assert sorted(name for fold in plan.folds for name in fold) == [case.name for case in balls.cases]
    assert {"recipe.spacing", "patch", "mirror", "batch", "folds"} <= set(plan.reasons)


def test_plan_survives_json(balls, tmp_path):
    plan = make_plan(balls, folds=2)
    record.save(tmp_path / "plan.json", plan)
    loaded = record.load(tmp_path / "plan.json", Plan)
    assert loaded == plan
    check_plan(loaded, balls)


def test_the_network_takes_the_planned_patch(balls):
    from zoo.blocks.stages import stages

    plan = make_plan(balls, folds=2)
    levels = stages(3, width=4, **plan.network.options)
    assert all(size % step == 0 for size, step in zip(plan.patch, levels.multiple, strict=True))


def test_overrides(balls):
    plan = make_plan(balls, folds=2, patch=(16, 16, 16), batch=3, epochs=7, mirror=(), overlap=0.25, spacing=(2, 2, 2))
    assert plan.patch == (16, 16, 16)
    assert plan.recipe.spacing == (2, 2, 2)
    assert (plan.training.batch, plan.training.epochs, plan.training.mirror, plan.overlap) == (3, 7, (), 0.25)
    assert plan.reasons["patch"] == plan.reasons["batch"] == "given by the user"
    with pytest.raises(UsageError, match="plan override pach: unknown; expected one of patch"):
        make_plan(balls, pach=(16, 16, 16))


def test_network_options_by_the_user_switch_the_depth_rule_off(balls):
    plan = make_plan(balls, folds=2, options={"depth": 2, "width": 8})
    assert plan.network.options == {"depth": 2, "width": 8}
    assert plan.patch == (20, 24, 16)


def test_model_of_the_other_rank(balls, tmp_path):
    plan = make_plan(balls, model="unet", folds=2)
    assert (plan.configuration, plan.recipe.slices, len(plan.patch)) == ("2d", 1, 2)
    flat = open_dataset(write_flat(tmp_path / "flat", [f"{n:03d}_a" for n in range(2)]))
    with pytest.raises(UsageError, match="'unet3d' takes 3D scans, these are 2D; ask for 'unet'"):
        make_plan(flat, model="unet3d", folds=2)


def test_problems_forbid_a_plan(tmp_path):
    write_msd(tmp_path, cases=4)
    image, labels = scan_3d()
    bad = image.voxels.copy()
    bad[0, 0, 0] = np.nan
    imaging.write(tmp_path / "imagesTr" / "case_002.nii.gz", Scan(bad, image.affine))
    imaging.write(tmp_path / "labelsTr" / "case_003.nii.gz", Scan(labels.voxels[:-1], labels.affine))
    with pytest.raises(InputError) as caught:
        make_plan(open_dataset(tmp_path), folds=2)
    lines = str(caught.value).splitlines()
    assert lines[0].endswith("2 problems")
    assert "case_002.nii.gz: 1 of" in lines[1]
    assert "case_003.nii.gz: shape (19, 24, 16)" in lines[2]


def test_fewer_cases_than_folds(balls):
    with pytest.raises(InputError, match="6 labelled cases in 6 groups cannot make 7 folds"):
        make_plan(balls, folds=7)


def test_hippocampus_like_scans_get_the_published_patch():
    reasons = {}
    recipe = plan_recipe(measured(), reasons)
    assert recipe.clip == Clip("percentile", 0.5, 99.5)
    assert recipe.normalise == Normalise("zscore")
    shape = prepared_shape(measured(), recipe)
    assert level_strides(shape, recipe.spacing, 4) == [(2, 2, 2)] * 3
    assert plan_patch(shape, (8, 8, 8), reasons) == (40, 56, 40)


def test_ct_by_channel_name():
    recipe = plan_recipe(measured(channels=["CT"]), {})
    assert recipe.clip == Clip("value", -50.0, 120.0)
    assert recipe.normalise == Normalise("fixed", (40.0,), (20.0,))


def test_anisotropic_spacing_takes_the_tenth_percentile():
    spacing = {"median": [0.8, 0.8, 5.0], "percentile_10": [0.7, 0.7, 3.0], "minimum": [], "maximum": []}
    recipe = plan_recipe(measured(spacing=spacing, extent_mm=[400, 400, 150]), {})
    assert recipe.spacing == (0.8, 0.8, 3.0)
    # as coarse, but not short in voxels: the median
    assert plan_recipe(measured(spacing=spacing, extent_mm=[50, 50, 150]), {}).spacing == (0.8, 0.8, 5.0)


def test_crop_takes_the_zscore_with_it():
    recipe = plan_recipe(measured(nonzero_share=0.5, nonzero_extent_mm=[20, 30, 20]), {})
    assert recipe.crop_nonzero is True
    assert recipe.normalise == Normalise("zscore_foreground")
    assert prepared_shape(measured(nonzero_share=0.5, nonzero_extent_mm=[20, 30, 20]), recipe) == (20, 30, 20)
    assert plan_recipe(measured(nonzero_share=0.8), {}).crop_nonzero is False


@pytest.mark.parametrize(
    ("shape", "thickness", "background", "size"),
    [
        ((540, 800), 265, 430, (256, 256)),  # a head
        ((256, 256), 22, 300, None),  # no larger than 256
        ((960, 999), 8, 160, None),  # vessels
        ((512, 512), 47, 8, None),  # cells whose background, the membrane, is thin
    ],
)
def test_flat_images_are_resized_only_if_nothing_thin_is_lost(shape, thickness, background, size):
    reasons = {}
    flat_axes = flat(shape, thickness, background)
    recipe = plan_recipe(flat_axes, reasons)
    assert recipe == Recipe(rank=2, orientation="picture", size=size)
    assert ("256×256" in reasons["recipe.size"]) == (max(shape) > 256)
    assert plan_patch(prepared_shape(flat_axes, recipe), (16, 16), {}) == (256, 256)


def test_plan_of_flat_images(tmp_path):
    write_flat(tmp_path, [f"{n:02d}_img" for n in range(6)], shape=(400, 300))
    plan = make_plan(open_dataset(tmp_path), folds=3)
    assert plan.recipe.size == (256, 256)
    assert plan.network == Network("unet")
    assert plan.patch == (256, 256)
    assert plan.training.mirror == (0, 1)
    write_flat(tmp_path, [f"{n:02d}_img" for n in range(6)], shape=(400, 300), thick=False)
    assert make_plan(open_dataset(tmp_path), folds=3).recipe.size is None


def test_strides_leave_long_voxels_alone_until_the_others_are_as_long():
    assert level_strides((320, 320, 20), (0.6, 0.6, 3.0), 5) == [(2, 2, 1), (2, 2, 1), (2, 2, 2), (2, 2, 2)]
    assert level_strides((64, 64, 64), None, 4) == [(2, 2, 2)] * 3
    assert level_strides((12, 64, 64), (1, 1, 1), 4) == [(2, 2, 2), (1, 2, 2), (1, 2, 2)]
    assert level_strides((3, 3, 3), (1, 1, 1), 4) == [(2, 2, 2)]


def test_kernels_are_flat_while_slices_are_thick():
    strides = [(2, 2, 1), (2, 2, 1), (2, 2, 2), (2, 2, 2)]
    assert level_kernels((0.6, 0.6, 3.0), strides) == [(3, 3, 1)] * 2 + [(3, 3, 3)] * 3
    assert level_kernels((1, 1, 2), [(2, 2, 2)] * 3) == [(3, 3, 3)] * 4
    assert level_kernels((1, 1, 9), [(2, 2, 1)]) == [(3, 3, 1), (3, 3, 3)]  # the coarsest sees all axes
    network, _ = plan_strides(Network("unet3d"), Recipe(3, spacing=(0.6, 0.6, 3.0)), (320, 320, 20), {}, {})
    assert network.options["strides"] == [[2, 2, 1], [2, 2, 1], [2, 2, 2]]
    assert network.options["kernels"] == [[3, 3, 1], [3, 3, 1], [3, 3, 3], [3, 3, 3]]
    own = plan_strides(Network("unet3d"), Recipe(3, spacing=(0.6, 0.6, 3.0)), (320, 320, 20), {}, {"kernels": 3})[0]
    assert own.options["kernels"] == 3
    assert "kernels" not in plan_strides(Network("unet3d"), Recipe(3), (35, 50, 35), {}, {})[0].options


def test_total_stride_of_every_spelling():
    assert total_stride(Network("unet3d"), 3) == (8, 8, 8)
    assert total_stride(Network("unet"), 2) == (16, 16)
    assert total_stride(Network("unet3d", {"depth": 3}), 3) == (4, 4, 4)
    assert total_stride(Network("unet3d", {"depth": 3, "strides": [[2, 2, 1], [2, 2, 2]]}), 3) == (4, 4, 2)


def test_patch_keeps_to_the_budget_and_the_strides():
    patch = plan_patch((512, 512, 100), (8, 8, 8), {})
    assert np.prod(patch) <= 48**3
    assert all(size % 8 == 0 and size >= 8 for size in patch)
    # about the proportions of the scan
    assert patch[0] == patch[1] > patch[2]


def test_patch_by_the_user_must_divide():
    with pytest.raises(UsageError, match=r"patch \(40, 56, 41\) must divide .* \(8, 8, 8\); use \(40, 56, 40\)"):
        plan_patch((40, 56, 40), (8, 8, 8), {}, patch=(40, 56, 41))
    with pytest.raises(UsageError, match="expected 3 sizes"):
        plan_patch((40, 56, 40), (8, 8, 8), {}, patch=(40, 56))


def test_batch_limits():
    reasons = {}
    assert plan_batch(208, (35, 50, 35), (40, 56, 40), reasons) == 4
    assert reasons["batch"] == "4: the budget of voxels per step allows 4"
    assert plan_batch(5, (35, 50, 35), (40, 56, 40), reasons) == 2
    assert reasons["batch"] == "2, the fewest that a step takes: 5 % of the dataset's voxels would be less"
    assert plan_batch(10_000, (16, 16, 16), (16, 16, 16), reasons) == 16
    assert reasons["batch"] == "16: the budget of voxels per step allows 108, a step takes at most 16"


def test_a_plan_for_minutes(balls, tmp_path, capsys):
    out = tmp_path / "plan.json"
    assert main(["plan", str(balls.folder), "--folds", "2", "--minutes", "20", "-o", str(out)]) == 0
    assert "20 minutes, in epochs of 50 steps" in capsys.readouterr().out
    plan = load_plan(out)
    assert (plan.training.minutes, plan.reasons["minutes"]) == (20.0, "given by the user")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: {"patch": (20, 24, 15)}, r"patch \(20, 24, 15\) must divide .* use \(20, 24, 16\)"),
        (lambda p: {"patch": (20, 24)}, r"patch \(20, 24\): expected 3 sizes"),
        (lambda p: {"overlap": 1.0}, "overlap is 1.0, expected from 0 to 0.9"),
        (lambda p: {"labels": p.labels[:1]}, "labels is 1, expected at least 2"),
        (lambda p: {"channels": ("a", "b")}, "channels is 2, expected recipe.channels = 1"),
        (lambda p: {"network": Network("unet")}, "network 'unet' takes 2D, recipe.rank is 3"),
        (lambda p: {"folds": (p.folds[0], p.folds[0])}, "cases are in more than one fold"),
        (
            lambda p: {"training": dataclasses.replace(p.training, batch=0)},
            "training.batch is 0, expected at least 1",
        ),
        (lambda p: {"training": dataclasses.replace(p.training, mirror=(3,))}, "training.mirror holds axis 3"),
        (lambda p: {"folds": (("../../../X",), ("a",))}, "folds: the case name '../../../X' holds a path separator"),
        (lambda p: {"recipe": dataclasses.replace(p.recipe, spacing=(1.0, 1.0))}, "recipe spacing"),
        (
            lambda p: {"recipe": dataclasses.replace(p.recipe, normalise=Normalise("minmax"))},
            "recipe: normalise kind 'minmax': expected one of 'zscore'",
        ),
        (
            lambda p: {"recipe": dataclasses.replace(p.recipe, orientation="RAA", spacing=(1e-9,) * 3)},
            "recipe: orientation 'RAA': expected one each",
        ),
        (lambda p: {"network": Network("unet3d", {"classes": 5})}, "network.options holds classes; labels decide it"),
        (lambda p: {"training": dataclasses.replace(p.training, seed=-3)}, "training.seed is -3, expected from 0"),
        (lambda p: {"training": dataclasses.replace(p.training, clip_norm=-1.0)}, "training.clip_norm is -1.0"),
    ],
)
def test_an_edited_plan_that_cannot_work_says_which_field(balls, change, message):
    plan = make_plan(balls, folds=2)
    with pytest.raises(UsageError, match=message):
        check_plan(dataclasses.replace(plan, **change(plan)))


def test_a_plan_for_another_dataset(balls, tmp_path):
    plan = make_plan(balls, folds=2)
    elsewhere = open_dataset(write_msd(tmp_path, cases=2, labels={"0": "background", "1": "a", "2": "b"}))
    with pytest.raises(UsageError, match=r"4 cases are not in .* labels are 0 background, 1 back, 2 front"):
        check_plan(plan, elsewhere)
