"""Segmentations kept in a run folder."""

import dataclasses

import nibabel
import numpy as np
import pytest
from PIL import Image
from tiny import make_plan, write_dataset

from imaging.labels import Label
from train.predictions import load_prediction, predicted_cases, prediction_file, save_prediction
from train.run import Run


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("data"), cases=3)


def test_volumes_hold_label_values_in_the_geometry_of_the_scan(dataset, tmp_path):
    run = Run(tmp_path, make_plan(dataset), 1)
    affine = np.diag([-1.5, 1.0, 2.0, 1.0])
    indices = np.random.default_rng(0).integers(0, 3, (5, 6, 4))
    save_prediction(run, "a", indices, affine)
    stored = nibabel.load(prediction_file(run, "a"))
    np.testing.assert_array_equal(np.asarray(stored.dataobj), np.array([0, 1, 5])[indices])
    np.testing.assert_allclose(stored.affine, affine)
    np.testing.assert_array_equal(load_prediction(run, "a"), indices)


@pytest.mark.parametrize(("value", "suffix"), [(255, ".png"), (700, ".nii.gz")])
def test_flat_images_become_png_where_it_holds_the_values(dataset, tmp_path, value, suffix):
    plan = make_plan(dataset)
    labels = (Label("background", 0), Label("near", 1), Label("far", value))
    plan = dataclasses.replace(plan, recipe=dataclasses.replace(plan.recipe, rank=2), labels=labels)
    run = Run(tmp_path, plan, 0)
    indices = np.random.default_rng(0).integers(0, 3, (7, 9))
    save_prediction(run, "a", indices, np.eye(4))
    assert prediction_file(run, "a").name == "a" + suffix
    if suffix == ".png":
        assert sorted(np.unique(Image.open(prediction_file(run, "a")))) == [0, 1, 255]
    np.testing.assert_array_equal(load_prediction(run, "a"), indices)


def test_predictions_come_with_their_references(dataset, tmp_path):
    run = Run(tmp_path, make_plan(dataset), 0)
    (name,) = run.plan.folds[0]
    save_prediction(run, name, np.ones((14, 18, 13), int), np.eye(4))
    ((found, prediction, reference, spacing),) = predicted_cases([run], dataset)
    assert found == name
    assert (prediction == 1).all()
    assert sorted(np.unique(reference)) == [0, 1, 2]
    assert tuple(spacing) == (1.5, 1.0, 2.0)
