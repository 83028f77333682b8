"""Augmentation of one training patch, in TensorFlow operations, 2D and 3D, decided by a stateless seed.

The order is nnU-Net's (Isensee et al., Nature Methods 2021, arXiv:1904.08128): one spatial resampling of image and
label together, then noise, blur, brightness, contrast, low resolution, gamma, and last the flips. By option a bias
field and what else happens in a scanner come before the noise, and cutout before the flips. Angles and lengths are of
millimetres, see ``train.input.anisotropy``.
"""

import itertools
import math

import tensorflow as tf

from train.input import intensity_augmentation as intensity
from train.input import scanner_augmentation as scanner
from train.input.anisotropy import Grid, margins, per_axis
from train.planning.plan import Augmentation


def augment(image, label, seed, grid: Grid, classes: int | None, settings: Augmentation, mirror=()):
    """A random variant of a patch.

    Args:
        image: (*region, C) float32, the region being the patch or larger.
        label: (*region) integer class indices.
        seed: (2,) int32; the same seed gives the same result.
        grid: spatial size and spacing of the result.
        classes: number of classes, the ignored one included; None for labels that are no classes but numbers, which
            are taken from the nearest voxel.
        settings: chances and ranges.
        mirror: spatial axes that may be flipped.

    Returns:
        image (*patch, C) float32 and label (*patch) int32.
    """
    seeds = tf.random.split(seed, 7)
    image, label = spatial(image, label, seeds[0], grid, classes, settings)
    channels, rank = image.shape[-1], len(grid.patch)
    image = intensity.as_stack(image, grid.patch, grid.slices)
    image = maybe(
        settings.bias_field_chance,
        seeds[5],
        image,
        lambda x, s: intensity.bias_field(x, s, settings.bias_field, settings.bias_field_order, rank),
    )
    image = _scanner(image, tf.random.fold_in(seed, 7), settings, grid)
    image = maybe(settings.noise_chance, seeds[1], image, lambda x, s: intensity.noise(x, s, settings.noise))
    image = maybe(settings.blur_chance, seeds[2], image, lambda x, s: intensity.blur(x, s, settings.blur, grid.stacked))
    image = intensity.as_channels(_tones(image, seeds[3], settings, grid), grid.patch, grid.slices)
    image = maybe(
        settings.cutout_chance,
        seeds[6],
        image,
        lambda x, s: intensity.cutout(x, s, settings.cutout, settings.cutout_boxes),
    )
    image.set_shape((*grid.patch, channels))
    return flip(image, label, seeds[4], mirror)


def maybe(chance: float, seed, image, change):
    """``change(image, seed)`` with probability ``chance``, else ``image``; nothing is computed in vain."""
    if chance <= 0:
        return image
    draw, use = tf.unstack(tf.random.split(seed, 2))
    return tf.cond(uniform(draw) < chance, lambda: change(image, use), lambda: image)


def uniform(seed, low=0.0, high=1.0, shape=()):
    """Stateless uniform draws."""
    return tf.random.stateless_uniform(shape, seed, low, high)


def spatial(image, label, seed, grid: Grid, classes: int | None, settings: Augmentation):
    """Rotation, magnification and elastic deformation about the centre in one linear resampling, or a centre crop.

    Voxels are turned and bent in mm, in the planes and along the axes that the grid leaves free. What lies outside the
    region becomes 0 in image and label. The label is resampled as shares per class and takes the class with the
    largest.

    Returns:
        image (*patch, C) and label (*patch) int32.
    """
    patch, rank = grid.patch, len(grid.patch)
    seeds = tf.random.split(seed, 6)
    rotate = uniform(seeds[0]) < settings.rotation_chance
    scale = uniform(seeds[1]) < settings.scale_chance
    bend = uniform(seeds[2]) < settings.elastic_chance

    def warped():
        limits = settings.rotation * (3 if len(settings.rotation) == 1 else 1)
        angles = [
            tf.where(rotate, uniform(s, -1.0, 1.0) * math.radians(limit), 0.0)
            for s, limit in zip(tf.unstack(tf.random.split(seeds[3], 3)), limits, strict=False)
        ]
        draw = intensity.two_sided(seeds[4], settings.scale)
        matrix = in_voxels(rotation(_about_free_axes(angles, grid)), tf.where(scale, draw, 1.0), grid)
        points = affine_points(matrix, patch, tf.shape(image)[:rank])
        if settings.elastic_chance > 0:
            size = tf.where(bend, per_axis(settings.elastic, grid, grid.free), 0.0)
            points += displacement(seeds[5], patch, settings.elastic_grid) * size
        return resampled(image, label, points, classes)

    def cropped():
        start = (tf.shape(image)[:rank] - patch) // 2
        begin = tf.concat([start, [0]], 0)
        return tf.slice(image, begin, (*patch, image.shape[-1])), tf.cast(tf.slice(label, start, patch), tf.int32)

    if max(margins(settings, grid)) == 1:
        return cropped()
    new_image, new_label = tf.cond(rotate | scale | bend, warped, cropped)
    new_image.set_shape((*patch, image.shape[-1]))
    new_label.set_shape(patch)
    return new_image, new_label


