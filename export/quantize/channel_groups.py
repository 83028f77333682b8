"""Which channels of a rewritten network share a scale: all that are added, joined, pooled or read by one weight."""

from dataclasses import dataclass, field

import keras
import numpy as np
from keras import activations, layers, ops, tree

from export.rewrite.folding import nodes_in_order
from zoo.internals.keras import core, nn, numpy

ZERO, FIXED = 0, 1
WEIGHTED = (layers.Conv2D, layers.Conv2DTranspose, layers.DepthwiseConv2D, layers.Dense)
_HOMOGENEOUS = (layers.LeakyReLU, layers.PReLU, nn.Relu, nn.LeakyRelu, numpy.Negative, core.StopGradient)
_RECTIFIERS = (activations.linear, activations.relu, activations.leaky_relu)
_JOINS = (numpy.Add, numpy.Subtract, numpy.Maximum, numpy.Minimum)
_PRODUCTS = (numpy.Multiply, numpy.Divide, numpy.TrueDivide)
_KEEPS_CHANNELS = (core.Slice, numpy.Pad, numpy.Reshape)
_MOVES = (
    *_KEEPS_CHANNELS, numpy.GetItem, numpy.Transpose, numpy.ExpandDims, numpy.Squeeze, numpy.Split,
    numpy.BroadcastTo, numpy.Repeat, numpy.Tile, numpy.Flip, nn.DepthToSpace,
)  # fmt: skip
_POOLS = (
    layers.MaxPooling2D, layers.AveragePooling2D, layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D,
    layers.UpSampling2D, layers.ZeroPadding2D, layers.Cropping2D,
)  # fmt: skip
_REDUCTIONS = (numpy.Mean, numpy.Sum, numpy.Max, numpy.Min)


class Groups:
    """Sets of channels that share a scale (union-find over numbers).

    Number ``ZERO`` stands for zeros, which have any scale, ``FIXED`` for values whose scale must stay.
    """

    def __init__(self):
        self.parents = np.arange(2)

    def new(self, count: int) -> np.ndarray:
        """Numbers of ``count`` channels that share with none."""
        start = len(self.parents)
        numbers = np.arange(start, start + count)
        self.parents = np.append(self.parents, numbers)
        return numbers

    def find(self, numbers) -> np.ndarray:
        """The number that stands for the whole set, for each of ``numbers``."""
        root = self.parents[numbers]
        while (root != self.parents[root]).any():
            root = self.parents[root]
        return root

    def tie(self, first, second) -> np.ndarray:
        """Join sets number by number, but for zeros; the joined numbers, broadcast."""
        first, second = np.broadcast_arrays(self.find(first), self.find(second))
        differ = (first != second) & (first != ZERO) & (second != ZERO)
        for a, b in set(zip(first[differ].tolist(), second[differ].tolist(), strict=True)):
            a, b = self.find(a), self.find(b)
            self.parents[max(a, b)] = min(a, b)
        return self.find(np.where(first == ZERO, second, first))


@dataclass
class Ends:
    """The channels that a layer with weights reads and writes, by their numbers."""

    inputs: np.ndarray
    outputs: np.ndarray


@dataclass
class Trace:
    """The channels of a network's tensors, numbered. An array of numbers has its tensor's rank.

    Along an axis where all entries belong to the same set, the array has size 1.

    Attributes:
        groups: the sets.
        ends: of each layer with weights whose scales may move.
        numbers: by the id of a tensor.
    """

    groups: Groups = field(default_factory=Groups)
    ends: dict = field(default_factory=dict)
    numbers: dict = field(default_factory=dict)

    def of(self, tensor):
        """Numbers of a tensor of the network, or of a constant."""
        if keras.backend.is_keras_tensor(tensor):
            return self.numbers[id(tensor)]
        return np.asarray(FIXED if np.any(ops.convert_to_numpy(tensor)) else ZERO)

    def fix(self, tensor) -> None:
        """Require that a tensor's values stay."""
        self.groups.tie(self.of(tensor), FIXED)

    def channels(self, tensor) -> np.ndarray:
        """One number for each channel of a tensor, at all places the same."""
        numbers, size = self.of(tensor), tensor.shape[-1]
        flat = self.groups.find(np.broadcast_to(numbers, (*numbers.shape[:-1], size))).reshape(-1, size)
        top = flat.max(axis=0)
        if ((flat != top) & (flat != ZERO)).any():
            self.groups.tie(flat, top)
        return self.groups.find(top)


