"""The recipe and the way back."""

import itertools
from dataclasses import replace

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imaging import (
    Clip,
    Normalise,
    Recipe,
    Scan,
    UsageError,
    prepare,
    prepare_labels,
    restore,
    restore_classes,
)
from imaging.measure.overlap import dice
from medseg.record import from_dict, to_dict

CODES = ["".join(c) for axes in itertools.permutations(["RL", "AP", "SI"]) for c in itertools.product(*axes)]


def random_scan(rng, shape=None, rank=3, channels=1):
    shape = shape or tuple(rng.integers(2, 8, rank))
    affine = np.diag([*rng.uniform(0.5, 3, rank), *[1.0] * (4 - rank)])
    if rank == 3:
        turn = nibabel.eulerangles.euler2mat(*rng.uniform(-np.pi, np.pi, 3))
        affine = nibabel.affines.from_matvec(turn @ affine[:3, :3], rng.uniform(-99, 99, 3))
    return Scan(rng.normal(100, 30, (*shape, channels)).astype(np.float32), affine)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), codes=st.sampled_from(CODES), crop=st.booleans())
def test_restore_is_exact_when_only_orientation_and_crop_change(seed, codes, crop):
    rng = np.random.default_rng(seed)
    scan = random_scan(rng)
    scan.voxels[: int(rng.integers(0, 2))] = 0
    scan.voxels[:, scan.shape[1] - int(rng.integers(0, 2)) :] = 0
    recipe = Recipe(3, orientation=codes, crop_nonzero=crop, normalise=Normalise("fixed", (0.0,), (1.0,)))
    prepared = prepare(scan, recipe)
    kept = scan.voxels[..., 0] != 0 if crop else np.ones(scan.shape, bool)
    np.testing.assert_array_equal(restore(prepared.voxels, prepared, scan)[kept], scan.voxels[kept])
    labels = Scan(rng.integers(0, 5, (*scan.shape, 1)).astype(np.uint8), scan.affine)
    turned = prepare_labels(labels, prepared, recipe)
    assert turned.shape == prepared.shape
    assert turned.voxels.dtype == np.uint8
    hot = (turned.voxels == np.arange(5)).astype(np.float32)
    back = restore(hot, prepared, scan).argmax(axis=-1)
    np.testing.assert_array_equal(back[kept], labels.voxels[..., 0][kept])
    np.testing.assert_array_equal(restore_classes(hot, prepared, scan, slab=2), back)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (2.0, 0.8, 1.7)])
@pytest.mark.parametrize("logits", [False, True])
def test_resampled_labels_come_back(spacing, logits):
    rng = np.random.default_rng(0)
    scan = random_scan(rng, (30, 32, 28))
    scan = Scan(scan.voxels, np.diag([-1.0, 1.5, 1.2, 1]))
    ball = ((np.indices(scan.shape).T - [15, 16, 14]) ** 2).sum(axis=-1).T
    labels = Scan(((ball < 81).astype(np.uint8) + (ball < 25))[..., None], scan.affine)
    recipe = Recipe(3, orientation="RAS", spacing=spacing)
    prepared = prepare(scan, recipe)
    np.testing.assert_allclose(prepared.spacing, spacing)
    turned = prepare_labels(labels, prepared, recipe)
    assert set(np.unique(turned.voxels)) == {0, 1, 2}
    hot = (turned.voxels == np.arange(3)).astype(np.float32)
    scores = restore(hot * 20 - 10 if logits else hot, prepared, scan)
    assert scores.shape == (*scan.shape, 3)
    assert scores.dtype == np.float32
    classes = scores.argmax(axis=-1)
    for value in (1, 2):
        assert dice(classes == value, labels.voxels[..., 0] == value) > 0.9
    scores = rng.random((*prepared.shape, 3), np.float32)  # without ties, which rounding may break either way
    np.testing.assert_array_equal(
        restore_classes(scores, prepared, scan, slab=7), restore(scores, prepared, scan).argmax(axis=-1)
    )


