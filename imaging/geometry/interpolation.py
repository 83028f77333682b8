"""Linear interpolation axis by axis, in float32, without coordinate arrays."""

import functools
import math

import numpy as np

# Fewer numbers than this that lie side by side are not worth picking one by one.
FEW = 16
TURNED_BYTES = 2**26


@functools.lru_cache(maxsize=64)
def axis_weights(count: int, length: int, scale: float, offset: float, antialias: bool):
    """What every target position along one axis takes from the source.

    Source position of target index j is ``scale * j + offset``. The value is that of linear interpolation; with
    ``antialias`` and a step r beyond one source voxel it is averaged over a box of width sqrt(r^2 - 1) around that
    place. So nothing is blurred at r = 1, a much larger voxel holds the mean over its extent, and, unlike with a
    sampled triangle filter, a linear ramp comes out exact at every ratio: nothing shifts. Beyond the ends the end
    voxel repeats.

    Args:
        count: target positions.
        length: source positions.
        scale: source voxels a target voxel, negative for a flip.
        offset: source position of target index 0.
        antialias: average when scaling down.

    Returns:
        index (taps, count) of int and weight (taps, count) of float32 that sums to 1 over taps; both are kept for the
        next call, for frames of one size, and cannot be written to.
    """
    centre = scale * np.arange(count) + offset
    half = np.sqrt(max(0.0, scale * scale - 1)) / 2 if antialias else 0.0
    first = np.floor(centre - half).astype(np.int64)
    index = first + np.arange(int(np.ceil(2 * half)) + 2)[:, None]
    distance = index - centre
    if half > 1e-3:
        weight = (_hat_integral(distance + half) - _hat_integral(distance - half)) / (2 * half)
    else:
        weight = np.maximum(0.0, 1.0 - np.abs(distance))
    used = weight.any(axis=1)
    index, weight = np.clip(index[used], 0, length - 1), weight[used].astype(np.float32)
    index.flags.writeable = weight.flags.writeable = False
    return index, weight


def _hat_integral(x):
    """Integral of the hat function max(0, 1 - |t|) up to ``x``."""
    x = np.clip(x, -1.0, 1.0)
    return 0.5 + x - np.sign(x) * x * x / 2


def apply_axis(array: np.ndarray, axis: int, index: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Weighted sum of ``array`` taken at ``index`` along ``axis``.

    Args:
        array: any shape, float32 (another type is kept when there is one tap, which only picks) or bool, which counts
            as 0 and 1 and is not copied to float32 whole.
        axis: the axis that changes.
        index: (taps, count).
        weight: (taps, count).
    """
    if len(index) == 1:
        return np.take(array, index[0], axis=axis)
    # Single numbers are picked slowly and rows of them fast; the copy for it must be small.
    if axis and math.prod(array.shape[axis + 1 :]) < FEW and array.nbytes < TURNED_BYTES:
        turned = np.ascontiguousarray(np.moveaxis(array, axis, 0))
        return np.moveaxis(apply_axis(turned, 0, index, weight), 0, axis)
    array = np.ascontiguousarray(array)  # else each of the calls below would copy it
    along = [1] * array.ndim
    along[axis] = -1
    taken = np.take(array, index[0], axis=axis)
    total = taken * weight[0].reshape(along)
    part = taken if taken.dtype == total.dtype else np.empty_like(total)
    for places, share in zip(index[1:], weight[1:], strict=True):
        np.take(array, places, axis=axis, out=taken, mode="clip")  # "raise" would copy once more
        np.multiply(taken, share.reshape(along), out=part)
        total += part
    return total


def interpolate(array: np.ndarray, shape, scale, offset, antialias: bool = False) -> np.ndarray:
    """Linear interpolation at the positions ``scale * index + offset`` along the leading axes.

    Args:
        array: (*spatial, K), real numbers or bool.
        shape: target spatial shape.
        scale: source voxels a target voxel, per axis.
        offset: source position of target index 0, per axis.
        antialias: average where scaling down.

    Returns:
        float32 (*shape, K).
    """
    if array.dtype != np.bool_ or len(shape) == 2:
        array = np.asarray(array, np.float32)
    if len(shape) == 2 and not antialias and _is_resize(array, shape, scale, offset):
        return _resize(array, shape)
    # The axis that shrinks most goes first, so that the others have less to do.
    for axis in sorted(range(len(shape)), key=lambda a: shape[a] / array.shape[a]):
        if shape[axis] == array.shape[axis] and scale[axis] == 1 and offset[axis] == 0:
            continue
        index, weight = axis_weights(shape[axis], array.shape[axis], scale[axis], offset[axis], antialias)
        array = apply_axis(array, axis, index, weight)
    return np.asarray(array, np.float32)


def _is_resize(array, shape, scale, offset) -> bool:
    """Both grids cover the same extent: the half-pixel-centre geometry of ``cv2.resize``."""
    tolerance = 1e-4
    return all(
        abs(s * n - length) < tolerance and abs(o - (s - 1) / 2) < tolerance
        for s, o, n, length in zip(scale, offset, shape, array.shape, strict=False)
    )


def _resize(array, shape):
    import cv2

    out = cv2.resize(np.ascontiguousarray(array), (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)
    return out.reshape(*shape, array.shape[-1])
