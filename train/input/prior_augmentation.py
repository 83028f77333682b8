"""What the first network of a cascade found, made worse at random: in training it is better than it will be.

The second network must not learn to copy it. As nnU-Net does (Isensee et al., Nature Methods 2021, arXiv:1904.08128),
classes are eroded, dilated, opened or closed, and a connected part of a class is left out. All in TensorFlow
operations, decided by a stateless seed.
"""

import tensorflow as tf

from train.input.anisotropy import Grid
from train.input.augmentation import uniform

CHANGE_CHANCE = 0.4
RADIUS = 3  # voxels at most; nnU-Net takes up to 8 in patches of 128 voxels, ours have 48
LEAVE_OUT_CHANCE = 0.2
LARGEST_SHARE = 0.15  # of the patch, beyond which a part is never left out


def corrupted(numbers, seed, grid: Grid, classes: int):
    """Class indices of a patch, changed at random.

    Args:
        numbers: (*patch) int32, class + ``classes`` × part, see ``train.input.prior_cache.numbered``.
        seed: (2,) int32.
        grid: of the patch; classes grow and shrink along its free axes.
        classes: how many there are, the background included.

    Returns:
        (*patch) int32.
    """
    seeds = tf.unstack(tf.random.split(seed, 4))
    numbers = tf.cond(
        uniform(seeds[0]) < LEAVE_OUT_CHANCE, lambda: without_parts(numbers, seeds[1], classes), lambda: numbers
    )
    class_map = numbers % classes
    return tf.cond(
        uniform(seeds[2]) < CHANGE_CHANCE, lambda: reshaped(class_map, seeds[3], grid, classes), lambda: class_map
    )


def without_parts(numbers, seed, classes: int):
    """Without one connected part of every class, drawn among those that are no larger than ``LARGEST_SHARE``.

    Args:
        numbers: as for ``corrupted``.
        seed: (2,) int32.
        classes: as there.
    """
    flat = tf.reshape(numbers, (-1,))
    parts, index, counts = tf.unique_with_counts(flat)
    kind = parts % classes
    small = tf.cast(counts, tf.float32) <= LARGEST_SHARE * tf.cast(tf.size(flat), tf.float32)
    eligible = small & (kind > 0)
    draws = tf.where(eligible, uniform(seed, shape=tf.shape(parts)), -1.0)
    highest = tf.gather(tf.math.unsorted_segment_max(draws, kind, classes), kind)
    kept = tf.where(eligible & (draws == highest), 0, parts)
    return tf.reshape(tf.gather(kept, index), tf.shape(numbers))


def reshaped(class_map, seed, grid: Grid, classes: int):
    """Every class dilated, eroded, opened or closed by a box, alike for all.

    Where classes grow into one another a voxel keeps its own, and of several new ones takes the first.

    Args:
        class_map: (*patch) int32 class indices.
        seed: (2,) int32.
        grid: of the patch.
        classes: how many there are, the background included.
    """
    seeds = tf.unstack(tf.random.split(seed, 2))
    radius = tf.random.stateless_uniform((), seeds[0], 1, RADIUS + 1, tf.int32)
    kind = tf.random.stateless_uniform((), seeds[1], 0, 4, tf.int32)
    masks = tf.one_hot(class_map - 1, classes - 1)[None]
    window = [3 if axis in grid.free else 1 for axis in range(len(grid.patch))]

    def grown(values):
        pool = tf.nn.max_pool3d if len(window) == 3 else tf.nn.max_pool2d
        return tf.while_loop(
            lambda count, _: count < radius, lambda count, x: (count + 1, pool(x, window, 1, "SAME")), (0, values)
        )[1]

    def shrunk(values):
        return -grown(-values)

    changed = tf.switch_case(
        kind,
        [
            lambda: grown(masks),
            lambda: shrunk(masks),
            lambda: grown(shrunk(masks)),
            lambda: shrunk(grown(masks)),
        ],
    )[0]
    rank = changed * (1.0 + masks[0])  # its own class counts twice
    return tf.where(tf.reduce_max(rank, -1) > 0, tf.argmax(rank, -1, tf.int32) + 1, 0)