def test_size_of_a_flat_image_and_back():
    yy, xx = np.indices((54, 80))
    mask = (((yy - 25) / 15.0) ** 2 + ((xx - 41) / 22.0) ** 2 < 1)[..., None]
    scan = Scan(mask * 100.0 + 20, np.eye(4))
    recipe = Recipe(2, size=(32, 32))
    prepared = prepare(scan, recipe)
    assert prepared.voxels.shape == (32, 32, 1)
    assert prepared.spacing == pytest.approx((54 / 32, 80 / 32))
    labels = prepare_labels(Scan(mask.astype(np.uint8) * 255, np.eye(4)), prepared, recipe)
    assert set(np.unique(labels.voxels)) == {0, 255}
    hot = np.concatenate([labels.voxels == 0, labels.voxels == 255], axis=-1).astype(np.float32)
    back = restore(hot, prepared, scan)
    assert dice(back.argmax(axis=-1) == 1, mask[..., 0]) > 0.97
    np.testing.assert_allclose(back.sum(axis=-1), 1, atol=1e-5)
    scores = np.random.default_rng(0).random((32, 32, 2), np.float32)
    np.testing.assert_array_equal(
        restore_classes(scores, prepared, scan), restore(scores, prepared, scan).argmax(axis=-1)
    )


def test_cropped_away_is_background_for_certain():
    scan = random_scan(np.random.default_rng(0), (6, 7, 8))
    scan.voxels[:2] = 0
    scan.voxels[:, :, 7] = 0
    prepared = prepare(scan, Recipe(3, crop_nonzero=True))
    assert prepared.shape == (4, 7, 7)
    scores = np.random.default_rng(1).normal(size=(*prepared.shape, 3)).astype(np.float32)
    back = restore(scores, prepared, scan)
    np.testing.assert_array_equal(back[2:, :, :7], scores)
    assert (back[:2] == [scores.max(), scores.min(), scores.min()]).all()
    assert (back[..., 7, :].argmax(axis=-1) == 0).all()
    np.testing.assert_array_equal(restore_classes(scores, prepared, scan), back.argmax(axis=-1))


def test_steps_come_in_order():
    """Clip sees the raw values and normalisation the clipped ones, both on the scan's own voxels."""
    rng = np.random.default_rng(0)
    scan = random_scan(rng, (9, 10, 11), channels=2)
    recipe = Recipe(3, channels=2, clip=Clip("percentile", 10, 90), normalise=Normalise("zscore"))
    x = scan.voxels.astype(np.float64)
    x = np.clip(x, *np.percentile(x, (10, 90), axis=(0, 1, 2)))
    expected = (x - x.mean(axis=(0, 1, 2))) / x.std(axis=(0, 1, 2))
    prepared = prepare(scan, recipe)
    np.testing.assert_allclose(prepared.voxels, expected, atol=1e-4)
    np.testing.assert_array_equal(prepared.affine, scan.affine)
    coarse = prepare(scan, replace(recipe, size=(5, 5, 5)))
    fixed = Normalise("fixed", tuple(x.mean(axis=(0, 1, 2))), tuple(x.std(axis=(0, 1, 2))))
    limits = np.percentile(scan.voxels, (10, 90), axis=(0, 1, 2))
    again = prepare(Scan(np.clip(scan.voxels, *limits), scan.affine), Recipe(3, 2, size=(5, 5, 5), normalise=fixed))
    np.testing.assert_allclose(coarse.voxels, again.voxels, atol=1e-4)


def test_foreground_is_what_differs_from_zero_before_the_clip():
    scan = random_scan(np.random.default_rng(0), (6, 6, 6))
    scan.voxels[:3] = 0
    recipe = Recipe(3, clip=Clip("value", 80, 120), normalise=Normalise("zscore_foreground"))
    voxels = prepare(scan, recipe).voxels
    assert (voxels[:3] == 0).all()
    assert voxels[3:].mean() == pytest.approx(0, abs=1e-5)
    assert voxels[3:].std() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("kind", ["zscore", "zscore_foreground", "unit"])
