"""Separable interpolation, against SciPy and the closed form of the filter."""

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from imaging.geometry.interpolation import axis_weights, interpolate


def reference(array, shape, scale, offset):
    axes = [s * np.arange(n) + o for s, n, o in zip(scale, shape, offset, strict=True)]
    grid = np.meshgrid(*axes, indexing="ij")
    return np.stack(
        [
            map_coordinates(array[..., k].astype(np.float64), grid, order=1, mode="nearest")
            for k in range(array.shape[-1])
        ],
        axis=-1,
    )


@pytest.mark.parametrize("rank", [2, 3])
@pytest.mark.parametrize("seed", range(8))
def test_linear_agrees_with_scipy(rank, seed):
    rng = np.random.default_rng(seed)
    array = rng.random((*rng.integers(1, 9, rank), 2), np.float32)
    shape = tuple(int(n) for n in rng.integers(1, 12, rank))
    scale = rng.uniform(0.2, 3, rank) * rng.choice([-1, 1], rank)
    offset = rng.uniform(-3, 9, rank)
    values = interpolate(array, shape, scale, offset)
    assert values.dtype == np.float32
    np.testing.assert_allclose(values, reference(array, shape, scale, offset), atol=1e-5)


@pytest.mark.parametrize(
    ("source", "target"), [((5, 7), (11, 20)), ((256, 256), (54, 80)), ((6, 6), (3, 3)), ((1, 4), (4, 1))]
)
@pytest.mark.parametrize("channels", [1, 2, 3, 7])
def test_opencv_route_is_the_same_interpolation(source, target, channels):
    array = np.random.default_rng(0).random((*source, channels), np.float32)
    scale = np.array(source) / target
    values = interpolate(array, target, scale, (scale - 1) / 2)
    assert values.shape == (*target, channels)
    np.testing.assert_allclose(values, reference(array, target, scale, (scale - 1) / 2), atol=1e-5)


@pytest.mark.parametrize("scale", [-3.3, 1.01, 1.5, 2, 2.7, 5])
def test_antialiased_value_is_the_mean_of_the_interpolant_over_a_box(scale):
    rng = np.random.default_rng(0)
    values = rng.random(40)
    offset = 20 - 3 * scale + 0.37
    index, weight = axis_weights(7, 40, scale, offset, antialias=True)
    averaged = (values[index] * weight).sum(axis=0)
    half = np.sqrt(scale**2 - 1) / 2
    fine = (np.arange(20000) + 0.5) / 20000 * 2 - 1
    places = scale * np.arange(7)[:, None] + offset + half * fine
    np.testing.assert_allclose(averaged, np.interp(places, np.arange(40), values).mean(axis=1), atol=1e-5)


def test_antialias_changes_nothing_when_enlarging():
    array = np.random.default_rng(0).random((4, 5, 6, 1), np.float32)
    plain = interpolate(array, (8, 9, 10), (0.5, 0.6, 0.7), (0.1, 0.2, 0.3))
    np.testing.assert_array_equal(
        interpolate(array, (8, 9, 10), (0.5, 0.6, 0.7), (0.1, 0.2, 0.3), antialias=True), plain
    )


@pytest.mark.parametrize("scale", [-2.7, -1.0, 0.3, 1.0, 1.9, 6.5])
@pytest.mark.parametrize("antialias", [False, True])
def test_weights_sum_to_one_and_stay_inside(scale, antialias):
    index, weight = axis_weights(9, 7, scale, 2.3, antialias)
    np.testing.assert_allclose(weight.sum(axis=0), 1, atol=1e-6)
    assert weight.min() >= 0
    assert 0 <= index.min() <= index.max() < 7


@pytest.mark.parametrize("scale", [1.1, 1.47, 2, 3.3, 4])
def test_linear_ramps_survive_downscaling(scale):
    ramp = np.arange(40, dtype=np.float32)[:, None, None] * np.ones((1, 3, 1), np.float32)
    count = int(40 / scale)
    values = interpolate(ramp, (count, 3), (scale, 1), (1.5, 0), antialias=True)
    inner = slice(2, count - 2)
    np.testing.assert_allclose(values[inner, 0, 0], (scale * np.arange(count) + 1.5)[inner], rtol=1e-5)


def test_blocks_downscale_without_aliasing():
    stripes = np.tile(np.float32([0, 1]), 32)[:, None, None]
    values = interpolate(stripes, (16, 1), (4, 1), (1.5, 0), antialias=True)
    np.testing.assert_allclose(values[1:-1], 0.5, atol=0.01)
