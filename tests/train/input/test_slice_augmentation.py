"""Patches that hold neighbouring slices as channels: a scanner does the same to all slices of a scan."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from tiny import STILL

from imaging.slices import slice_stack
from train.input import intensity_augmentation as intensity
from train.input.anisotropy import Grid
from train.input.augmentation import augment

SLICES, CHANNELS, SIZE = 3, 2, (24, 20)
GRID = Grid(SIZE, (1.0, 1.5), SLICES)
SEEDS = [tf.constant([seed, 5]) for seed in range(4)]
POINTWISE = ("brightness", "contrast", "gamma", "gamma_inverted", "window", "gain", "offset", "negative")
# A new change of intensities is a word here; noise differs from voxel to voxel, and only its strength is shared.
CHANGES = (*POINTWISE, "blur", "low_resolution", "bias_field", "sharpen", "attenuation", "tint")


def changed(image, seed, *names):
    """The patch with those changes, made for certain, as (slices, *patch, channels)."""
    ranges = {"offset": 0.7, "gain": 0.3, "tint": 1.0, "sharpen": 1.5, "attenuation": 1.0, "bias_field": 0.5}
    chances = {f"{name}_chance": 1.0 for name in names}
    settings = dataclasses.replace(STILL, **chances, **{name: ranges[name] for name in names if name in ranges})
    label = tf.zeros(SIZE, tf.int32)
    result, _ = augment(tf.constant(image), label, seed, GRID, 2, settings)
    assert result.shape == (*SIZE, SLICES * CHANNELS)
    return np.moveaxis(np.reshape(result, (*SIZE, SLICES, CHANNELS)), 2, 0)


def levels():
    """A patch of five values that each slice has in shares of its own."""
    random = np.random.default_rng(0)
    shares = ([0.6, 0.1, 0.1, 0.1, 0.1], [0.1, 0.6, 0.1, 0.1, 0.1], [0.1, 0.1, 0.1, 0.1, 0.6])
    drawn = [random.choice(5, (*SIZE, CHANNELS), p=share) for share in shares]
    return np.concatenate(drawn, -1).astype(np.float32) - 1.5


def test_a_stack_is_the_slices_of_the_scan():
    voxels = np.random.default_rng(1).normal(size=(5, *SIZE, CHANNELS)).astype(np.float32)
    channels = slice_stack(voxels, 2, SLICES)
    stack = intensity.as_stack(tf.constant(channels), SIZE, SLICES)
    np.testing.assert_array_equal(stack, voxels[1:4])
    np.testing.assert_array_equal(intensity.as_channels(stack, SIZE, SLICES), channels)


@pytest.mark.parametrize("name", CHANGES)
def test_equal_slices_stay_equal(name):
    voxels = np.random.default_rng(2).normal(size=(*SIZE, CHANNELS)).astype(np.float32)
    image = np.concatenate([voxels] * SLICES, -1)
    results = [changed(image, seed, name) for seed in SEEDS]
    for result in results:
        np.testing.assert_allclose(result, np.stack([result[0]] * SLICES), atol=1e-6)
    assert any(np.abs(result[0] - voxels).max() > 1e-3 for result in results)


@pytest.mark.parametrize("name", POINTWISE)
def test_a_value_becomes_the_same_value_in_every_slice(name):
    image = levels()
    before = np.moveaxis(np.reshape(image, (*SIZE, SLICES, CHANNELS)), 2, 0)
    for seed in SEEDS:
        after = changed(image, seed, name)
        for channel in range(CHANNELS):
            for value in np.unique(image):
                assert np.ptp(after[..., channel][before[..., channel] == value]) < 1e-5


@pytest.mark.parametrize("name", ["blur", "low_resolution", "sharpen"])
def test_nothing_is_blurred_across_slices(name):
    image = np.zeros((*SIZE, SLICES, CHANNELS), np.float32)
    image[8:12, 8:12, 1] = 1.0
    for seed in SEEDS:
        after = changed(np.reshape(image, (*SIZE, -1)), seed, name)
        assert after[1].max() > 0.1
        np.testing.assert_array_equal(after[[0, 2]], 0.0)
