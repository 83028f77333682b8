"""Intensity limits and normalisation, against NumPy in float64."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imaging import InputError
from imaging.intensity import all_finite, clip, moments, normalise


def voxels(seed=0, shape=(6, 7, 8, 2), scale=100.0, shift=50.0):
    return (np.random.default_rng(seed).normal(size=shape) * scale + shift).astype(np.float32)


def test_clip_by_value_and_percentile():
    x = voxels()
    np.testing.assert_array_equal(clip(x.copy(), "value", -20, 60), np.clip(x, -20, 60))
    low, high = np.percentile(x, (5, 95), axis=(0, 1, 2))
    np.testing.assert_allclose(clip(x.copy(), "percentile", 5, 95), np.clip(x, low, high), rtol=1e-6)


@pytest.mark.parametrize(("kind", "low", "high"), [("value", 3, 3), ("percentile", -1, 50), ("percentile", 5, 101)])
def test_clip_limits(kind, low, high):
    with pytest.raises(InputError, match="clip limits"):
        clip(voxels(), kind, low, high)
    with pytest.raises(InputError, match="clip kind 'hu'"):
        clip(voxels(), "hu", low, high)


def test_zscore_per_channel():
    x = voxels()
    expected = (x - x.mean(axis=(0, 1, 2), dtype=np.float64)) / x.std(axis=(0, 1, 2), dtype=np.float64)
    np.testing.assert_allclose(normalise(x.copy(), "zscore"), expected, atol=1e-5)


def test_zscore_foreground_ignores_and_keeps_the_background():
    x = voxels()
    mask = np.random.default_rng(1).random((6, 7, 8)) > 0.5
    normalised = normalise(x.copy(), "zscore_foreground", foreground=mask)
    for c in range(2):
        inside = x[..., c][mask].astype(np.float64)
        np.testing.assert_allclose(normalised[..., c][mask], (inside - inside.mean()) / inside.std(), atol=1e-5)
    assert (normalised[~mask] == 0).all()
    assert (normalise(x.copy(), "zscore_foreground", foreground=np.zeros_like(mask)) == 0).all()


def test_fixed_and_unit():
    x = voxels()
    np.testing.assert_allclose(
        normalise(x.copy(), "fixed", (1, 2), (3, 4)), (x.astype(np.float64) - [1, 2]) / [3, 4], rtol=1e-4, atol=1e-5
    )
    unit = normalise(x.copy(), "unit")
    low, high = x.min(axis=(0, 1, 2)), x.max(axis=(0, 1, 2))
    np.testing.assert_allclose(unit, (x - low) / (high - low), atol=1e-6)


@pytest.mark.parametrize("kind", ["zscore", "unit", "zscore_foreground"])
@pytest.mark.parametrize("value", [0.0, 0.1, 1e-30, -7.3, 1.7e6, 3e38])
def test_constant_image_becomes_zero(kind, value):
    x = np.full((5, 6, 7, 1), value, np.float32)
    with np.errstate(all="raise", under="ignore"):
        normalised = normalise(x, kind, foreground=np.ones((5, 6, 7), bool))
    np.testing.assert_array_equal(normalised, 0)


@pytest.mark.parametrize(("mean", "std"), [((), ()), ((1,), (1,)), ((1, 2), (1, 0)), ((1, 2), (1, -1))])
def test_fixed_needs_a_pair_per_channel(mean, std):
    with pytest.raises(InputError, match="one finite mean and one positive deviation per channel"):
        normalise(voxels(), "fixed", mean, std)


def test_unknown_kind():
    with pytest.raises(InputError, match="normalise kind 'minmax'"):
        normalise(voxels(), "minmax")


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.01, 1e4), st.floats(-1e4, 1e4))
def test_moments(seed, scale, shift):
    rng = np.random.default_rng(seed)
    x = (rng.normal(size=(int(rng.integers(1, 9)), 5, 4)) * scale + shift).astype(np.float32)
    mean, std = moments(x)
    assert mean == pytest.approx(x.astype(np.float64).mean(), rel=1e-6, abs=1e-6 * scale)
    assert std == pytest.approx(x.astype(np.float64).std(), rel=1e-4)


def test_moments_of_large_values_in_many_slabs():
    x = np.random.default_rng(0).normal(1.7e6, 10, (40, 300, 300)).astype(np.float32)
    mean, std = moments(x)
    assert mean == pytest.approx(x.mean(dtype=np.float64), rel=1e-9)
    assert std == pytest.approx(x.std(dtype=np.float64), rel=1e-5)


def test_in_place():
    x = voxels()
    assert normalise(x, "zscore") is x
    assert clip(x, "value", 0, 1) is x


@pytest.mark.parametrize(
    ("values", "finite"),
    [
        ([1.0, -2.0], True),
        ([3e38, 3e38], True),  # whose sum float32 cannot hold
        ([-3e38, 3e38, -3e38, -3e38], True),
        ([1.0, np.nan], False),
        ([1.0, np.inf], False),
        ([np.inf, -np.inf], False),
        ([3e38, 3e38, -np.inf], False),
        ([], True),
    ],
)
def test_finite_is_said_of_numbers_not_of_their_sum(values, finite):
    assert all_finite(np.array(values, np.float32)) is finite
    assert all_finite(np.array(values, np.float64)) is finite
