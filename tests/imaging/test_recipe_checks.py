"""Recipes and scans that cannot be prepared are refused, before memory is taken."""

from dataclasses import replace

import numpy as np
import pytest

from imaging import (
    Clip,
    InputError,
    Normalise,
    Recipe,
    Scan,
    UsageError,
    prepare,
    prepare_labels,
    restore,
)
from imaging.recipe import check


def test_scan_that_does_not_fit_the_recipe():
    flat = Scan(np.zeros((4, 5, 1)), np.eye(4))
    with pytest.raises(InputError, match=r"scan of shape \(4, 5\) has 2 spatial axes; the recipe takes 3"):
        prepare(flat, Recipe(3))
    with pytest.raises(InputError, match="has 1 channels; the recipe takes 3"):
        prepare(flat, Recipe(2, channels=3))
    with pytest.raises(InputError, match="label map of shape"):
        prepare_labels(Scan(np.zeros((4, 5, 2)), np.eye(4)), flat, Recipe(2))
    with pytest.raises(InputError, match=r"scores of shape \(4, 4, 2\): expected \(4, 5\) and a class axis"):
        restore(np.zeros((4, 4, 2)), flat, flat)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_not_finite_voxels(bad):
    voxels = np.ones((4, 5, 6, 1), np.float32)
    voxels[0, 0, :2] = bad
    with pytest.raises(InputError, match="2 voxels are NaN or infinite"):
        prepare(Scan(voxels, np.eye(4)), Recipe(3))


@pytest.mark.parametrize(
    ("recipe", "match"),
    [
        (Recipe(4), "rank 4"),
        (Recipe(2, orientation="RAS"), "expected .picture. or .stored. for rank 2"),
        (Recipe(3, orientation="picture"), "one each of"),
        (Recipe(3, spacing=(1, 1, 1), size=(4, 4, 4)), "exclude each other"),
        (Recipe(3, spacing=(1, 1)), "spacing"),
        (Recipe(2, size=(4, 0)), "size"),
        (Recipe(3, orientation="RAX"), "one each of"),
    ],
)
def test_recipe_that_makes_no_sense(recipe, match):
    with pytest.raises(UsageError, match=match):
        prepare(Scan(np.zeros((4,) * max(2, min(recipe.rank, 3)) + (1,)), np.eye(4)), recipe)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"spacing": (1.0, -1.0, 1.0)}, "recipe spacing"),
        ({"spacing": (1e-300,) * 3}, "expected mm, 1e-06 to 1000"),
        ({"spacing": (np.nan,) * 3}, "recipe spacing"),
        ({"size": (8, 8, 0)}, "recipe size"),
        ({"channels": 0}, "recipe channels 0: expected 1 to 1024"),
        ({"orientation": "RAX"}, "orientation 'RAX': expected one each"),
        ({"orientation": "RASL"}, "orientation 'RASL'"),
        ({"clip": Clip("value", 5.0, 5.0)}, "clip limits 5.0 and 5.0"),
        ({"clip": Clip("value", -np.inf, 5.0)}, "both finite"),
        ({"clip": Clip("percentile", 1.0, 101.0)}, "percentiles from 0 to 100"),
        ({"clip": Clip("quantile", 0.0, 1.0)}, "clip kind 'quantile': expected 'percentile' or 'value'"),
        ({"normalise": Normalise("fixed", (np.nan,), (1.0,))}, "one finite mean and one positive deviation"),
        ({"normalise": Normalise("fixed", (0.0,), (0.0,))}, "one finite mean and one positive deviation"),
        ({"normalise": Normalise("fixed", (0.0,), (1e-300,))}, "one finite mean and one positive deviation"),
        ({"normalise": Normalise("fixed")}, "one finite mean and one positive deviation"),
        ({"normalise": Normalise("minmax")}, "normalise kind 'minmax': expected one of 'zscore'"),
    ],
)
def test_a_recipe_that_cannot_work_is_refused_as_such(changes, message):
    with pytest.raises(UsageError, match=message):
        check(Recipe(**{"rank": 3, **changes}))


def test_a_scan_that_would_outgrow_the_limit_is_refused_before_it_does(monkeypatch):
    scan = Scan(np.zeros((40, 40, 40, 1), np.float32), np.diag([60.0, 60, 60, 1]))
    recipe = Recipe(3, spacing=(1.0, 1.0, 1.0))
    monkeypatch.setattr("imaging.recipe.normalise", None)  # nothing is computed before
    for change in ({}, {"crop_nonzero": True}, {"spacing": None, "size": (2000, 2000, 2000)}):
        with pytest.raises(
            InputError, match=r"voxels of 60 x 60 x 60 mm resampled to .*unit in its header right.*limit"
        ):
            prepare(scan, replace(recipe, **change))


def test_the_limit_of_a_prepared_scan_is_the_users(monkeypatch):
    scan = Scan(np.random.default_rng(0).random((20, 20, 20, 1)), np.eye(4))
    recipe = Recipe(3, spacing=(0.5, 0.5, 0.5))
    assert prepare(scan, recipe).shape == (40, 40, 40)
    monkeypatch.setenv("MEDSEG_MAX_BYTES", "200KB")
    with pytest.raises(InputError, match="MEDSEG_MAX_BYTES"):
        prepare(scan, recipe)


def test_ten_thousand_voxels_in_one_are_another_unit():
    scan = Scan(np.zeros((40, 40, 40, 1), np.float32), np.diag([1e-6, 1e-6, 1e-6, 1]))
    with pytest.raises(InputError, match="sizes less than 10000 times apart; is the unit"):
        prepare(scan, Recipe(3, spacing=(1.0, 1.0, 1.0)))
