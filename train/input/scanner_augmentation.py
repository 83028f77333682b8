"""What scanners do to intensities, by their physics, on a patch (*spatial, C) in TensorFlow operations.

Intensities are normalised, so that air is somewhere below zero: the signal is taken to be what exceeds the darkest
voxel of a channel. Where a change alters level and spread, both are put back, as a scan is normalised after it was
made.
"""

import math

import tensorflow as tf

from train.input.intensity_augmentation import gaussian


def rician(image, seed, largest: float):
    """Noise of magnitude images (MR): the length of signal plus complex Gaussian noise; it brightens air.

    Gudbjartsson and Patz, Magnetic Resonance in Medicine 34, 1995.

    Args:
        image: (*spatial, C).
        seed: (2,) int32.
        largest: the noise's standard deviation is uniform from 0 to this, in units of the normalised intensity.
    """
    seeds = tf.random.split(seed, 3)
    deviation = _uniform(seeds[0], 0.0, largest)
    real, imaginary = (deviation * tf.random.stateless_normal(tf.shape(image), s) for s in (seeds[1], seeds[2]))
    signal = image - tf.reduce_min(image, _spatial(image), keepdims=True)
    return _as_before(tf.sqrt(tf.square(signal + real) + tf.square(imaginary)), image)


def speckle(image, seed, largest: float):
    """Speckle of ultrasound: the signal times Rayleigh noise of mean 1, as far as a share says.

    Burckhardt, IEEE Transactions on Sonics and Ultrasonics 25, 1978.

    Args:
        image: (*spatial, C).
        seed: (2,) int32.
        largest: the share of speckle is uniform from 0 to this, at most 1.
    """
    size, values = tf.unstack(tf.random.split(seed, 2))
    share = _uniform(size, 0.0, largest)
    draws = tf.random.stateless_uniform(tf.shape(image), values, 1e-7, 1.0)
    rayleigh = tf.sqrt(-2.0 * tf.math.log(draws)) / math.sqrt(math.pi / 2)
    signal = image - tf.reduce_min(image, _spatial(image), keepdims=True)
    return _as_before(signal * (1.0 - share + share * rayleigh), image)


def gain(image, seed, largest: float):
    """The receiver's gain of ultrasound: log-compressed values move by a constant and saturate at both ends.

    Args:
        image: (*spatial, C).
        seed: (2,) int32.
        largest: the shift is uniform from minus to plus this share of each channel's range.
    """
    low, high = _range(image)
    return tf.clip_by_value(image + _uniform(seed, -largest, largest) * (high - low), low, high)


def attenuation(image, seed, largest: float):
    """Too little or too much compensation of what tissue absorbs: the signal falls or rises with depth.

    Depth is the last spatial axis, downwards in a picture.

    Args:
        image: (*spatial, C).
        seed: (2,) int32.
        largest: the exponent over the whole depth is uniform from minus to plus this.
    """
    size = image.shape[-2]
    depth = tf.linspace(-0.5, 0.5, size)[:, None]
    signal = image - tf.reduce_min(image, _spatial(image), keepdims=True)
    return _as_before(signal * tf.exp(-_uniform(seed, -largest, largest) * depth), image)


def window(image, seed, limits):
    """A display window (CT): values beyond so many standard deviations about the mean are cut off at both ends.

    Args:
        image: (*spatial, C).
        seed: (2,) int32.
        limits: smallest and largest distance of an end from the mean, in standard deviations; drawn for each end.
    """
    axes = _spatial(image)
    mean = tf.reduce_mean(image, axes, keepdims=True)
    deviation = tf.math.reduce_std(image, axes, keepdims=True)
    below, above = tf.unstack(tf.random.stateless_uniform((2,), seed, *map(float, limits)))
    return tf.clip_by_value(image, mean - below * deviation, mean + above * deviation)


def sharpen(image, seed, largest: float, relative):
    """A sharp reconstruction kernel (CT): edges overshoot, by what a Gaussian of one voxel takes away.

    Args:
        image: (*spatial, C).
        seed: (2,) int32.
        largest: how often that is added, uniform from 0 to this.
        relative: size of a voxel along each axis, in that of the finest.
    """
    smooth = gaussian(image, tf.ones((image.shape[-1],)), relative)
    return image + _uniform(seed, 0.0, largest) * (image - smooth)


def _uniform(seed, low, high):
    return tf.random.stateless_uniform((), seed, float(low), float(high))


def _spatial(image):
    return list(range(image.shape.rank - 1))


def _range(image):
    axes = _spatial(image)
    return tf.reduce_min(image, axes, keepdims=True), tf.reduce_max(image, axes, keepdims=True)


def _as_before(changed, image):
    """``changed`` with mean and standard deviation of each channel of ``image``."""
    axes = _spatial(image)
    mean, deviation = tf.reduce_mean(image, axes, keepdims=True), tf.math.reduce_std(image, axes, keepdims=True)
    centred = changed - tf.reduce_mean(changed, axes, keepdims=True)
    return centred / tf.maximum(tf.math.reduce_std(changed, axes, keepdims=True), 1e-7) * deviation + mean
