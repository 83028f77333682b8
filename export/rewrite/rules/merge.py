"""Rules for layers that act on each element, or join feature maps."""

from functools import reduce

import keras
import numpy as np
from keras import layers, ops

from export.rewrite.emission import keep
from export.rewrite.registry import rule

rule(layers.ReLU, layers.LeakyReLU, layers.ELU, layers.Rescaling, layers.Dense)(keep)


@rule(layers.Activation)
def activation(layer, args, kwargs, emission):
    """Activation: the same function, which may be one that Keras cannot save."""
    return layers.Activation(layer.activation)(args[0])


@rule(
    layers.Identity, layers.Dropout, layers.SpatialDropout2D, layers.SpatialDropout3D, layers.GaussianNoise,
    layers.GaussianDropout, layers.AlphaDropout, layers.ActivityRegularization,
)  # fmt: skip
def drop(layer, args, kwargs, emission):
    """Layers that do nothing at inference."""
    return args[0]


def _merging(combine):
    """A rule for a merge layer: ``combine(tensors)`` of tensors of one rank."""

    def merge(layer, args, kwargs, emission):
        sources, tensors = emission.node.input_tensors, args[0]
        return combine([_raised(x, len(t.shape), emission.rank) for x, t in zip(tensors, sources, strict=True)])

    return merge


def _raised(x, rank, highest):
    """Keras puts axes of 1 behind the batch of a tensor of lower rank; a 3D feature map has no batch any more."""
    if rank == highest:
        return x
    if highest == 5:
        return ops.reshape(x, (1,) * (5 - rank) + tuple(x.shape[1:]))
    return ops.reshape(x, (1,) * (highest - rank + 1) + tuple(x.shape[1:]))


rule(layers.Add)(_merging(lambda tensors: reduce(ops.add, tensors)))
rule(layers.Subtract)(_merging(lambda tensors: reduce(ops.subtract, tensors)))
rule(layers.Multiply)(_merging(lambda tensors: reduce(ops.multiply, tensors)))
rule(layers.Maximum)(_merging(lambda tensors: reduce(ops.maximum, tensors)))
rule(layers.Minimum)(_merging(lambda tensors: reduce(ops.minimum, tensors)))
rule(layers.Average)(_merging(lambda tensors: ops.multiply(reduce(ops.add, tensors), 1.0 / len(tensors))))


@rule(layers.Concatenate)
def concatenate(layer, args, kwargs, emission):
    """Concatenate along any axis but the batch."""
    return ops.concatenate(args[0], axis=emission.axis(layer.axis))


@rule(layers.Softmax)
def softmax(layer, args, kwargs, emission):
    """Softmax along one axis or several, with or without a mask."""
    x, mask = args[0], args[1] if len(args) > 1 else kwargs.get("mask")
    if mask is not None:
        if not keras.backend.is_keras_tensor(mask) and len(mask.shape) == 5:
            mask = mask[0]
        mask = ops.cast(mask, "float32") > 0.5
        x = ops.where(mask, x, -1e9)
    y = _softmax(x, [emission.axis(axis) for axis in np.atleast_1d(layer.axis)])
    return y if mask is None else ops.where(mask, y, 0.0)


def _softmax(x, axes):
    if len(axes) == 1:
        return ops.softmax(x, axis=axes[0])
    exponent = ops.exp(ops.subtract(x, ops.max(x, axis=axes, keepdims=True)))
    return ops.divide(exponent, ops.sum(exponent, axis=axes, keepdims=True))


@rule(layers.PReLU)
def prelu(layer, args, kwargs, emission):
    """PReLU: slopes shared over depth stay a PReLU layer; others become max(x, 0) + slope × min(x, 0)."""
    x = args[0]
    alpha = np.asarray(ops.convert_to_numpy(layer.alpha), np.float32)
    if emission.rank == 5 and alpha.shape[0] != 1:
        return ops.add(ops.relu(x), ops.multiply(ops.minimum(x, 0.0), alpha))
    if emission.rank == 5:
        alpha = alpha[0]
    shared = [axis + 1 for axis, size in enumerate(alpha.shape) if size == 1]
    copy = emission.once((layer, "prelu"), lambda: keras.layers.PReLU(shared_axes=shared, dtype="float32"))
    y = copy(x)
    copy.set_weights([alpha])
    return y
