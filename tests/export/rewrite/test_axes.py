"""Slices and transpositions of many axes by few, against NumPy."""

import keras
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from export.rewrite.axes import get_item, transpose

PROPERTY = settings(max_examples=100, deadline=None, derandomize=True)
shapes = st.lists(st.integers(1, 3), min_size=1, max_size=8).map(tuple)


def numbers(shape):
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


@PROPERTY
@given(st.data(), shapes)
def test_transpose(data, shape):
    order = data.draw(st.permutations(range(len(shape))))
    x = keras.KerasTensor(shape)
    y = transpose(x, order)
    result = keras.Function(x, y)(numbers(shape))
    np.testing.assert_array_equal(result, numbers(shape).transpose(order))


@st.composite
def keys(draw, shape):
    """A key with an integer, a slice or an Ellipsis for the axes and new axes between them."""
    key = []
    for size in shape[: draw(st.integers(0, len(shape)))]:
        kind = draw(st.sampled_from(["all", "all", "integer", "slice", "new"]))
        if kind == "new":
            key.append(None)
        start, stop = draw(st.integers(0, size - 1)), draw(st.integers(1, size))
        piece = slice(min(start, stop - 1), stop, draw(st.sampled_from([None, 1, 2])))
        key.append({"integer": start - draw(st.sampled_from([0, size])), "slice": piece}.get(kind, slice(None)))
    if draw(st.booleans()):
        key.append(Ellipsis)
    return tuple(key)


@PROPERTY
@given(st.data(), shapes)
def test_get_item(data, shape):
    key = data.draw(keys(shape))
    values, result = get_item(numbers(shape), shape, key)
    np.testing.assert_array_equal(np.reshape(values, result), numbers(shape)[key])


def test_other_keys_are_left_to_keras():
    assert get_item(numbers((3, 2)), (3, 2), np.array([0, 1])) is None
    assert get_item(numbers((3, 2)), (3, 2), (slice(None), [0, 1])) is None
