"""What a network costs: weights, multiply-accumulate operations, memory for activations."""

import math
from dataclasses import dataclass

from keras import layers

from zoo.errors import ZooError
from zoo.internals.keras import nodes_by_depth


@dataclass(frozen=True)
class Cost:
    """Figures of a network at its input shape, batch of one; see ``zoo.Info`` for the units."""

    multiple: tuple[int, ...] | None
    parameters: int
    macs: int
    peak_activation_bytes: int


def count(model) -> Cost:
    """Count a functional model whose input sizes are all given.

    Args:
        model: a functional ``keras.Model`` with one input.

    Returns:
        Its ``Cost``. Additions, activations and normalisations are not counted as MACs.

    Raises:
        ZooError: if a size of the input is None.
    """
    if None in model.input_shape[1:]:
        raise ZooError(f"{model.name}: cost of an input {model.input_shape[1:]}; expected sizes as numbers")
    parameters = sum(math.prod(w.shape) for w in model.trainable_weights)
    macs = sum(_macs(node) for node in _nodes(model))
    return Cost(getattr(model, "multiple", None), parameters, macs, _peak(model))


def _nodes(model):
    """Calls of layers in the order of computation, the inputs left out."""
    return [node for node in nodes_by_depth(model) if node.input_tensors]


def _macs(node):
    layer = node.operation
    source, result = node.input_tensors[0].shape, node.output_tensors[0].shape
    if isinstance(layer, layers.Dense):
        return math.prod(result[1:-1]) * math.prod(layer.kernel.shape)
    if hasattr(layer, "macs"):
        return layer.macs(source)
    if isinstance(layer, layers.MultiHeadAttention):
        _, tokens, channels = source
        return 4 * tokens * channels**2 + 2 * tokens**2 * channels
    if "Transpose" in type(layer).__name__:
        return math.prod(source[1:-1]) * math.prod(layer.kernel.shape)
    if isinstance(layer, layers.SeparableConv2D):
        kernels = math.prod(layer.depthwise_kernel.shape) + math.prod(layer.pointwise_kernel.shape)
        return math.prod(result[1:-1]) * kernels
    if "Conv" in type(layer).__name__:
        return math.prod(result[1:-1]) * math.prod(layer.kernel.shape)
    return 0


def _peak(model):
    """Largest sum of float32 tensors alive at once when each is freed after its last use."""
    nodes = _nodes(model)
    last_use = {id(t): i for i, node in enumerate(nodes) for t in node.input_tensors}
    last_use.update({id(t): len(nodes) for t in model.outputs})
    size = {id(t): 4 * math.prod(t.shape[1:]) for node in nodes for t in (*node.input_tensors, *node.output_tensors)}
    alive = {id(t) for t in model.inputs}
    peak = 0
    for i, node in enumerate(nodes):
        alive |= {id(t) for t in node.output_tensors}
        peak = max(peak, sum(size[t] for t in alive))
        alive = {t for t in alive if last_use.get(t, -1) > i}
    return peak
