"""Augmentation against SciPy and closed forms, in 2D and 3D."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from scipy import ndimage
from tiny import STILL

from train.input import augmentation as augment
from train.input import intensity_augmentation as intensity
from train.input.anisotropy import Grid, margins, region
from train.planning.plan import Augmentation

SEED = tf.constant([3, 4])
ALWAYS = dataclasses.replace(
    STILL, rotation_chance=1.0, scale_chance=1.0, elastic_chance=1.0, elastic=2.0, rotation=(40.0,)
)


def cubes(*patch):
    """The grid of a patch of voxels with equal sides."""
    return Grid(patch, (1.0,) * len(patch))


def blocks(shape):
    """A label of two classes that keeps off the border, and an image that equals it."""
    label = np.zeros(shape, np.int32)
    label[tuple(slice(n // 4, n // 2) for n in shape)] = 1
    return label.astype(np.float32)[..., None], label


@pytest.mark.parametrize("region", [(10, 12), (8, 10, 12)])
def test_nothing_chosen_is_the_centre_of_the_region(region):
    image = np.random.default_rng(0).normal(size=(*region, 2)).astype(np.float32)
    label = np.random.default_rng(1).integers(0, 3, region)
    patch = tuple(n - 4 for n in region)
    inner = tuple(slice(2, n - 2) for n in region)
    augmented, classes = augment.augment(image, label, SEED, cubes(*patch), 3, STILL)
    np.testing.assert_array_equal(augmented, image[inner])
    np.testing.assert_array_equal(classes, label[inner])


def test_a_patch_that_turns_any_way_shows_nothing_from_beyond_its_region():
    settings = dataclasses.replace(STILL, rotation_chance=1.0, rotation=(180.0,))
    patch = (16, 16)
    grid = cubes(*patch)
    size = region(settings, grid)
    ones = np.ones((*size, 1), np.float32)
    for seed in range(20):
        augmented, _ = augment.augment(ones, np.zeros(size, np.int32), tf.constant([seed, 1]), grid, 1, settings)
        np.testing.assert_allclose(augmented, 1.0, atol=1e-5)
    assert margins(STILL, grid) == (1, 1)


@pytest.mark.parametrize(("rank", "axis", "plane"), [(2, 0, (0, 1)), (3, 0, (1, 2)), (3, 1, (2, 0)), (3, 2, (0, 1))])
def test_a_quarter_turn_is_rot90(rank, axis, plane):
    values = np.random.default_rng(0).normal(size=(7,) * rank).astype(np.float32)
    angles = [0.0] * (1 if rank == 2 else 3)
    angles[axis] = np.pi / 2
    points = augment.affine_points(
        augment.rotation([tf.constant(a, tf.float32) for a in angles]), values.shape, (7,) * rank
    )
    turned = augment.sample(values[..., None], points)[..., 0]
    np.testing.assert_allclose(turned, np.rot90(values, -1, axes=plane), atol=1e-5)


@pytest.mark.parametrize(("region", "patch"), [((9, 11), (12, 8)), ((9, 11, 7), (6, 12, 8))])
def test_affine_resampling_is_scipys(region, patch):
    random = np.random.default_rng(2)
    rank = len(region)
    values = random.normal(size=region).astype(np.float32)
    matrix = (np.eye(rank) + random.normal(0, 0.3, (rank, rank))).astype(np.float32)
    offset = (np.array(region) - 1) / 2 - matrix @ ((np.array(patch) - 1) / 2)
    expected = ndimage.affine_transform(values, matrix, offset, patch, order=1, mode="grid-constant", cval=0.0)
    sampled = augment.sample(values[..., None], augment.affine_points(tf.constant(matrix), patch, region))[..., 0]
    np.testing.assert_allclose(sampled, expected, atol=1e-4)


def test_magnification_of_two_doubles_a_length():
    label = np.zeros((32, 32), np.int32)
    label[12:20, 12:20] = 1
    settings = dataclasses.replace(STILL, scale_chance=1.0, scale=(2.0, 2.0))
    image, classes = augment.augment(label[..., None].astype(np.float32), label, SEED, cubes(32, 32), 2, settings)
    assert classes.numpy().sum() == 4 * label.sum()
    np.testing.assert_array_equal(image[..., 0] > 0.5, classes == 1)


@pytest.mark.parametrize("shape", [(24, 20), (16, 20, 12)])
def test_image_and_label_move_together(shape):
    image, label = blocks(shape)
    moved = set()
    for number in range(8):
        seed = tf.constant([number, 0])
        augmented, classes = augment.augment(image, label, seed, cubes(*shape), 2, ALWAYS, tuple(range(len(shape))))
        np.testing.assert_array_equal(augmented.numpy()[..., 0] > 0.5, classes.numpy() == 1)
        moved.add(classes.numpy().tobytes())
    assert len(moved) == 8


def test_label_classes_are_never_mixed():
    label = np.zeros((20, 20), np.int32)
    label[4:10, 4:16], label[10:16, 4:16] = 1, 3
    for number in range(10):
        _, classes = augment.augment(
            label[..., None].astype(np.float32), label, tf.constant([number, 1]), cubes(20, 20), 4, ALWAYS
        )
        assert set(np.unique(classes)) <= {0, 1, 3}


@pytest.mark.parametrize("axes", [(), (1,), (0, 2), (0, 1, 2)])
def test_flips_take_the_allowed_axes_and_every_combination(axes):
    image = np.arange(27, dtype=np.float32).reshape(3, 3, 3, 1)
    label = np.arange(27, dtype=np.int32).reshape(3, 3, 3)
    flip = tf.function(lambda seed: augment.flip(tf.constant(image), tf.constant(label), seed, axes))
    seen = set()
    for number in range(40):
        flipped, classes = flip(tf.constant([number, 7]))
        np.testing.assert_array_equal(flipped.numpy()[..., 0], classes.numpy())
        first = int(classes[0, 0, 0])
        turned = tuple(axis for axis, step in enumerate((9, 3, 1)) if (first // step) % 3)
        np.testing.assert_array_equal(classes, np.flip(label, turned))
        seen.add(turned)
    assert len(seen) == 2 ** len(axes)
    assert all(set(turned) <= set(axes) for turned in seen)


def test_same_seed_same_patch_and_other_seed_another():
    image = np.random.default_rng(0).normal(size=(20, 20, 16, 1)).astype(np.float32)
    label = np.random.default_rng(1).integers(0, 3, (20, 20, 16))
    patch = (16, 16, 12)
    make = tf.function(lambda seed: augment.augment(image, label, seed, cubes(*patch), 3, Augmentation(), (0, 1)))
    first, again, reseeded = make(SEED), make(SEED), make(SEED + 1)
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    assert first[0].shape == (*patch, 1)
    assert first[1].dtype == tf.int32
    assert np.abs(first[0] - reseeded[0]).max() > 0.01


def test_every_change_leaves_finite_numbers_even_of_a_constant_patch():
    settings = dataclasses.replace(
        ALWAYS,
        **{name: 1.0 for name in vars(STILL) if name.endswith("_chance")},
    )
    for value in (0.0, 5.0):
        image = np.full((12, 12, 12, 2), value, np.float32)
        augmented, _ = augment.augment(image, np.zeros((12, 12, 12), np.int32), SEED, cubes(8, 8, 8), 2, settings, (0,))
        assert np.isfinite(augmented).all()


def test_chance_is_met():
    used = tf.function(lambda seed: augment.maybe(0.3, seed, tf.zeros(()), lambda x, s: x + 1.0))
    count = sum(float(used(tf.constant([number, 9]))) for number in range(400))
    assert 85 <= count <= 155  # 120 expected, standard deviation 9


def test_displacement_is_smooth_and_bounded():
    field = augment.displacement(SEED, (24, 18, 12), 4).numpy()
    assert field.shape == (24, 18, 12, 3)
    assert np.abs(field).max() <= 1.0
    assert np.abs(np.diff(field, axis=0)).max() <= 2.0 * 3 / 23 + 1e-5  # a cell of the grid spans 23 / 3 voxels


def test_gaussian_is_scipys():
    image = np.random.default_rng(0).normal(size=(12, 10, 9, 2)).astype(np.float32)
    blurred = intensity.gaussian(tf.constant(image), tf.constant([0.6, 1.0]), (1, 1, 1)).numpy()
    for channel, sigma in enumerate((0.6, 1.0)):
        expected = ndimage.gaussian_filter(image[..., channel], sigma, mode="nearest", radius=intensity.RADIUS)
        np.testing.assert_allclose(blurred[..., channel], expected, atol=1e-5)


def test_low_resolution_keeps_every_second_voxel_and_joins_them_linearly():
    image = np.random.default_rng(0).normal(size=(8, 8, 1)).astype(np.float32)
    np.testing.assert_allclose(intensity.lower(tf.constant(image), tf.constant(1.0), (1, 1)), image, atol=1e-6)
    row = tf.constant(image[:, :1])
    lowered = intensity.lower(row, tf.constant(0.5), (1, 1)).numpy()[:, 0, 0]
    coarse = image[1::2, 0, 0]
    np.testing.assert_allclose(lowered, np.interp((np.arange(8) + 0.5) / 2 - 0.5, np.arange(4), coarse), atol=1e-5)


def test_noise_brightness_contrast():
    random = np.random.default_rng(0)
    image = tf.constant(random.normal(2.0, 1.0, (20, 20, 20, 2)).astype(np.float32))
    noisy = intensity.noise(image, SEED, 0.3) - image
    assert 0 < float(tf.math.reduce_std(noisy)) < 0.31
    ratio = (intensity.brightness(image, SEED, (0.75, 1.25)) / image).numpy().astype(float)
    assert ratio.std(axis=(0, 1, 2)).max() < 1e-5
    assert ((ratio > 0.75) & (ratio < 1.25)).all()
    changed = intensity.contrast(image, SEED, (0.5, 0.5)).numpy()
    middle = image.numpy().mean((0, 1, 2))
    np.testing.assert_allclose(changed, (image.numpy() - middle) * 0.5 + middle, atol=1e-4)


def test_negative_turns_the_order_round_and_keeps_range_and_colours_apart():
    image = np.random.default_rng(0).uniform(-1, 3, (16, 12, 3)).astype(np.float32)
    turned = intensity.negative(tf.constant(image)).numpy()
    assert (turned.min(), turned.max()) == pytest.approx((image.min(), image.max()))
    np.testing.assert_allclose(np.corrcoef(image.ravel(), turned.ravel())[0, 1], -1.0, atol=1e-6)
    np.testing.assert_allclose(intensity.negative(tf.constant(turned)).numpy(), image, atol=1e-6)


@pytest.mark.parametrize("shape", [(16, 12, 3), (8, 6, 4, 2)])
def test_tint_keeps_the_mean_colour_and_mixes_channels_linearly(shape):
    image = np.random.default_rng(0).normal(0.5, 0.2, shape).astype(np.float32)
    tinted = intensity.tint(tf.constant(image), SEED, 1.0).numpy()
    axes = tuple(range(len(shape) - 1))
    np.testing.assert_allclose(tinted.mean(axes), image.mean(axes), atol=1e-5)
    apart = (image - image.mean(axes)).reshape(-1, shape[-1])
    changed = (tinted - tinted.mean(axes)).reshape(-1, shape[-1])
    mixture, residual, *_ = np.linalg.lstsq(apart.astype(np.float64), changed.astype(np.float64), rcond=None)
    assert residual.max() < 1e-6
    assert np.abs(mixture - np.eye(shape[-1])).max() > 0.05
    assert (mixture >= -1e-5).all()


def test_tint_gives_grey_pictures_colour():
    grey = np.repeat(np.random.default_rng(0).uniform(0, 1, (16, 12, 1)), 3, -1).astype(np.float32)
    tinted = intensity.tint(tf.constant(grey), SEED, 1.0).numpy()
    assert np.ptp(tinted.std((0, 1))) > 0.01
    np.testing.assert_allclose(np.corrcoef(tinted.reshape(-1, 3).T), 1.0, atol=1e-4)
    np.testing.assert_allclose(intensity.tint(tf.constant(grey), SEED, 0.0).numpy(), grey, atol=1e-6)


def test_gamma_keeps_mean_deviation_and_order():
    image = np.random.default_rng(0).normal(1.0, 2.0, (10, 10, 10, 1)).astype(np.float32)
    bent = intensity.gamma(tf.constant(image), SEED, (0.5, 0.5)).numpy()
    np.testing.assert_allclose([bent.mean(), bent.std()], [image.mean(), image.std()], rtol=1e-3)
    assert (np.diff(bent.ravel()[np.argsort(image.ravel())]) >= -1e-5).all()
    assert np.abs(bent - image).max() > 0.1
