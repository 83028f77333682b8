"""Label files that number objects: how they are seen, planned, cached and read in patches."""

import json

import cv2
import numpy as np
import pytest
from objects import write_objects

import imaging
from imaging.instances import Decoding, distance_levels
from medseg import record
from medseg.errors import InputError
from train.cli import main
from train.data.dataset import open_dataset
from train.input.cache import cache_cases
from train.planning.plan import load_plan
from train.planning.planner import make_plan


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_objects(tmp_path_factory.mktemp("cells"), count=6)


def relabelled(folder, change):
    """Rewrite the label files of a folder."""
    for path in (folder / "labels").iterdir():
        cv2.imwrite(str(path), change(cv2.imread(str(path), -1)).astype(np.uint16))
    return folder


def test_numbers_of_objects_are_seen(folder):
    dataset = open_dataset(folder)
    assert dataset.instances
    assert [label.name for label in dataset.labels] == ["background", "object"]
    assert [(region.name, region.values) for region in dataset.regions] == [("object", (1,))]
    assert all(case.instances for case in dataset.cases)


@pytest.mark.parametrize("many", [False, True])
def test_numbers_in_any_order_need_many(tmp_path, many):
    numbers = np.random.default_rng(0).permutation(np.arange(1000, 1100))

    def change(objects):
        fresh = np.concatenate([[0], numbers[:12]])
        numbers[:] = np.roll(numbers, -12 if many else 0)
        return fresh[objects]

    folder = relabelled(write_objects(tmp_path, count=10), change)
    assert open_dataset(folder).instances is many
    assert open_dataset(folder, instances=True).instances


def test_classes_are_no_objects(tmp_path):
    # the same values in two places each, as organs or lesions have
    folder = relabelled(write_objects(tmp_path, count=4), lambda objects: (objects > 0) * (1 + objects % 4))
    dataset = open_dataset(folder)
    assert not dataset.instances
    assert len(dataset.labels) == 5


def test_grey_pictures_are_no_objects(tmp_path):
    folder = write_objects(tmp_path, count=3)
    relabelled(folder, lambda objects: np.random.default_rng(0).integers(0, 200, objects.shape))
    with pytest.raises(InputError, match="expected 64 classes at most"):
        open_dataset(folder)


def test_dataset_json_names_the_objects(tmp_path):
    folder = write_objects(tmp_path, count=3)
    described = {"labels": {"background": 0, "nucleus": 1}, "instances": True}
    (folder / "dataset.json").write_text(json.dumps(described))
    dataset = open_dataset(folder)
    assert dataset.instances
    assert dataset.labels[1].name == "nucleus"
    (folder / "dataset.json").write_text(json.dumps(described | {"labels": {"background": 0, "a": 1, "b": 2}}))
    with pytest.raises(InputError, match=r"which are of one class; expected the background and one more .*, a, b"):
        open_dataset(folder)


def test_the_plan_of_objects(folder, tmp_path, capsys):
    assert main(["plan", str(folder), "--instances", "--folds", "3", "-o", str(tmp_path / "plan.json")]) == 0
    assert "percentiles 1 to 99.8, unit" in capsys.readouterr().out
    plan = load_plan(tmp_path / "plan.json")
    assert plan.instances == Decoding()
    assert (plan.outputs, plan.recipe.normalise.kind, plan.recipe.size) == (2, "unit", None)
    assert "augmentation" not in plan.reasons or "user" not in plan.reasons["augmentation"]
    data = record.to_dict(plan) | {"instances": {"threshold": 2.0}}
    (tmp_path / "plan.json").write_text(json.dumps(data))
    assert main(["train", str(folder), "--plan", str(tmp_path / "plan.json"), "--out", str(tmp_path / "run")]) == 2
    assert "instances.threshold 2.0: expected between 0 and 1" in capsys.readouterr().err


def test_what_objects_cannot_be_trained_with(folder, tmp_path, capsys):
    plan = make_plan(open_dataset(folder), folds=3)
    record.save(tmp_path / "plan.json", plan)
    common = ["train", str(folder), "--plan", str(tmp_path / "plan.json"), "--out", str(tmp_path / "run")]
    for options, message in (
        (["--augment", "mixup=0.5"], "mixup"),
        (["--deep-supervision"], "deep_supervision"),
        (["--class-weights", "1,2"], "class_weights"),
    ):
        assert main([*common, *options]) == 2
        assert message in capsys.readouterr().err


def test_the_cache_holds_distances_and_patches_take_the_nearest(folder, tmp_path):
    from train.input.pipeline import batches

    dataset = open_dataset(folder)
    plan = make_plan(dataset, folds=3, batch=2)
    cases = cache_cases(dataset.cases, plan.recipe, plan.labels, tmp_path)
    objects = imaging.read_labels(dataset.cases[0].label, instances=True).voxels[..., 0]
    np.testing.assert_array_equal(cases[0].label(), distance_levels(objects, (1, 1)))
    positions, offsets = cases[0].positions()
    assert offsets.tolist() == [0, 0, (objects > 0).sum()] or offsets[-1] == (objects > 0).sum()
    assert (objects[tuple(positions.T)] > 0).all()
    for images, levels in batches(cases, plan, training=True, steps=2):
        assert images.shape[1:-1] == levels.shape[1:] == plan.patch
        inside = levels.numpy() > 0
        assert images.numpy()[..., 0][inside].mean() > images.numpy()[..., 0][~inside].mean() + 0.2


def test_a_turned_label_is_that_of_the_nearest_voxel():
    from train.input.augmentation import resampled

    levels = np.arange(100, dtype=np.int32).reshape(10, 10)
    points = np.random.default_rng(0).uniform(-2, 11, (7, 6, 2)).astype(np.float32)
    _, label = resampled(np.zeros((10, 10, 1), np.float32), levels, points, None)
    rows, columns = np.rint(points).astype(int).transpose(2, 0, 1)
    inside = (rows >= 0) & (rows < 10) & (columns >= 0) & (columns < 10)
    expected = np.where(inside, levels[rows.clip(0, 9), columns.clip(0, 9)], 0)
    np.testing.assert_array_equal(label, expected)


def test_pictures_of_which_some_are_coloured(tmp_path):
    folder = write_objects(tmp_path, count=4)
    path = sorted((folder / "images").iterdir())[2]
    grey = cv2.imread(str(path), 0)
    cv2.imwrite(str(path), np.dstack([grey, grey // 2, grey // 3]))
    dataset = open_dataset(folder)
    assert dataset.channels == ("red", "green", "blue")
    voxels = imaging.read(dataset.cases[0].images[0], channels=3).voxels
    assert (voxels == voxels[..., :1]).all()
