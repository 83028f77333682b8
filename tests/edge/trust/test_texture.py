"""Noise and sharpness in closed form, and what changes them."""

import math

import numpy as np
import pytest
from scipy import ndimage

from edge.trust.texture import texture_features
from imaging.scan import Scan


def scan_of(voxels):
    return Scan(np.asarray(voxels, np.float32)[..., None], np.eye(4))


def picture():
    """Blocks of constant intensity."""
    return np.kron(np.random.default_rng(0).integers(0, 8, (12, 16)), np.ones((15, 15)))


@pytest.mark.parametrize("shape", [(300, 400), (60, 60, 60)])
def test_white_noise(shape):
    features = texture_features(scan_of(np.random.default_rng(0).normal(100, 5, shape)))
    # A second difference of noise of deviation 1 is normal with variance 1 + 4 + 1.
    quantiles = {"noise floor": 0.3186, "sharpness": 3.2905}  # of the absolute value of a normal variable
    assert features["fine detail"] == pytest.approx(1, abs=0.02)
    assert features["roughness"] == pytest.approx(20 * math.log10(math.sqrt(6 * 2 / math.pi)), abs=0.2)
    for name, value in quantiles.items():
        assert features[name] == pytest.approx(20 * math.log10(math.sqrt(6) * value), abs=0.5)


def test_a_ramp_is_smooth():
    features = texture_features(scan_of(np.indices((50, 70)).sum(axis=0)))
    floor = 20 * math.log10(0.003)
    assert features == pytest.approx(
        {"fine detail": 0.5, "sharpness": floor, "roughness": floor, "noise floor": floor}, abs=1e-3
    )


def test_noise_and_blur_move_the_features_their_way():
    clean = texture_features(scan_of(picture()))
    noisy = texture_features(scan_of(picture() + np.random.default_rng(1).normal(0, 0.5, picture().shape)))
    blurred = texture_features(scan_of(ndimage.gaussian_filter(picture(), 1.5)))
    assert noisy["noise floor"] > clean["noise floor"] + 20
    assert noisy["fine detail"] > clean["fine detail"] + 0.2
    assert blurred["sharpness"] < clean["sharpness"] - 6
    assert blurred["roughness"] < clean["roughness"] - 3


def test_neither_gain_nor_offset_changes_them():
    assert texture_features(scan_of(1000 * picture() - 5000)) == pytest.approx(
        texture_features(scan_of(picture())), abs=1e-3
    )


def test_voxels_that_are_no_numbers_count_as_what_they_stand_for():
    voxels = picture()
    voxels[:40] = 0
    holes = np.where(np.arange(len(voxels))[:, None] < 40, np.nan, voxels)
    assert texture_features(scan_of(holes), nan=0.0) == texture_features(scan_of(voxels))


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (1, 40, 30), (3, 3, 3), (1, 1, 1)])
@pytest.mark.parametrize("value", ["constant", "random"])
def test_small_and_constant_scans_have_finite_numbers(shape, value):
    random = np.random.default_rng(0)
    features = texture_features(scan_of(random.normal(size=shape) if value == "random" else np.ones(shape)))
    assert all(map(math.isfinite, features.values()))


def test_each_channel_has_its_own():
    voxels = np.stack([picture(), np.random.default_rng(0).normal(size=picture().shape)], axis=-1)
    features = texture_features(Scan(voxels.astype(np.float32), np.eye(4)))
    assert features["fine detail of channel 1"] == pytest.approx(1, abs=0.03)
    assert features["fine detail of channel 0"] < 0.9
