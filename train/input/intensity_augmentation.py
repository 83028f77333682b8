"""Changes to the intensities of a patch (*spatial, C) in TensorFlow operations, decided by a stateless seed."""

import itertools

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


def as_stack(image, patch, slices: int):
    """Slices that are channels (*patch, slices * C) as an axis (slices, *patch, C): a scanner does the same to each."""
    if slices == 1:
        return image
    rank, channels = len(patch), image.shape[-1] // slices
    return tf.transpose(tf.reshape(image, (*patch, slices, channels)), [rank, *range(rank), rank + 1])


def as_channels(image, patch, slices: int):
    """What ``as_stack`` made, put back."""
    if slices == 1:
        return image
    rank, channels = len(patch), image.shape[-1]
    return tf.reshape(tf.transpose(image, [*range(1, rank + 1), 0, rank + 1]), (*patch, slices * channels))


def noise(image, seed, largest: float):
    """Gaussian noise; its standard deviation is uniform from 0 to ``largest``."""
    size, values = tf.unstack(tf.random.split(seed, 2))
    return image + tf.random.stateless_normal(tf.shape(image), values) * _draw(size, (0.0, largest))


def brightness(image, seed, limits):
    """Each channel times a factor of its own."""
    return image * _draw(seed, limits, (image.shape[-1],))


def offset(image, seed, largest: float):
    """Each channel plus a value of its own, uniform from ``-largest`` to ``largest``."""
    return image + _draw(seed, (-largest, largest), (image.shape[-1],))


def contrast(image, seed, limits):
    """Each channel stretched about its mean by a factor of its own, kept within its range."""
    axes = _spatial_axes(image)
    mean = tf.reduce_mean(image, axes)
    stretched = (image - mean) * _draw(seed, limits, (image.shape[-1],)) + mean
    return tf.clip_by_value(stretched, tf.reduce_min(image, axes), tf.reduce_max(image, axes))


def negative(image):
    """What was brightest is darkest and the other way round, all channels alike; the range stays."""
    return tf.reduce_max(image) + tf.reduce_min(image) - image


def tint(image, seed, largest: float):
    """What differs from the mean colour gets a random colour: its channels are mixed.

    A stand-in for stains, whose colours differ from laboratory to laboratory (Tellez et al., Medical Image Analysis
    2019, arXiv:1902.06543), that also gives a picture of equal channels colour.

    Args:
        image: (*spatial, C).
        seed: (2,) int32.
        largest: the share of the random mixture, whose weights are uniform from 0 to 2/C, is uniform from 0 to this.
    """
    size, weights = tf.unstack(tf.random.split(seed, 2))
    channels = image.shape[-1]
    share = _draw(size, (0.0, largest))
    mixture = (1.0 - share) * tf.eye(channels) + share * _draw(weights, (0.0, 2.0 / channels), (channels, channels))
    mean = tf.reduce_mean(image, _spatial_axes(image))
    return mean + tf.tensordot(image - mean, mixture, 1)


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


def blur(image, seed, limits, relative):
    """Gaussian blur of each channel with probability one half, with a sigma of its own.

    Args:
        image: (*spatial, C).
        seed: (2,) int32.
        limits: smallest and largest sigma, in voxels of the finest axis.
        relative: size of a voxel along each axis, in that of the finest.
    """
    which, size = tf.unstack(tf.random.split(seed, 2))
    channels = image.shape[-1]
    chosen = _draw(which, (0, 1), (channels,)) < 0.5
    sigma = _draw(size, limits, (channels,))
    return tf.cond(
        tf.reduce_any(chosen), lambda: tf.where(chosen, gaussian(image, sigma, relative), image), lambda: image
    )


def gaussian(image, sigma, relative):
    """Gaussian blur with the edge voxel repeated outside; ``sigma`` (C,) in voxels of the finest axis.

    ``relative`` is the size of a voxel along each axis in that of the finest, None for an axis that is left alone.
    """
    taps = tf.range(-RADIUS, RADIUS + 1, dtype=tf.float32)
    for axis, length in zip(_spatial_axes(image), relative, strict=True):
        if length is None:
            continue
        kernel = tf.exp(-0.5 * (taps[:, None] / (sigma[None, :] / length)) ** 2)
        kernel /= tf.reduce_sum(kernel, 0)
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


def low_resolution(image, seed, limits, relative):
    """Down to a share of the resolution by nearest voxel and up again linearly; each channel with one half.

    Args:
        image: (*spatial, C).
        seed: (2,) int32.
        limits: smallest and largest share of the resolution of the finest axis.
        relative: size of a voxel along each axis, in that of the finest.
    """
    zoom, which = tf.unstack(tf.random.split(seed, 2))
    coarse = lower(image, _draw(zoom, limits), relative)
    return tf.where(_draw(which, (0, 1), (image.shape[-1],)) < 0.5, coarse, image)


