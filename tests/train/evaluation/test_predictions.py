"""Segmentations kept in a run folder."""

import dataclasses

import nibabel
import numpy as np
import pytest
from PIL import Image
from tiny import make_plan, write_dataset

from imaging import Scan, read
from imaging.labels import Label
from medseg.errors import InputError
from train.evaluation.predictions import load_prediction, predicted_cases, prediction_file, save_prediction
from train.fitting.run import Run


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("data"), cases=3)


def test_volumes_hold_label_values_in_the_geometry_of_the_scan(dataset, tmp_path):
    run = Run(tmp_path, make_plan(dataset), 1)
    affine = np.diag([-1.5, 1.0, 2.0, 1.0])
    indices = np.random.default_rng(0).integers(0, 3, (5, 6, 4))
    save_prediction(run, "a", indices, Scan(np.zeros((5, 6, 4, 1), np.float32), affine))
    stored = nibabel.load(prediction_file(run, "a"))
    np.testing.assert_array_equal(np.asarray(stored.dataobj), np.array([0, 1, 5])[indices])
    np.testing.assert_allclose(stored.affine, affine)
    np.testing.assert_array_equal(load_prediction(run, "a"), indices)


def test_volumes_keep_the_transforms_of_their_file(dataset, tmp_path):
    run = Run(tmp_path, make_plan(dataset), 1)
    image = nibabel.Nifti1Image(np.zeros((5, 6, 4), np.int16), None)
    image.set_qform(np.diag([1.5, 1.0, 2.0, 1.0]), 1)
    image.set_sform(np.diag([1.5, 1.0, 2.0, 1.0]) + np.eye(4, k=3) * 7, 2)
    nibabel.save(image, tmp_path / "scan.nii.gz")
    save_prediction(run, "a", np.ones((5, 6, 4), int), read(tmp_path / "scan.nii.gz"))
    header = nibabel.load(prediction_file(run, "a")).header
    for (matrix, code), (expected, code_of_scan) in (
        (header.get_qform(coded=True), image.get_qform(coded=True)),
        (header.get_sform(coded=True), image.get_sform(coded=True)),
    ):
        assert code == code_of_scan
        np.testing.assert_array_equal(matrix, expected)


@pytest.mark.parametrize(("value", "suffix"), [(255, ".png"), (700, ".nii.gz")])
def test_flat_images_become_png_where_it_holds_the_values(dataset, tmp_path, value, suffix):
    plan = make_plan(dataset)
    labels = (Label("background", 0), Label("near", 1), Label("far", value))
    plan = dataclasses.replace(plan, recipe=dataclasses.replace(plan.recipe, rank=2), labels=labels)
    run = Run(tmp_path, plan, 0)
    indices = np.random.default_rng(0).integers(0, 3, (7, 9))
    save_prediction(run, "a", indices, Scan(np.zeros((7, 9, 1), np.float32), np.eye(4)))
    assert prediction_file(run, "a").name == "a" + suffix
    if suffix == ".png":
        assert sorted(np.unique(Image.open(prediction_file(run, "a")))) == [0, 1, 255]
    np.testing.assert_array_equal(load_prediction(run, "a"), indices)


def test_predictions_come_with_their_references(dataset, tmp_path):
    run = Run(tmp_path, make_plan(dataset), 0)
    (name,) = run.plan.folds[0]
    save_prediction(run, name, np.ones((14, 18, 13), int), Scan(np.zeros((14, 18, 13, 1)), np.eye(4)))
    ((case_name, prediction, reference, spacing),) = predicted_cases([run], dataset)
    assert case_name == name
    assert (prediction == 1).all()
    assert sorted(np.unique(reference)) == [0, 1, 2]
    assert tuple(spacing) == (1.5, 1.0, 2.0)


def test_a_name_cannot_lead_out_of_the_run_folder(dataset, tmp_path):
    run = Run(tmp_path / "run", make_plan(dataset), 1)
    scan = Scan(np.zeros((5, 6, 4, 1), np.float32), np.eye(4))
    with pytest.raises(InputError, match="holds a path separator"):
        save_prediction(run, "../../X", np.zeros((5, 6, 4), int), scan)
    assert list(tmp_path.rglob("*")) == []
