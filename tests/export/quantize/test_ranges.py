"""Ranges by min-max, percentile and mean squared error, against NumPy on the values themselves."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from export.errors import FormatError
from export.quantize.ranges import METHODS, Histogram, Observer, carried, check_method, cover


def histogram(values):
    empty = Histogram.between(values.min(), values.max())
    for part in np.array_split(values, 3):
        empty.add(part)
    return empty


def loss(values, low, high):
    """Mean squared error of storing values as uint8 that cover a range."""
    step = (high - low) / 255
    zero = np.rint(-low / step)
    stored = np.clip(np.rint(values / step) + zero, 0, 255)
    return np.mean(((stored - zero) * step - values) ** 2)


def heavy_tailed(seed=0, size=200_000):
    return np.random.default_rng(seed).standard_t(2, size).astype("float32")


def test_minmax_covers_all():
    values = np.array([-2.0, 5.0, 1.0], "float32")
    assert cover(histogram(values), "minmax") == (-2.0, 5.0)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("values", [[3.0, 5.0], [-5.0, -3.0], [0.0, 0.0], [4.0, 4.0]])
def test_zero_is_always_covered(method, values):
    low, high = cover(histogram(np.array(values, "float32")), method)
    assert low <= 0 <= high


def test_percentile_is_that_of_the_values():
    values = np.random.default_rng(0).uniform(-1, 3, 400_000).astype("float32")
    low, high = cover(histogram(values), "percentile")
    bin_width = 4 / 2048
    assert abs(low - np.percentile(values, 0.01)) < 2 * bin_width
    assert abs(high - np.percentile(values, 99.99)) < 2 * bin_width


def test_one_outlier_is_left_out():
    values = np.append(np.random.default_rng(0).normal(size=100_000), 1000.0).astype("float32")
    assert cover(histogram(values), "minmax")[1] == 1000
    assert cover(histogram(values), "percentile")[1] < 10


@pytest.mark.parametrize("seed", range(3))
def test_mse_loses_less_than_the_extremes(seed):
    values = heavy_tailed(seed)
    distribution = histogram(values)
    low, high = cover(distribution, "mse")
    assert loss(values, low, high) <= loss(values, *cover(distribution, "minmax"))


def test_mse_of_rectified_values_is_near_the_best_of_all():
    values = np.maximum(np.random.default_rng(0).laplace(size=200_000), 0).astype("float32")
    best = min(loss(values, 0.0, values.max() * share) for share in np.linspace(0.1, 1, 91))
    assert loss(values, *cover(histogram(values), "mse")) < 1.1 * best


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=50), st.sampled_from(METHODS))
def test_range_lies_within_the_extremes_and_zero(values, method):
    values = np.array(values, "float32")
    low, high = cover(histogram(values), method)
    assert min(values.min(), 0) <= low <= 0 <= high <= max(values.max(), 0)


def test_what_moves_keeps_its_scale():
    ranges = {"a": (0.0, 1.0), "b": (-2.0, 0.5)}
    moves = [(["a", "axis"], ["padded"]), (["padded", "b"], ["joined"]), (["joined"], ["slice1", "slice2"])]
    covered = carried(ranges, moves)
    assert covered["padded"] == (0.0, 1.0)
    assert covered["joined"] == covered["slice1"] == covered["slice2"] == (-2.0, 1.0)


def test_what_is_joined_takes_the_wider_range_for_a_bit_at_most():
    moves = [(["relu"], ["window"]), (["window", "wide"], ["joined"]), (["narrow", "wide"], ["other"])]
    covered = carried({"relu": (0.0, 1.5), "wide": (0.0, 2.0), "narrow": (0.0, 0.5)}, moves)
    assert covered["joined"] == covered["window"] == covered["relu"] == (0.0, 2.0)
    assert covered["narrow"] == (0.0, 0.5)


def test_unknown_method_is_refused():
    with pytest.raises(FormatError, match="expected one of auto, minmax, percentile, mse"):
        check_method("entropy")


def test_observer_sees_every_extreme_and_every_channel():
    observer = Observer(2)
    values = np.random.default_rng(0).normal(size=(600_000, 4)).astype("float32")
    values[:, 3] += 100
    values[12345, 0] = -77.0
    observer.add(values[:300_000])
    observer.add(values[300_000:])
    distribution = observer.histogram()
    assert (distribution.low, distribution.high) == (-77.0, float(values.max()))
    assert distribution.counts.sum() <= 2**19
    assert abs(distribution.counts[distribution.centres > 50].sum() / distribution.counts.sum() - 0.25) < 0.001