def _about_free_axes(angles, grid):
    """The angles of ``rotation``, 0 where the grid does not let a patch turn."""
    planes = ((0, 1),) if len(grid.patch) == 2 else ((1, 2), (0, 2), (0, 1))
    return [angle if plane in grid.planes else 0.0 for angle, plane in zip(angles, planes, strict=False)]


def in_voxels(turn, scale, grid: Grid):
    """A rotation in mm, with a magnification along the free axes, as a matrix (rank, rank) of voxel offsets.

    Args:
        turn: (rank, rank) rotation matrix.
        scale: magnification.
        grid: of the patch.
    """
    if min(grid.relative) != max(grid.relative):
        turn = turn * [[column / row for column in grid.relative] for row in grid.relative]
    if len(grid.free) == len(grid.patch):
        return turn / scale
    return turn / tf.stack([scale if axis in grid.free else 1.0 for axis in range(len(grid.patch))])[:, None]


def rotation(angles):
    """The rotation matrix (rank, rank) of one angle (2D) or of three, about the axes 0, 1 and 2 in turn (radians)."""

    def plane(angle, a, b, rank):
        entries = [[1.0 if i == j else 0.0 for j in range(rank)] for i in range(rank)]
        cos, sin = tf.cos(tf.cast(angle, tf.float32)), tf.sin(tf.cast(angle, tf.float32))
        entries[a][a], entries[a][b], entries[b][a], entries[b][b] = cos, -sin, sin, cos
        return tf.stack([tf.stack([tf.convert_to_tensor(e, tf.float32) for e in row]) for row in entries])

    if len(angles) == 1:
        return plane(angles[0], 0, 1, 2)
    about0, about1, about2 = plane(angles[0], 1, 2, 3), plane(angles[1], 2, 0, 3), plane(angles[2], 0, 1, 3)
    return about0 @ about1 @ about2


def affine_points(matrix, patch, region):
    """Where in the region each voxel of the patch comes from: ``matrix`` applied about both centres.

    Args:
        matrix: (rank, rank), patch offsets to region offsets.
        patch: spatial size of the patch.
        region: (rank,) spatial size of the region.

    Returns:
        (*patch, rank) voxel coordinates in the region.
    """
    rank = len(patch)
    centre = (tf.cast(region, tf.float32) - 1) / 2
    points = tf.reshape(centre, (1,) * rank + (rank,))
    for axis, size in enumerate(patch):
        offset = tf.range(size, dtype=tf.float32) - (size - 1) / 2
        shape = [size if a == axis else 1 for a in range(rank)]
        points += tf.reshape(offset, (*shape, 1)) * tf.reshape(matrix[:, axis], (1,) * rank + (rank,))
    return points


def displacement(seed, patch, grid: int):
    """A smooth random field (*patch, rank) with values in -1 to 1: drawn on a coarse grid, interpolated linearly."""
    rank = len(patch)
    coarse = uniform(seed, -1.0, 1.0, (grid,) * rank + (rank,))
    step = [(grid - 1) / max(size - 1, 1) for size in patch]
    axes = [tf.range(size, dtype=tf.float32) * s for size, s in zip(patch, step, strict=True)]
    return sample(coarse, tf.stack(tf.meshgrid(*axes, indexing="ij"), -1))


# Compiled: one pass over the patch instead of one for every operation. There is no random draw inside, which XLA would
# make differently.
@tf.function(jit_compile=True)
def resampled(image, label, points, classes: int | None):
    """Image and label at ``points``: linear, the label by the class with the largest share; 0 outside.

    Args:
        image: (*region, C) float32.
        label: (*region) integer class indices.
        points: (*patch, rank) voxel coordinates in the region.
        classes: number of classes; None takes the label of the nearest voxel.

    Returns:
        image (*patch, C) and label (*patch) int32.
    """
    if classes is None:
        return sample(image, points), nearest(label, points)
    shares = tf.one_hot(tf.cast(label, tf.int32), classes, dtype=tf.float32)
    both = sample(tf.concat([image, shares], -1), points)
    channels = image.shape[-1]
    return both[..., :channels], tf.argmax(both[..., channels:], -1, tf.int32)


