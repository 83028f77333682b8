"""Trained networks of different recipes together: the mean of their probabilities on the scan's own grid."""

import dataclasses

import numpy as np
import pytest
from scipy.ndimage import map_coordinates
from scipy.special import expit, softmax
from tiny import make_plan

import imaging
from imaging.labels import Region
from imaging.recipe import Normalise, Recipe
from imaging.tiling import predict_tiled
from train.evaluation.ensemble import ensemble_segmenter
from train.fitting.fit import network
from train.fitting.run import create_run
from train.planning.plan import Network

FLAT = Recipe(3, orientation="SRA", normalise=Normalise("zscore"), slices=3, spacing=(2.0, 1.9, 1.4))


def sharp_network(plan, seed):
    """The plan's network with the weights of a seed, its last ones larger, so that it is sure of something."""
    model = network(dataclasses.replace(plan, training=dataclasses.replace(plan.training, seed=seed)))
    last = model.layers[-1]
    last.set_weights([20 * weight for weight in last.get_weights()])
    return model


def saved_run(folder, plan, seed):
    run = create_run(folder, plan, 0, "data", (), ())
    sharp_network(plan, seed).save(run.model_file)
    return run


def planned(dataset, regions=()):
    """A plan of whole volumes, and one of resampled slices."""
    whole = dataclasses.replace(make_plan(dataset), patch=(16, 20, 16), overlap=0.0, regions=regions)
    images = dataclasses.replace(whole, recipe=FLAT, network=Network("unet", {"width": 2, "depth": 2}), patch=(16, 16))
    return whole, images


def scores(run, scan):
    """The scores of a run at the voxels of a scan, by SciPy from those on the grid of the prepared scan."""
    prepared = imaging.prepare(scan, run.plan.recipe)
    model = run.model()
    tiled = predict_tiled(
        prepared.voxels,
        run.plan.patch,
        run.plan.overlap,
        lambda patch: np.asarray(model(patch[None])[0]),
        slices=run.plan.recipe.slices,
    )
    places = np.stack(np.meshgrid(*map(np.arange, scan.shape), indexing="ij")).reshape(3, -1)
    matrix = np.linalg.inv(prepared.affine) @ scan.affine
    there = matrix[:3, :3] @ places + matrix[:3, 3:]
    values = [map_coordinates(tiled[..., k], there, order=1, mode="nearest") for k in range(tiled.shape[-1])]
    return np.stack(values, -1).reshape(*scan.shape, -1)


def agree(segmentation, mean, expected):
    """Whether classes are those expected wherever the mean decides by more than what interpolations differ by."""
    ordered = np.sort(mean, axis=-1)
    sure = ordered[..., -1] - ordered[..., -2] > 1e-3
    assert sure.mean() > 0.9  # where both networks are certain of different classes the mean is a tie
    np.testing.assert_array_equal(segmentation[sure], expected[sure])
    assert len(np.unique(expected)) > 1


def test_runs_of_two_and_three_dimensions(dataset, tmp_path):
    whole, images = planned(dataset)
    runs = [saved_run(tmp_path / "3d", whole, 1), saved_run(tmp_path / "2d", images, 2)]
    runs.append(saved_run(tmp_path / "2d_other", images, 3))
    scan = imaging.read(dataset.cases[0].images[0])
    kept, calls = [], []
    segment = ensemble_segmenter(runs[:2], then=lambda _, mean: kept.append(mean))
    segmentation = segment(scan, lambda *now: calls.append(now))
    assert calls[-1][0] == calls[-1][1]
    first, second = (softmax(scores(run, scan), axis=-1) for run in runs[:2])
    mean = (first + second) / 2
    np.testing.assert_allclose(kept[0], mean, atol=2e-4)
    agree(segmentation, mean, mean.argmax(-1))
    assert not np.array_equal(segmentation, first.argmax(-1))
    assert not np.array_equal(segmentation, second.argmax(-1))
    folds = []
    ensemble_segmenter(runs, then=lambda _, mean: folds.append(mean))(scan)
    single = []
    ensemble_segmenter(runs[1:], then=lambda _, mean: single.append(mean))(scan)
    np.testing.assert_allclose(folds[0], (first + 2 * single[0]) / 3, atol=1e-4)
    np.testing.assert_array_equal(ensemble_segmenter(runs[1:])(scan).shape, scan.shape)


def test_regions(dataset, tmp_path):
    regions = (Region("all", (1, 5), 1), Region("far", (5,), 5))
    runs = [saved_run(tmp_path / str(n), plan, n) for n, plan in enumerate(planned(dataset, regions), 4)]
    scan = imaging.read(dataset.cases[1].images[0])
    kept = []
    segmentation = ensemble_segmenter(runs, then=lambda _, mean: kept.append(mean))(scan)
    mean = sum(expit(scores(run, scan)) for run in runs) / 2
    np.testing.assert_allclose(kept[0], mean, atol=2e-4)
    expected = np.where(kept[0][..., 1] > 0.5, 2, np.where(kept[0][..., 0] > 0.5, 1, 0))
    np.testing.assert_array_equal(segmentation, expected)
    assert len(np.unique(expected)) > 1


def test_flips(dataset, tmp_path):
    whole, images = planned(dataset)
    images = dataclasses.replace(images, training=dataclasses.replace(images.training, mirror=()))
    runs = [saved_run(tmp_path / "3d", whole, 1), saved_run(tmp_path / "2d", images, 2)]
    scan = imaging.read(dataset.cases[0].images[0])
    kept = {}
    for name, members, mirror in (("both", runs, True), ("3d", runs[:1], True), ("2d", runs[1:], False)):
        ensemble_segmenter(members, mirror, lambda _, mean, name=name: kept.setdefault(name, mean))(scan)
    np.testing.assert_allclose(kept["both"], (kept["3d"] + kept["2d"]) / 2, atol=1e-6)
    np.testing.assert_allclose(kept["both"].sum(-1), 1, atol=1e-5)
    flipped = scan.voxels  # nothing but the network's flips along all of its axes makes the difference
    assert flipped.shape[:3] == kept["3d"].shape[:3]
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(kept["3d"], softmax(scores(runs[0], scan), axis=-1), atol=1e-3)
