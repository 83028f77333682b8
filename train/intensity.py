"""Changes to the intensities of a patch (*spatial, C) in TensorFlow operations, decided by a stateless seed."""

import tensorflow as tf

RADIUS = 4  # of the blur's kernel: four times the largest usual sigma


def _draw(seed, limits, shape=()):
    return tf.random.stateless_uniform(shape, seed, *map(float, limits))


def two_sided(seed, limits):
    """A factor that is below 1 as often as above, uniform on either side; uniform if the limits do not hold 1."""
    low, high = map(float, limits)
    if not low < 1.0 < high:
        return _draw(seed, (low, high))
    side, value = tf.unstack(tf.random.split(seed, 2))
    return tf.where(_draw(side, (0.0, 1.0)) < 0.5, _draw(value, (low, 1.0)), _draw(value, (1.0, high)))


def _spatial_axes(image):
    return list(range(image.shape.rank - 1))


def noise(image, seed, largest: float):
    """Gaussian noise; its standard deviation is uniform from 0 to ``largest``."""
    size, values = tf.unstack(tf.random.split(seed, 2))
    return image + tf.random.stateless_normal(tf.shape(image), values) * _draw(size, (0.0, largest))


def brightness(image, seed, limits):
    """Each channel times a factor of its own."""
    return image * _draw(seed, limits, (image.shape[-1],))


def contrast(image, seed, limits):
    """Each channel stretched about its mean by a factor of its own, kept within its range."""
    axes = _spatial_axes(image)
    mean = tf.reduce_mean(image, axes)
    stretched = (image - mean) * _draw(seed, limits, (image.shape[-1],)) + mean
    return tf.clip_by_value(stretched, tf.reduce_min(image, axes), tf.reduce_max(image, axes))


def gamma(image, seed, limits):
    """Each channel's range mapped to 0 to 1, raised to a power and mapped back to its mean and standard deviation.

    The exponent is below 1 as often as above.
    """
    exponent = two_sided(seed, limits)
    axes = _spatial_axes(image)
    minimum, maximum = tf.reduce_min(image, axes), tf.reduce_max(image, axes)
    mean, deviation = tf.reduce_mean(image, axes), tf.math.reduce_std(image, axes)
    bent = tf.pow((image - minimum) / tf.maximum(maximum - minimum, 1e-7), exponent)
    bent -= tf.reduce_mean(bent, axes)
    return bent / tf.maximum(tf.math.reduce_std(bent, axes), 1e-7) * deviation + mean


def blur(image, seed, limits):
    """Gaussian blur of each channel with probability one half, with a sigma of its own within ``limits`` (voxels)."""
    which, size = tf.unstack(tf.random.split(seed, 2))
    channels = image.shape[-1]
    chosen = _draw(which, (0, 1), (channels,)) < 0.5
    sigma = _draw(size, limits, (channels,))
    return tf.cond(tf.reduce_any(chosen), lambda: tf.where(chosen, gaussian(image, sigma), image), lambda: image)


def gaussian(image, sigma):
    """Gaussian blur with the edge voxel repeated outside; ``sigma`` (C,) in voxels."""
    taps = tf.range(-RADIUS, RADIUS + 1, dtype=tf.float32)
    kernel = tf.exp(-0.5 * (taps[:, None] / sigma[None, :]) ** 2)
    kernel /= tf.reduce_sum(kernel, 0)
    for axis in _spatial_axes(image):
        size = image.shape[axis]
        index = tf.clip_by_value(tf.range(-RADIUS, size + RADIUS), 0, size - 1)
        padded = tf.gather(image, index, axis=axis)
        begin = [0] * image.shape.rank
        total = 0.0
        for tap in range(2 * RADIUS + 1):
            begin[axis] = tap
            total += tf.slice(padded, begin, image.shape) * kernel[tap]
        image = total
    return image


def low_resolution(image, seed, limits):
    """Down to a share of the resolution by nearest voxel and up again linearly; each channel with one half."""
    zoom, which = tf.unstack(tf.random.split(seed, 2))
    coarse = lower(image, _draw(zoom, limits))
    return tf.where(_draw(which, (0, 1), (image.shape[-1],)) < 0.5, coarse, image)


def lower(image, zoom):
    """``image`` as if acquired with ``zoom`` times the voxels along every axis (nearest), shown linearly."""
    for axis in _spatial_axes(image):
        size = image.shape[axis]
        count = tf.maximum(tf.round(size * zoom), 1.0)
        position = tf.clip_by_value((tf.range(size, dtype=tf.float32) + 0.5) * count / size - 0.5, 0.0, count - 1.0)
        below = tf.floor(position)
        above = tf.minimum(below + 1.0, count - 1.0)
        first, second = (tf.cast(tf.floor((p + 0.5) * size / count), tf.int32) for p in (below, above))
        share = tf.reshape(position - below, [size if a == axis else 1 for a in range(image.shape.rank)])
        image = tf.gather(image, first, axis=axis) * (1.0 - share) + tf.gather(image, second, axis=axis) * share
    return image
