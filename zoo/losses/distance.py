"""Exact Euclidean distance transform on any Keras backend."""

from keras import ops

# Squared distance of "nothing there"; far above any grid, and its sums stay exact enough in float32.
_FAR = 1e10


def distance_to(mask, spacing=None):
    """Distance of every voxel to the nearest voxel of ``mask``, by axis after axis of parabolas.

    Felzenszwalb and Huttenlocher, Theory of Computing 2012. One pass over each axis takes the lower envelope by
    trying every line, which suits tensors better than the sequential algorithm.

    Args:
        mask: boolean (batch, *spatial, channels).
        spacing: size of a voxel along each spatial axis; 1 if None.

    Returns:
        float32 (batch, *spatial, channels), 0 inside the mask; about 1e5 everywhere if the mask is empty.
    """
    field = ops.where(mask, 0.0, _FAR)
    axes = range(1, len(mask.shape) - 1)
    for axis, step in zip(axes, spacing or (1.0,) * len(axes), strict=True):
        field = _envelope(field, axis, step)
    return ops.sqrt(field)


def boundary_distance(mask, spacing=None):
    """Distance to the other side: inside to the nearest voxel outside, outside to the nearest inside.

    Args:
        mask: boolean (batch, *spatial, channels).
        spacing: size of a voxel along each spatial axis; 1 if None.

    Returns:
        float32 pair (inside, outside), each (batch, *spatial, channels) and 0 on the other side. Both are 0
        everywhere for a mask that is empty or full, which has no boundary.
    """
    axes = tuple(range(1, len(mask.shape) - 1))
    background = ops.logical_not(mask)
    some = ops.logical_and(ops.any(mask, axis=axes, keepdims=True), ops.any(background, axis=axes, keepdims=True))
    inside = ops.where(some, distance_to(background, spacing), 0.0)
    outside = ops.where(some, distance_to(mask, spacing), 0.0)
    return inside, outside


def _envelope(field, axis, step):
    """min over j of field[j] + (step * (i - j))^2 along ``axis``."""
    size = ops.shape(field)[axis]
    shape = [1] * len(field.shape)
    shape[axis] = -1
    position = ops.reshape(ops.arange(size, dtype="float32"), shape)

    def lower(j, best):
        line = ops.take(field, ops.reshape(j, (1,)), axis=axis)
        away = (position - ops.cast(j, "float32")) * step
        return ops.minimum(best, line + away * away)

    return ops.fori_loop(0, size, lower, ops.full_like(field, _FAR))