def trace(model) -> Trace:
    """Follow a network's channels from its image to its logits, both of which keep their scale.

    Args:
        model: rewritten Keras model of fixed shape. What is not known to keep the proportions of its input
            (positive homogeneity) fixes the scale of what it takes and gives.
    """
    record = Trace()
    for tensor in model.inputs:
        record.numbers[id(tensor)] = _spread(np.asarray([FIXED]), tensor)
    for node in nodes_in_order(model):
        numbers = _follow(node, record)
        if numbers is None:
            for tensor in node.input_tensors:
                record.fix(tensor)
            numbers = [np.asarray(FIXED)] * len(node.outputs)
        for tensor, channels in zip(node.outputs, numbers, strict=True):
            record.numbers[id(tensor)] = (
                channels if channels.ndim == len(tensor.shape) else _spread(channels.reshape(-1), tensor)
            )
    for tensor in model.outputs:
        record.fix(tensor)
    return record


def _spread(channels, tensor):
    return channels.reshape(*[1] * (len(tensor.shape) - 1), -1)


def _follow(node, record: Trace):
    """Numbers of a node's outputs, or None for an operation that scales cannot pass."""
    operation, kind = node.operation, type(node.operation)
    if not node.arguments.args:
        return None
    x, *others = node.arguments.args
    if kind in WEIGHTED:
        return _weighted(operation, x, record)
    if kind in _HOMOGENEOUS or _rectifies(operation):
        return [record.of(x)]
    if kind in _JOINS:
        return [record.groups.tie(record.of(x), record.of(others[0]))]
    if kind in _PRODUCTS:
        return _product(kind, x, others[0], record)
    if kind is numpy.Concatenate:
        return [_joined([record.of(tensor) for tensor in x], [tensor.shape for tensor in x], operation.axis)]
    if kind in _MOVES and len(node.input_tensors) == 1:
        return _moved(node, x, record)
    if kind in _POOLS or (kind in _REDUCTIONS and _leaves_channels(operation, x)):
        return [record.channels(x)]
    return None


def _weighted(layer, x, record):
    if getattr(layer, "groups", 1) != 1:
        return None
    inputs = record.channels(x)
    if layer in record.ends:
        record.groups.tie(record.ends[layer].inputs, inputs)
    else:
        outputs = layer.kernel.shape[-1] if type(layer) is not layers.Conv2DTranspose else layer.kernel.shape[-2]
        outputs *= layer.kernel.shape[-2] if type(layer) is layers.DepthwiseConv2D else 1
        record.ends[layer] = Ends(inputs, record.groups.new(outputs))
    outputs = record.ends[layer].outputs
    if layer.activation is not None and layer.activation not in _RECTIFIERS:
        record.groups.tie(outputs, FIXED)
    return [outputs]


def _rectifies(layer) -> bool:
    if type(layer) is layers.ReLU:
        return layer.max_value is None and layer.threshold == 0
    return type(layer) is layers.Activation and layer.activation in _RECTIFIERS


def _product(kind, left, right, record):
    """A product keeps the scale of the larger tensor; the smaller one, such as the gate beside it, has a fixed one."""
    if not keras.backend.is_keras_tensor(right):
        return [record.of(left)]
    if kind is not numpy.Multiply:
        return None
    if not keras.backend.is_keras_tensor(left) or np.prod(left.shape) < np.prod(right.shape):
        left, right = right, left
    if keras.backend.is_keras_tensor(right):
        record.fix(right)
    return [record.of(left)]


def _joined(parts, shapes, axis):
    axis %= len(shapes[0])
    rest = np.broadcast_shapes(*((*p.shape[:axis], 1, *p.shape[axis + 1 :]) for p in parts))
    sized = [(*rest[:axis], shape[axis], *rest[axis + 1 :]) for shape in shapes]
    return _compact(np.concatenate([np.broadcast_to(p, s) for p, s in zip(parts, sized, strict=True)], axis))


def _moved(node, x, record):
    """The operation itself, done on numbers."""
    operation, numbers = node.operation, record.of(x)
    if type(operation) is numpy.Pad and (operation.mode != "constant" or _pads_values(node)):
        return None
    same = [tensor.shape[-1] == x.shape[-1] for tensor in node.outputs]
    if type(operation) in _KEEPS_CHANNELS and all(same) and numbers.size == numbers.shape[-1]:
        return [numbers.reshape(-1)]
    whole = ops.convert_to_tensor(np.broadcast_to(numbers, x.shape).astype(np.int32))
    args, kwargs = node.arguments.fill_in({id(x): whole})
    return [_compact(np.asarray(ops.convert_to_numpy(y))) for y in tree.flatten(operation.call(*args, **kwargs))]


def _pads_values(node) -> bool:
    return bool(np.any(node.arguments.kwargs.get("constant_values") or 0))


def _compact(numbers):
    """The same with one entry along each axis but the last where all are equal, or zeros."""
    for axis in range(numbers.ndim - 1):
        top = numbers.max(axis=axis, keepdims=True)
        if ((numbers == top) | (numbers == ZERO)).all():
            numbers = top
    return numbers


def _leaves_channels(operation, x) -> bool:
    axis = operation.axis
    axes = [] if axis is None else [axis] if isinstance(axis, int) else list(axis)
    return bool(axes) and all(number % len(x.shape) != len(x.shape) - 1 for number in axes)
