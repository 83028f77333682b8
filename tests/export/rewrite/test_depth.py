"""Slices along depth, against NumPy's own."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from export.rewrite.rules import depth


def on_model(x, function):
    """``function`` as a Keras model, on x."""
    image = keras.Input(batch_shape=x.shape)
    return np.asarray(keras.Model(image, function(image))(x))


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_take_is_a_strided_slice(data):
    size = data.draw(st.integers(1, 9))
    start = data.draw(st.integers(0, size - 1))
    stop = data.draw(st.integers(start + 1, size))
    step = data.draw(st.integers(1, 4))
    x = np.random.default_rng(0).normal(size=(size, 2, 3, 2)).astype(np.float32)
    np.testing.assert_array_equal(on_model(x, lambda t: depth.take(t, start, stop, step)), x[start:stop:step])


@pytest.mark.parametrize(("start", "count", "step"), [(-1, 4, 1), (0, 3, 2), (-1, 3, 2), (1, 4, 1), (-3, 2, 4)])
def test_shifted_is_zero_outside(start, count, step):
    x = np.random.default_rng(1).normal(size=(4, 2, 2, 1)).astype(np.float32)
    expected = np.stack([x[i] if 0 <= i < 4 else np.zeros_like(x[0]) for i in range(start, start + count * step, step)])
    np.testing.assert_array_equal(on_model(x, lambda t: depth.shifted(t, start, count, step)), expected)


def test_interleave_reads_parts_in_turn():
    x = np.arange(24, dtype=np.float32).reshape(3, 2, 2, 2)
    result = on_model(x, lambda t: depth.interleave([t, t + 100]))
    np.testing.assert_array_equal(result[0::2], x)
    np.testing.assert_array_equal(result[1::2], x + 100)