@pytest.mark.parametrize("value", [0, 7, 1e6])
def test_constant_image(kind, value):
    scan = Scan(np.full((5, 6, 7, 1), value, np.float32), np.eye(4))
    recipe = Recipe(
        3,
        orientation="LPS",
        spacing=(0.5, 1, 2),
        crop_nonzero=True,
        clip=Clip("percentile", 1, 99),
        normalise=Normalise(kind),
    )
    prepared = prepare(scan, recipe)
    assert prepared.shape == (10, 6, 4)
    assert (prepared.voxels == 0).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float64, bool])
def test_input_is_not_changed(dtype):
    voxels = (np.random.default_rng(0).random((4, 5, 6, 1)) * 3).astype(dtype)
    before = voxels.copy()
    prepared = prepare(Scan(voxels, np.eye(4)), Recipe(3, orientation="RAS", clip=Clip("value", 0, 1)))
    np.testing.assert_array_equal(voxels, before)
    assert prepared.voxels.dtype == np.float32
    assert prepared.voxels.flags.c_contiguous


def test_one_channel_of_scores_is_filled_with_the_smallest():
    scan = random_scan(np.random.default_rng(0), (4, 4, 4))
    scan.voxels[0] = 0
    prepared = prepare(scan, Recipe(3, crop_nonzero=True))
    scores = np.linspace(-3, 5, 48, dtype=np.float32).reshape(3, 4, 4, 1)
    assert (restore(scores, prepared, scan)[0] == -3).all()


def test_recipe_survives_json():
    recipe = Recipe(
        3, 2, "RAS", (1.0, 1.0, 2.5), None, True, Clip("value", -160, 240), Normalise("fixed", (1.0, 2.0), (3.0, 4.0))
    )
    assert from_dict(Recipe, to_dict(recipe)) == recipe


def test_zero_voxels_inside_are_foreground_as_in_nnunet():
    """nnU-Net fills the mask of non-zero voxels before it takes mean and deviation."""
    voxels = np.zeros((12, 12, 12, 1), np.float32)
    inside = (slice(2, 10),) * 3
    voxels[inside] = np.random.default_rng(0).normal(100, 10, (8, 8, 8, 1))
    voxels[5:7, 5:7, 5:7] = 0  # an enclosed hole
    scan = Scan(voxels, np.eye(4))
    recipe = Recipe(rank=3, normalise=Normalise("zscore_foreground"))
    prepared_voxels = prepare(scan, recipe).voxels
    values = voxels[inside].astype(np.float64)
    np.testing.assert_allclose(prepared_voxels[inside], (values - values.mean()) / values.std(), atol=1e-5)
    assert prepared_voxels[0, 0, 0, 0] == 0
    assert prepared_voxels[5, 5, 5, 0] < -5
    assert prepared_voxels[5, 5, 5, 0] == pytest.approx(-values.mean() / values.std(), rel=1e-5)


def test_a_recipe_written_before_holes_were_filled_means_what_it_did():
    older = {"rank": 3, "normalise": {"kind": "zscore_foreground", "mean": [], "std": []}}
    recipe = from_dict(Recipe, older)
    assert (recipe.normalise.fill_holes, recipe.interpolation) == (False, "linear")
    assert from_dict(Recipe, to_dict(Recipe(3))) == Recipe(3)
    voxels = np.ones((7, 7, 7, 1), np.float32)
    voxels[0], voxels[3, 3, 3] = 2, 0
    assert prepare(Scan(voxels, np.eye(4)), recipe).voxels[3, 3, 3, 0] == 0


def test_interpolation_of_a_recipe():
    scan = Scan(np.random.default_rng(0).normal(size=(8, 9, 7, 2)).astype(np.float32), np.diag([2.0, 2, 2, 1]))
    linear, cubic = (
        prepare(scan, Recipe(3, 2, spacing=(1.0, 1.0, 1.0), interpolation=kind)) for kind in ("linear", "cubic")
    )
    np.testing.assert_array_equal(linear.affine, cubic.affine)
    assert linear.shape == cubic.shape
    assert np.abs(linear.voxels - cubic.voxels).max() > 0.1
    with pytest.raises(UsageError, match="recipe interpolation 'sinc': expected linear or cubic"):
        prepare(scan, Recipe(3, 2, interpolation="sinc"))
