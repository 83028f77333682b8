"""Rules for ``keras.ops`` in a functional graph; those without one run in the source's own rank."""

import keras
from keras import ops, tree

from export.rewrite import axes
from export.rewrite.emission import whole
from export.rewrite.registry import rule
from export.rewrite.rules.pool import pool
from zoo.internals.keras import core, math, nn, numpy, unlinked

_ELEMENTWISE = {
    numpy: "Abs Absolute Add Ceil Clip Cos Divide Equal Exp Exp2 Expm1 Floor Greater GreaterEqual Less LessEqual Log "
    "Log1p LogicalAnd LogicalNot LogicalOr Maximum Minimum Multiply Negative NotEqual Power Reciprocal Round Sign Sin "
    "Sqrt Square Subtract Tanh TrueDivide Where",
    nn: "Celu Elu Gelu HardSigmoid HardSilu HardTanh LeakyRelu LogSigmoid Relu Relu6 Selu Sigmoid Silu Softplus "
    "Softsign",
    math: "Erf Rsqrt",
}
ELEMENTWISE = [getattr(module, name) for module, names in _ELEMENTWISE.items() for name in names.split()]


@rule(*ELEMENTWISE)
def elementwise(operation, args, kwargs, emission):
    """An operation on each element: on folded tensors, if all that it takes broadcasts as it did."""
    constants = [v for v in tree.flatten((args, kwargs)) if not keras.backend.is_keras_tensor(v)]
    if emission.rank > 5 or any(len(getattr(value, "shape", ())) >= 5 for value in constants):
        return whole(operation, args, kwargs, emission)
    return unlinked(operation)(*args, **kwargs)


@rule(numpy.Mean, numpy.Sum, numpy.Max, numpy.Min, numpy.Amax, numpy.Amin)
def reduction(operation, args, kwargs, emission):
    """A reduction of a 3D feature map along chosen axes."""
    along = operation.axis
    if emission.rank != 5 or along is None or getattr(operation, "initial", None) is not None:
        return whole(operation, args, kwargs, emission)
    along = [emission.axis(axis) for axis in ([along] if isinstance(along, int) else along)]
    reduce = {"Mean": ops.mean, "Sum": ops.sum}.get(type(operation).__name__)
    if reduce is None:
        reduce = ops.max if "max" in type(operation).__name__.lower() else ops.min
    y = reduce(args[0], axis=along, keepdims=operation.keepdims)
    return y if operation.keepdims else ops.expand_dims(y, 0)


@rule(numpy.Concatenate)
def concatenate(operation, args, kwargs, emission):
    """keras.ops.concatenate along any axis but the batch."""
    return ops.concatenate(args[0], axis=emission.axis(operation.axis))


@rule(numpy.Transpose)
def transpose(operation, args, kwargs, emission):
    """keras.ops.transpose of any rank."""
    order = operation.axes
    if order is None:
        order = tuple(reversed(range(emission.rank)))
    if emission.rank < 5:
        return ops.transpose(args[0], order)
    (x, *_), _ = emission.unfolded()
    return emission.folded(axes.transpose(x, order))


@rule(numpy.GetItem)
def get_item(operation, args, kwargs, emission):
    """Slices ``x[key]`` of any rank."""
    x, key = args
    shape = (1, *x.shape) if emission.rank == 5 else tuple(x.shape)
    taken = axes.get_item(x, shape, key)
    if taken is None:
        return whole(operation, args, kwargs, emission)
    y, shape = taken
    return ops.reshape(y, shape[1:] if len(shape) == 5 else shape)


@rule(core.Cast)
def cast(operation, args, kwargs, emission):
    """A cast between float types is none: an artifact is float32 until it is quantized."""
    both = [keras.backend.is_float_dtype(str(t)) for t in (args[0].dtype, operation.dtype)]
    return args[0] if all(both) else unlinked(operation)(*args, **kwargs)


@rule(core.StopGradient)
def stop_gradient(operation, args, kwargs, emission):
    """Means nothing at inference."""
    return args[0]


@rule(nn.MaxPool, nn.AveragePool)
def pooling(operation, args, kwargs, emission):
    """keras.ops.max_pool and average_pool."""
    if emission.rank != 5:
        return whole(operation, args, kwargs, emission)
    size = (operation.pool_size,) * 3 if isinstance(operation.pool_size, int) else operation.pool_size
    strides = size if operation.strides is None else operation.strides
    strides = (strides,) * 3 if isinstance(strides, int) else strides
    return pool(args[0], "max" if isinstance(operation, nn.MaxPool) else "average", size, strides, operation.padding)