def lower(image, zoom, relative):
    """``image`` as if acquired with ``zoom`` times the resolution of its finest axis (nearest), shown linearly.

    An axis that is as coarse already stays; ``relative`` is the size of a voxel along each axis in that of the finest,
    None for an axis that is left alone.
    """
    for axis, length in zip(_spatial_axes(image), relative, strict=True):
        if length is None:
            continue
        size = image.shape[axis]
        count = tf.maximum(tf.round(size * tf.minimum(zoom * length, 1.0)), 1.0)
        position = tf.clip_by_value((tf.range(size, dtype=tf.float32) + 0.5) * count / size - 0.5, 0.0, count - 1.0)
        below = tf.floor(position)
        above = tf.minimum(below + 1.0, count - 1.0)
        first, second = (tf.cast(tf.floor((p + 0.5) * size / count), tf.int32) for p in (below, above))
        share = tf.reshape(position - below, [size if a == axis else 1 for a in range(image.shape.rank)])
        image = tf.gather(image, first, axis=axis) * (1.0 - share) + tf.gather(image, second, axis=axis) * share
    return image


def bias_field(image, seed, largest: float, order: int, rank: int | None = None):
    """A smooth field of the receive coils over each channel: the exponential of a random polynomial, times the signal.

    Van Leemput et al., IEEE TMI 1999; the field is TorchIO's ``RandomBiasField`` (Pérez-García et al. 2021,
    arXiv:2003.04696). The signal is taken to be what exceeds the darkest voxel, because normalised intensities go below
    zero where a scan has none. Mean and deviation stay, as a scan is normalised after it was made.

    Args:
        image: (*spatial, C).
        seed: (2,) int32.
        largest: coefficients are uniform from minus to plus this.
        order: of the polynomial.
        rank: how many of the last spatial axes the field differs along; all by default.
    """
    rank = rank or image.shape.rank - 1
    terms = len(polynomial_exponents(rank, order))
    coefficients = _draw(seed, (-largest, largest), (terms, image.shape[-1]))
    axes = _spatial_axes(image)
    minimum, mean, deviation = tf.reduce_min(image, axes), tf.reduce_mean(image, axes), tf.math.reduce_std(image, axes)
    biased = (image - minimum) * tf.exp(polynomial(coefficients, image.shape[-1 - rank : -1], order))
    biased -= tf.reduce_mean(biased, axes)
    return biased / tf.maximum(tf.math.reduce_std(biased, axes), 1e-7) * deviation + mean


def polynomial_exponents(rank: int, order: int) -> tuple[tuple[int, ...], ...]:
    """The exponents of all monomials in ``rank`` variables of at most ``order``, in lexical order."""
    return tuple(e for e in itertools.product(range(order + 1), repeat=rank) if sum(e) <= order)


def polynomial(coefficients, shape, order: int):
    """A polynomial over a grid that runs from -1 to 1 along every axis.

    Args:
        coefficients: (monomials, C), in the order of ``polynomial_exponents``.
        shape: of the grid.
        order: of the polynomial.

    Returns:
        (*shape, C).
    """
    rank = len(shape)
    exponents = polynomial_exponents(rank, order)
    powers = [tf.linspace(-1.0, 1.0, size)[:, None] ** tf.range(order + 1, dtype=tf.float32) for size in shape]
    dense = tf.scatter_nd(exponents, coefficients, ((order + 1,) * rank) + (coefficients.shape[-1],))
    for axis in range(rank):  # the monomials are products, so one axis at a time is summed out
        dense = tf.tensordot(powers[axis], dense, [[1], [axis]])
        dense = tf.transpose(dense, [*range(1, axis + 1), 0, *range(axis + 1, rank + 1)])
    return dense


def cutout(image, seed, limits, most: int):
    """Random boxes filled with each channel's mean; the label stays, so that the network must fill in what is hidden.

    DeVries and Taylor 2017, arXiv:1708.04552 (one square at a random centre, partly outside at times); several boxes
    with an untouched label are MONAI's ``RandCoarseDropout``.

    Args:
        image: (*spatial, C).
        seed: (2,) int32.
        limits: smallest and largest side, as a share of the patch's.
        most: boxes are from 1 to so many.
    """
    rank = image.shape.rank - 1
    seeds = tf.random.split(seed, 3)
    count = tf.random.stateless_uniform((), seeds[0], 1, most + 1, tf.int32)
    sizes, centres = _draw(seeds[1], limits, (most, rank)), _draw(seeds[2], (0.0, 1.0), (most, rank))
    hidden = tf.range(most) < count
    hidden = tf.reshape(hidden, (most,) + (1,) * rank)
    for axis in range(rank):
        size = image.shape[axis]
        width = tf.maximum(tf.round(sizes[:, axis] * size), 1.0)
        low = tf.clip_by_value(tf.round(centres[:, axis] * size - width / 2), 1.0 - width, size - 1.0)
        place = tf.range(size, dtype=tf.float32)
        inside = (place >= low[:, None]) & (place < (low + width)[:, None])
        hidden &= tf.reshape(inside, [most] + [size if a == axis else 1 for a in range(rank)])
    return tf.where(tf.reduce_any(hidden, 0)[..., None], tf.reduce_mean(image, _spatial_axes(image)), image)
