"""Mixup of a batch of patches in TensorFlow operations, decided by a stateless seed."""

import tensorflow as tf


def mixup(images, labels, seed, classes: int, chance: float, alpha: float):
    """Some samples of a batch blended with another sample of it, image and label alike.

    Zhang et al., ICLR 2018, arXiv:1710.09412; for segmentation Eaton-Rosen et al., MIDL 2018. A share drawn from
    Beta(alpha, alpha) is kept of a sample, the rest is its partner's.

    Args:
        images: (B, *spatial, C), B at least 2.
        labels: (B, *spatial) class indices; voxels of any other index belong to no class.
        seed: (2,) int32; the same seed gives the same result.
        classes: number of classes.
        chance: of each sample to be blended.
        alpha: of the Beta distribution.

    Returns:
        The images, and soft labels (B, *spatial, classes) float32. A voxel that belongs to no class in either sample is
        0 in every class, which losses with an ``ignore_class`` leave out.
    """
    batch = images.shape[0]
    seeds = tf.random.split(seed, 4)
    first, second = (tf.random.stateless_gamma((batch,), s, alpha) for s in (seeds[0], seeds[1]))
    kept = first / tf.maximum(first + second, 1e-30)
    kept = tf.where(tf.random.stateless_uniform((batch,), seeds[2]) < chance, kept, 1.0)
    # A step around the batch, so that no sample meets itself.
    step = tf.random.stateless_uniform((), seeds[3], 1, batch, tf.int32)
    one_hot = tf.one_hot(labels, classes)

    def blended(values):
        share = tf.reshape(kept, (batch,) + (1,) * (values.shape.rank - 1))
        return values * share + tf.roll(values, step, 0) * (1.0 - share)

    known = tf.cast(labels < classes, tf.float32)[..., None]
    both = tf.where(
        tf.reshape(kept, (batch,) + (1,) * (known.shape.rank - 1)) < 1.0, known * tf.roll(known, step, 0), known
    )
    return blended(images), blended(one_hot) * both
