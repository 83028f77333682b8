"""From the segmentation of a cascade's first network to channels of the second one's patches."""

from dataclasses import replace

import numpy as np
import pytest

import imaging
from imaging import prior as priors
from imaging.geometry.affine import moved
from imaging.prior import Prior, one_hot, prior_of
from imaging.recipe import Recipe
from imaging.tiling import predict_slabs, predict_tiled


def scan_and_classes(shape=(20, 14, 11)):
    random = np.random.default_rng(0)
    affine = np.diag([-1.5, 1.0, 2.0, 1.0])[:, [2, 0, 1, 3]]
    affine[:3, 3] = 5, -3, 8
    classes = np.zeros(shape, np.uint8)
    classes[3:12, 2:9, 1:7] = 1
    classes[8:16, 6:12, 4:10] = 2
    return imaging.Scan(random.normal(size=(*shape, 1)).astype(np.float32), affine), classes


@pytest.mark.parametrize("spacing", [None, (1.1, 2.3, 0.9), (3.0, 3.0, 3.0)])
def test_it_is_put_on_the_grid_as_a_label_map_is(spacing, monkeypatch):
    scan, classes = scan_and_classes()
    recipe = Recipe(3, orientation="RAS", spacing=spacing, prior=2)
    prepared = imaging.prepare(scan, recipe)
    expected = imaging.prepare_labels(imaging.Scan(classes[..., None], scan.affine), prepared, recipe).voxels[..., 0]
    whole = prior_of(classes, scan, prepared, recipe)
    assert whole.channels == 2
    np.testing.assert_array_equal(whole.classes, expected)
    assert set(np.unique(expected)) == {0, 1, 2}
    for slices in (1, 3):
        monkeypatch.setattr(priors, "SLAB_VOXELS", slices * prepared.shape[1] * prepared.shape[2])
        np.testing.assert_array_equal(prior_of(classes, scan, prepared, recipe).classes, expected)


@pytest.mark.parametrize("box", [(slice(2, 9), slice(4, 9), slice(3, 12)), (slice(0, 3), slice(0, 2), slice(0, 4))])
def test_a_part_of_the_scan_has_that_part_of_the_prior(box):
    scan, classes = scan_and_classes()
    recipe = Recipe(3, orientation="RAS", spacing=(1.1, 2.3, 0.9), prior=2)
    prepared = imaging.prepare(scan, recipe)
    part = imaging.Scan(prepared.voxels[box], moved(prepared.affine, [s.start for s in box]))
    whole = prior_of(classes, scan, prepared, recipe).classes
    np.testing.assert_array_equal(prior_of(classes, scan, part, recipe).classes, whole[box])


def test_an_oblique_scan_and_one_that_lies_elsewhere(monkeypatch):
    scan, classes = scan_and_classes()
    recipe = Recipe(3, prior=2)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(0.3), -np.sin(0.3)], [np.sin(0.3), np.cos(0.3)]]
    there = imaging.Scan(np.zeros((18, 16, 12, 1), np.float32), turn @ scan.affine)
    expected = imaging.prepare_labels(imaging.Scan(classes[..., None], scan.affine), there, recipe).voxels[..., 0]
    assert set(np.unique(expected)) == {0, 1, 2}
    monkeypatch.setattr(priors, "SLAB_VOXELS", 2 * 16 * 12)
    np.testing.assert_array_equal(prior_of(classes, scan, there, recipe).classes, expected)
    away = imaging.Scan(there.voxels, moved(scan.affine, [200, -300, 400]))
    assert not prior_of(classes, scan, away, recipe).classes.any()


def test_a_warped_scan_is_taken_whole(monkeypatch):
    scan, classes = scan_and_classes()
    recipe = Recipe(3, prior=2)
    prepared = imaging.prepare(scan, recipe)
    seen = []
    monkeypatch.setattr(priors, "SLAB_VOXELS", 1)
    monkeypatch.setattr(
        priors, "prepare_labels", lambda labels, prepared, recipe: seen.append(prepared.shape) or labels
    )
    prior_of(classes, scan, replace(prepared, warp=object()), recipe)
    assert seen == [prepared.shape]


def test_channels_are_of_classes_but_the_background():
    np.testing.assert_array_equal(
        one_hot(np.array([0, 1, 2, 3]), 3), np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)
    )


@pytest.mark.parametrize("patch", [(8, 8, 8), (24, 16, 16)])
def test_patches_hold_scan_and_prior_of_the_same_voxels(patch):
    _, classes = scan_and_classes()
    places = np.arange(1, classes.size + 1, dtype=np.float32).reshape(*classes.shape, 1)
    known = np.concatenate([[0], classes.ravel()])
    patches = []

    def predict(block):
        patches.append(block)
        return block

    tiled = predict_tiled(places, patch, 0.5, predict, prior=Prior(classes, 2))
    for block in patches:
        assert block.shape == (*patch, 3)
        here = known[block[..., 0].astype(int)]  # 0 where the scan was padded
        np.testing.assert_array_equal(block[..., 1:], one_hot(here, 2))
    np.testing.assert_allclose(tiled[..., 1:], one_hot(classes, 2), atol=1e-6)
    slabs = [scores.copy() for _, scores in predict_slabs(places, patch, 0.5, predict, prior=Prior(classes, 2))]
    np.testing.assert_array_equal(np.concatenate(slabs), tiled)


@pytest.mark.parametrize(("recipe", "prior"), [(Recipe(3, prior=-1), -1), (Recipe(3, slices=3, prior=1), 1)])
def test_recipes_that_can_have_no_prior(recipe, prior):
    with pytest.raises(imaging.UsageError, match=f"recipe prior {prior}: expected 0 to 255 classes"):
        imaging.prepare(scan_and_classes()[0], recipe)


def test_a_first_network_that_is_not_there_is_told_of_the_whole_folder(tmp_path):
    run = tmp_path / "ct"
    (run / "first").mkdir(parents=True)
    (run / "first" / "plan.json").touch()
    message = (
        r"ct: is of a cascade, whose first network is not there whole: model\.keras missing in .*first; copy the folder"
    )
    with pytest.raises(imaging.InputError, match=message):
        priors.first_folder(run, ("plan.json", "model.keras"))
    assert priors.first_folder(run, ("plan.json",)) == run / "first"
