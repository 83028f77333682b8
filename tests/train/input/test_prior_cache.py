"""Classes that the first network of a cascade finds, with the numbers of their connected parts."""

import numpy as np
from scipy import ndimage

from train.input.prior_cache import LARGEST, numbered


def test_parts_are_numbered_by_size():
    classes = np.zeros((12, 9, 8), np.uint8)
    classes[1:3, 1:3, 1:3] = 1
    classes[5:9, 1:5, 1:6] = 1
    classes[5, 1, 7] = 2
    numbers = numbered(classes, 3)
    assert numbers.dtype == np.uint16
    np.testing.assert_array_equal(numbers % 3, classes)
    assert (numbers[5:9, 1:5, 1:6] == 1).all()
    assert (numbers[1:3, 1:3, 1:3] == 1 + 3).all()
    assert numbers[5, 1, 7] == 2


def test_the_smallest_parts_share_a_number_where_there_are_too_many():
    """300 classes leave 218 numbers a class."""
    classes = np.zeros((60, 60), np.uint8)
    classes[::2, ::2] = 1
    classes[1, :30] = 1  # joins sixteen of the first and of the third row
    numbers = numbered(classes, 300)
    np.testing.assert_array_equal(numbers % 300, classes)
    parts = ndimage.label(classes, np.ones((3, 3)))[1]
    assert parts == 900 - 31
    assert (numbers[1, :30] == 1).all()
    assert len(np.unique(numbers)) == 1 + (LARGEST + 1) // 300
