"""Rules of batch 1 for reductions, slices and reshaping."""

import math

import keras
from keras import layers, ops

from export.rewrite import axes
from export.rewrite.batch1.volume import Volume
from export.rewrite.registry import volume_rule
from zoo.internals.keras import core, numpy

# The view and its axes for each set of reduced axes of (depth, height, width, channels).
_REDUCED = {
    (0, 1, 2): ("columns", (1, 2)),
    (0, 1): ("columns", (1,)),
    (0,): ("rows", (1,)),
    (1,): ("planes", (2,)),
    (2,): ("columns", (2,)),
    (1, 2): ("rows", (2,)),
    (3,): ("columns", (3,)),
    (0, 1, 2, 3): ("columns", (1, 2, 3)),
}


@volume_rule(numpy.Mean, numpy.Sum, numpy.Max, numpy.Min, numpy.Amax, numpy.Amin)
def reduction(operation, args, kwargs, emission):
    """A reduction along chosen axes."""
    volume, along = args[0], operation.axis
    if along is None or getattr(operation, "initial", None) is not None:
        raise ValueError("reduces the batch axis, or from a start; a layout of batch 1 takes other axes alone")
    reduced = tuple(sorted(emission.axis(axis) for axis in ([along] if isinstance(along, int) else along)))
    if reduced not in _REDUCED:
        raise ValueError(f"reduces axes {reduced} of (depth, height, width, channels); a layout of batch 1 cannot")
    view, image_axes = _REDUCED[reduced]
    reduce = {"Mean": ops.mean, "Sum": ops.sum}.get(type(operation).__name__)
    if reduce is None:
        reduce = ops.max if "max" in type(operation).__name__.lower() else ops.min
    y = reduce(getattr(volume, view)(), axis=image_axes, keepdims=True)
    if operation.keepdims:
        return Volume([1 if axis in reduced else size for axis, size in enumerate(volume.shape)], [y])
    return ops.reshape(y, (1, *(size for axis, size in enumerate(volume.shape) if axis not in reduced)))


@volume_rule(numpy.GetItem)
def get_item(operation, args, kwargs, emission):
    """Slices ``x[key]``."""
    x, key = args
    values, shape = (x.joined, (1, *x.shape)) if isinstance(x, Volume) else (x, tuple(x.shape))
    taken = axes.get_item(values, shape, key)
    if taken is None:
        raise ValueError("its key holds more than integers, slices and new axes; a layout of batch 1 cannot")
    return _shaped(*taken)


@volume_rule(numpy.Transpose)
def transpose(operation, args, kwargs, emission):
    """keras.ops.transpose."""
    return _transposed(args[0], tuple(reversed(range(5))) if operation.axes is None else operation.axes)


@volume_rule(layers.Permute)
def permute(layer, args, kwargs, emission):
    """Permute of all axes but the batch."""
    return _transposed(args[0], (0, *layer.dims))


def _transposed(x, order):
    shape = (1, *x.shape) if isinstance(x, Volume) else tuple(x.shape)
    values = ops.reshape(x.joined if isinstance(x, Volume) else x, shape)
    return _shaped(axes.transpose(values, order), [shape[axis] for axis in order])


@volume_rule(layers.Reshape)
def reshape(layer, args, kwargs, emission):
    """Reshape to or from a feature map: the order of the values stays."""
    return _reshaped(args[0], (1, *layer.target_shape))


@volume_rule(numpy.Reshape)
def reshape_operation(operation, args, kwargs, emission):
    """keras.ops.reshape."""
    return _reshaped(args[0], operation.newshape)


def _reshaped(x, shape):
    known = math.prod(n for n in shape if n not in (-1, None))
    shape = [math.prod(x.shape) // known if n in (-1, None) else n for n in shape]
    return _shaped(x.joined if isinstance(x, Volume) else x, shape)


@volume_rule(layers.Flatten)
def flatten(layer, args, kwargs, emission):
    """Flatten to (1, features)."""
    return ops.reshape(args[0].joined, (1, -1))


def _shaped(values, shape):
    """Values as a tensor of ``shape``, or as a feature map if it has five axes."""
    if len(shape) != 5:
        return ops.reshape(values, shape)
    _, depth, height, width, channels = shape
    return Volume(shape[1:], [ops.reshape(values, (1, depth * height, width, channels))])


@volume_rule(core.Cast)
def cast(operation, args, kwargs, emission):
    """A cast between float types is none: an artifact is float32 until it is quantized."""
    if not keras.backend.is_float_dtype(str(args[0].dtype)) or not keras.backend.is_float_dtype(str(operation.dtype)):
        raise ValueError("casts from or to integers; a layout of batch 1 cannot")
    return args[0]


@volume_rule(core.StopGradient)
def stop_gradient(operation, args, kwargs, emission):
    """Means nothing at inference."""
    return args[0]
