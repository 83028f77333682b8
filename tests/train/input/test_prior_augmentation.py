"""What the first network of a cascade found, made worse at random: against SciPy's morphology, and by parts."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import ndimage

from train.input.anisotropy import Grid
from train.input.prior_augmentation import reshaped, without_parts
from train.input.prior_cache import LARGEST, numbered

GRID = Grid((24, 20, 16), (1.0, 1.0, 1.0))


def balls(*places, shape=GRID.patch):
    classes = np.zeros(shape, np.int32)
    for value, centre, radius in places:
        classes[sum((g - c) ** 2 for g, c in zip(np.indices(shape), centre, strict=True)) <= radius**2] = value
    return classes


@pytest.mark.parametrize("seed", range(12))
def test_classes_grow_and_shrink_as_scipy_has_it(seed):
    classes = balls((1, (8, 8, 8), 4), (2, (16, 12, 8), 3))
    reshaped_classes = reshaped(tf.constant(classes), (seed, 1), GRID, 3).numpy()
    masks = [classes == 1, classes == 2]
    matches = []
    for radius in (1, 2, 3):
        box = np.ones((2 * radius + 1,) * 3, bool)
        grown = [ndimage.binary_dilation(mask, box) for mask in masks]
        shrunk = [ndimage.binary_erosion(mask, box, border_value=1) for mask in masks]
        opened = [ndimage.binary_dilation(mask, box) for mask in shrunk]
        closed = [ndimage.binary_erosion(mask, box, border_value=1) for mask in grown]
        for changed in (grown, shrunk, opened, closed):
            expected = np.select([c & m for c, m in zip(changed, masks, strict=True)] + changed, [1, 2, 1, 2], 0)
            matches.append(np.array_equal(reshaped_classes, expected))
    assert any(matches)


def test_draws_change_the_kind_of_change():
    classes = tf.constant(balls((1, (8, 8, 8), 4)))
    volumes = {int(np.count_nonzero(reshaped(classes, (seed, 1), GRID, 2))) for seed in range(30)}
    assert len(volumes) > 5
    assert min(volumes) < np.count_nonzero(classes) < max(volumes)


def test_thick_slices_keep_their_classes_apart():
    grid = Grid((6, 20, 16), (8.0, 1.0, 1.0))
    classes = tf.constant(balls((1, (3, 8, 8), 1), shape=grid.patch))
    for seed in range(20):
        reshaped_classes = reshaped(classes, (seed, 1), grid, 2).numpy()
        assert set(np.flatnonzero(reshaped_classes.any(axis=(1, 2)))) <= {2, 3, 4}


def test_parts_are_numbered_by_size():
    classes = balls((1, (5, 5, 5), 3), (1, (15, 12, 8), 2), (2, (20, 5, 5), 2)).astype(np.uint8)
    numbers = numbered(classes, 3)
    np.testing.assert_array_equal(numbers % 3, classes)
    assert numbers[5, 5, 5] == 1
    assert numbers[15, 12, 8] == 1 + 3
    assert numbers[20, 5, 5] == 2
    crumbs = np.zeros((64, 64, 64), np.uint8)
    crumbs[::2, ::2, ::2] = 1
    numbers = numbered(crumbs, 200)
    assert numbers.max() <= LARGEST
    np.testing.assert_array_equal(numbers % 200, crumbs)
    assert len(np.unique(numbers)) == 1 + (LARGEST + 1) // 200


def test_one_small_part_of_each_class_is_left_out():
    classes = balls((1, (4, 4, 4), 3), (1, (16, 14, 10), 2), (1, (4, 14, 4), 2), (2, (20, 4, 4), 2))
    numbers = tf.constant(numbered(classes.astype(np.uint8), 3).astype(np.int32))
    left = set()
    for seed in range(20):
        kept = without_parts(numbers, (seed, 0), 3).numpy()
        gone = np.unique(numbers.numpy()[(kept == 0) & (classes > 0)])
        assert sorted(gone % 3) == [1, 2]
        left.add(int(gone[gone % 3 == 1][0]))
        same = kept != 0
        np.testing.assert_array_equal(kept[same], numbers.numpy()[same])
    assert left == {1, 4, 7}
    large = np.ones(GRID.patch, np.int32)
    np.testing.assert_array_equal(without_parts(tf.constant(large), (0, 0), 3), large)
    nothing = tf.zeros(GRID.patch, tf.int32)
    np.testing.assert_array_equal(without_parts(nothing, (0, 0), 3), nothing)