def nearest(values, points):
    """Values (*region), whole numbers, at the voxels nearest to ``points`` (*patch, rank); 0 outside. int32."""
    size = tf.shape(values)
    index = tf.cast(tf.round(points), tf.int32)
    inside = tf.reduce_all((index >= 0) & (index < size), -1)
    strides = tf.math.cumprod(size, exclusive=True, reverse=True)
    flat = tf.reduce_sum(tf.clip_by_value(index, 0, size - 1) * strides, -1)
    return tf.where(inside, tf.cast(tf.gather(tf.reshape(values, (-1,)), flat), tf.int32), 0)


@tf.function(jit_compile=True)
def sample(values, points):
    """Linear interpolation; 0 outside.

    Args:
        values: (*region, K).
        points: (*patch, rank) voxel coordinates in the region.

    Returns:
        (*patch, K).
    """
    rank = points.shape[-1]
    # One voxel of zeros around the region makes what lies outside fade to 0 without a mask per corner.
    size = tf.shape(values)[:rank] + 2
    flat = tf.reshape(tf.pad(values, [[1, 1]] * rank + [[0, 0]]), (-1, values.shape[-1]))
    result = 0.0
    lower, weights = [], []
    for axis in range(rank):
        limit = tf.cast(size[axis] - 1, tf.float32)
        position = tf.clip_by_value(points[..., axis] + 1.0, 0.0, limit)
        floor = tf.minimum(tf.floor(position), limit - 1.0)
        share = position - floor
        lower.append(tf.cast(floor, tf.int32))
        weights.append((1.0 - share, share))
    strides = [tf.reduce_prod(size[axis + 1 :]) for axis in range(rank)]
    first = tf.add_n([lower[axis] * strides[axis] for axis in range(rank)])
    for corner in itertools.product((0, 1), repeat=rank):
        index = first + tf.add_n([tf.constant(bit) * strides[axis] for axis, bit in enumerate(corner)])
        weight = math.prod((weights[axis][bit] for axis, bit in enumerate(corner)), start=1.0)
        result += tf.gather(flat, index) * weight[..., None]
    return result


def flip(image, label, seed, axes):
    """Image and label flipped together, each of ``axes`` with probability one half."""
    for axis, draw in zip(axes, tf.unstack(uniform(seed, shape=(max(len(axes), 1),))), strict=False):
        image, label = tf.cond(
            draw < 0.5,
            lambda i=image, t=label, a=axis: (tf.reverse(i, [a]), tf.reverse(t, [a])),
            lambda i=image, t=label: (i, t),
        )
    return image, label


def _scanner(image, seed, settings, grid):
    """What microscopes, MR, CT and ultrasound do; by seeds of its own, so that none of the other draws changes."""
    seeds = tf.random.split(seed, 6)
    s = settings
    image = maybe(s.negative_chance, tf.random.fold_in(seed, 6), image, lambda x, k: intensity.negative(x))
    image = maybe(s.tint_chance, tf.random.fold_in(seed, 7), image, lambda x, k: intensity.tint(x, k, s.tint))
    image = maybe(s.rician_chance, seeds[0], image, lambda x, k: scanner.rician(x, k, s.rician))
    image = maybe(s.speckle_chance, seeds[1], image, lambda x, k: scanner.speckle(x, k, s.speckle))
    image = maybe(s.attenuation_chance, seeds[2], image, lambda x, k: scanner.attenuation(x, k, s.attenuation))
    image = maybe(s.gain_chance, seeds[3], image, lambda x, k: scanner.gain(x, k, s.gain))
    image = maybe(s.sharpen_chance, seeds[4], image, lambda x, k: scanner.sharpen(x, k, s.sharpen, grid.stacked))
    image = maybe(s.window_chance, seeds[5], image, lambda x, k: scanner.window(x, k, s.window))
    return maybe(s.offset_chance, tf.random.fold_in(seed, 8), image, lambda x, k: intensity.offset(x, k, s.offset))


def _tones(image, seed, settings, grid):
    """Brightness, contrast, low resolution and both gammas."""
    seeds = tf.random.split(seed, 5)
    s = settings
    image = maybe(s.brightness_chance, seeds[0], image, lambda x, k: intensity.brightness(x, k, s.brightness))
    image = maybe(s.contrast_chance, seeds[1], image, lambda x, k: intensity.contrast(x, k, s.contrast))
    image = maybe(
        s.low_resolution_chance,
        seeds[2],
        image,
        lambda x, k: intensity.low_resolution(x, k, s.low_resolution, grid.stacked),
    )
    image = maybe(s.gamma_inverted_chance, seeds[3], image, lambda x, k: -intensity.gamma(-x, k, s.gamma))
    return maybe(s.gamma_chance, seeds[4], image, lambda x, k: intensity.gamma(x, k, s.gamma))
