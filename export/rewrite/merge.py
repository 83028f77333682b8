"""Rules for layers and operations that act on each element, or join feature maps."""

import keras
import numpy as np
from keras import layers, ops
from keras.src.ops import nn as nn_operations
from keras.src.ops import numpy as numpy_operations

from export.rewrite.graph import RewriteError, keep, rule

ELEMENTWISE = (
    layers.Activation, layers.ReLU, layers.LeakyReLU, layers.ELU, layers.Add, layers.Subtract, layers.Multiply,
    layers.Average, layers.Maximum, layers.Minimum, layers.Rescaling, layers.Identity, layers.Dense,
)  # fmt: skip
ELEMENTWISE_OPERATIONS = (
    *(getattr(numpy_operations, name) for name in (
        "Add", "Subtract", "Multiply", "Divide", "TrueDivide", "Maximum", "Minimum", "Negative", "Abs", "Absolute",
        "Square", "Sqrt", "Exp", "Tanh", "Clip",
    )),
    *(getattr(nn_operations, name) for name in (
        "Relu", "Relu6", "Sigmoid", "Silu", "Gelu", "LeakyRelu", "Elu", "HardSigmoid", "HardSilu", "Softplus", "Tanh",
    ) if hasattr(nn_operations, name)),
)  # fmt: skip

rule(*ELEMENTWISE, *ELEMENTWISE_OPERATIONS)(keep)


@rule(
    layers.Dropout, layers.SpatialDropout2D, layers.SpatialDropout3D, layers.GaussianNoise, layers.GaussianDropout,
    layers.AlphaDropout, layers.ActivityRegularization,
)  # fmt: skip
def drop(layer, args, kwargs, emission):
    """Layers that do nothing at inference."""
    return args[0]


def _folded_axis(axis: int, layer, emission) -> int:
    """The axis of a folded tensor that a source axis became; the batch axis is gone."""
    if emission.rank != 5:
        return axis
    axis = axis % 5
    if axis == 0:
        raise RewriteError(f"layer {layer.name}: acts along the batch axis, which a single patch does not have")
    return axis - 1


@rule(layers.Concatenate)
def concatenate(layer, args, kwargs, emission):
    """Concatenate along any axis but the batch."""
    return ops.concatenate(args[0], axis=_folded_axis(layer.axis, layer, emission))


@rule(numpy_operations.Concatenate)
def concatenate_operation(operation, args, kwargs, emission):
    """keras.ops.concatenate along any axis but the batch."""
    return ops.concatenate(args[0], axis=_folded_axis(operation.axis, operation, emission))


@rule(layers.Softmax)
def softmax(layer, args, kwargs, emission):
    """Softmax along one axis."""
    return ops.softmax(args[0], axis=_folded_axis(layer.axis, layer, emission))


@rule(layers.PReLU)
def prelu(layer, args, kwargs, emission):
    """PReLU: slopes shared over depth stay a PReLU layer; others become max(x, 0) + slope × min(x, 0)."""
    x = args[0]
    alpha = ops.convert_to_numpy(layer.alpha)
    if emission.rank == 5 and alpha.shape[0] != 1:
        negative = ops.minimum(x, 0.0)
        return ops.add(ops.relu(x), ops.multiply(negative, ops.convert_to_tensor(alpha.astype(np.float32))))
    if emission.rank == 5:
        alpha = alpha[0]
    shared = [axis + 1 for axis, size in enumerate(alpha.shape[:-1]) if size == 1]
    copy = emission.once(
        (id(layer), "prelu"), lambda: keras.layers.PReLU(shared_axes=shared, name=layer.name, dtype="float32")
    )
    y = copy(x)
    copy.set_weights([alpha])
    return y
