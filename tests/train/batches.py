"""Preprocessed cases and the batches that are drawn from them, for tests of the input and of training."""

import numpy as np

from train.input.cache import CachedCase, class_positions


def write_case(folder, number, shape, foreground=()):
    """A preprocessed case whose voxels all hold ``number + 1``; ``foreground`` lists the voxels of class 1."""
    place = folder / str(number)
    place.mkdir(parents=True)
    label = np.zeros(shape, np.uint8)
    for voxel in foreground:
        label[voxel] = 1
    positions, offsets = class_positions(label, 3)
    np.save(place / "image.npy", np.full((*shape, 1), number + 1, np.float32))
    np.save(place / "label.npy", label)
    np.save(place / "positions.npy", positions)
    np.save(place / "offsets.npy", offsets)
    return CachedCase(f"case_{number}", place, shape)


def taken(dataset, count):
    return [(image.numpy(), label.numpy()) for image, label in dataset.take(count)]


def assert_same(first, second):
    for (image, label), (other_image, other_label) in zip(first, second, strict=True):
        np.testing.assert_array_equal(image, other_image)
        np.testing.assert_array_equal(label, other_label)
