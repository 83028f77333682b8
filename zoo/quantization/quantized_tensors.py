"""Where a converter quantizes: the graph of a network as steps, what fuses and what only moves values."""

from dataclasses import dataclass

import keras
from keras import layers

from zoo.blocks.border import ZeroBorder
from zoo.blocks.depthwise import DepthwiseConv3D
from zoo.errors import ZooError
from zoo.internals.keras import functional, is_functional, nodes_by_depth

FOLDABLE = (
    layers.Conv2D,
    layers.Conv3D,
    layers.DepthwiseConv2D,
    layers.Conv2DTranspose,
    layers.Conv3DTranspose,
    DepthwiseConv3D,
)
"""Layers that take up the batch normalisation after them."""

MOVES = (
    layers.MaxPooling1D, layers.MaxPooling2D, layers.MaxPooling3D,
    layers.ZeroPadding1D, layers.ZeroPadding2D, layers.ZeroPadding3D, ZeroBorder,
    layers.Cropping1D, layers.Cropping2D, layers.Cropping3D,
    layers.Reshape, layers.Permute, layers.Flatten, layers.RepeatVector,
    layers.Identity, layers.Dropout, layers.SpatialDropout1D, layers.SpatialDropout2D, layers.SpatialDropout3D,
)  # fmt: skip
MOVING_OPERATIONS = ("Reshape", "Transpose", "GetItem", "Squeeze", "ExpandDims", "Pad", "Split", "StopGradient", "Cast")
UPSAMPLING = (layers.UpSampling1D, layers.UpSampling2D, layers.UpSampling3D)
FUSED_ACTIVATIONS = (keras.activations.relu, keras.activations.relu6)


@dataclass(frozen=True)
class Step:
    """A call of a layer or operation, those of nested models among them.

    Attributes:
        operation: the layer or operation; None where tensors are only handed on (a nested model's ends, a batch
            normalisation that is folded).
        node: the call.
        path: name of the layer, the nested models that it is in before it.
        outputs: tensors of the source.
        passed: with no operation, the source tensors that ``outputs`` are.
        norm: batch normalisation folded into it, or None.
        fused: an activation follows that the artifact computes in the same operator.
    """

    operation: object
    node: object
    path: str
    outputs: tuple
    passed: tuple = ()
    norm: object = None
    fused: bool = False


def fuses(activation) -> bool:
    """Whether an activation function or layer is computed within the operator before it."""
    if isinstance(activation, layers.Activation):
        return activation.activation in FUSED_ACTIVATIONS
    if isinstance(activation, layers.ReLU):
        plain = not activation.negative_slope and not activation.threshold
        return plain and activation.max_value in (None, 6.0)
    return activation in FUSED_ACTIVATIONS or type(activation).__name__ in ("Relu", "Relu6")


def moves(operation) -> bool:
    """Whether it only moves values of one tensor, which keep their scale."""
    if isinstance(operation, UPSAMPLING):
        return getattr(operation, "interpolation", "nearest") == "nearest"
    if isinstance(operation, layers.Layer):
        return isinstance(operation, MOVES)
    return type(operation).__name__ in MOVING_OPERATIONS


def joins(operation) -> bool:
    """Whether it puts tensors side by side."""
    return isinstance(operation, layers.Concatenate) or type(operation).__name__ == "Concatenate"


def common_scales(order: list[Step], runtime: str) -> dict[int, int]:
    """Which source tensors have the same scale in the artifact.

    Args:
        order: from ``steps``.
        runtime: TFLite's converter gives joined tensors the scale of the whole; for ONNX each keeps its own, and is
            quantized anew where it is joined.

    Returns:
        A number that is the same for tensors of one scale, by id of the tensor.
    """
    parent = {}

    def root(key):
        while parent.setdefault(key, key) != key:
            key = parent[key]
        return key

    for step in order:
        if step.operation is None:
            pairs = list(zip(step.outputs, step.passed, strict=True))
        elif moves(step.operation) or (runtime == "tflite" and joins(step.operation)):
            pairs = [(output, tensor) for output in step.outputs for tensor in step.node.input_tensors]
        else:
            pairs = []
        for output, tensor in pairs:
            parent[root(id(output))] = root(id(tensor))
    return {key: root(key) for key in list(parent)}


def steps(model) -> list[Step]:
    """The calls of a functional model in the order of execution.

    Raises:
        ZooError: for a model that is no graph of layers, or that shares a layer before different normalisations.
    """
    order = list(_steps(_graph(model), ""))
    norms = {}
    for step in order:
        if step.operation is not None and norms.setdefault(id(step.operation), step.norm) is not step.norm:
            raise ZooError(f"layer {step.path}: is shared before different normalisations; give each its own layer")
    return order


def _steps(model, prefix):
    nodes = [node for node in nodes_by_depth(model) if not node.is_input]
    users, results = {}, {id(tensor) for tensor in model.outputs}
    for node in nodes:
        for tensor in node.input_tensors:
            users.setdefault(id(tensor), []).append(node)

    def sole_user(node):
        after = users.get(id(node.outputs[0]), [])
        return after[0] if len(after) == 1 and id(node.outputs[0]) not in results else None

    folded = set()
    for node in nodes:
        operation, path = node.operation, f"{prefix}{node.operation.name}"
        outputs, inputs = tuple(node.outputs), tuple(node.input_tensors)
        if is_functional(operation):
            inner = _graph(operation)
            yield Step(None, node, path, tuple(inner.inputs), inputs)
            yield from _steps(inner, f"{path}.")
            yield Step(None, node, path, outputs, tuple(inner.outputs))
            continue
        if id(node) in folded:
            yield Step(None, node, path, outputs, inputs)
            continue
        last, norm = sole_user(node), None
        if last is not None and _folds(operation, last.operation, len(outputs[0].shape)):
            norm = last.operation
            folded.add(id(last))
            last = sole_user(last)
        fused = last is not None and fuses(last.operation)
        yield Step(operation, node, path, outputs, norm=norm, fused=fused)


def _folds(layer, follower, rank):
    linear = getattr(layer, "activation", None) in (None, keras.activations.linear)
    last = getattr(follower, "axis", None) in (-1, rank - 1)
    return type(layer) in FOLDABLE and linear and type(follower) is layers.BatchNormalization and last


def _graph(model):
    if not is_functional(model):
        raise ZooError(
            f"{model.name}: expected a functional keras.Model, got a {type(model).__name__}; with "
            "image = keras.Input((*patch, channels)) give keras.Model(image, model(image))"
        )
    return functional(model)
