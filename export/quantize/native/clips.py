"""Activations that an integer ONNX model does not compute, because a quantizer after them saturates where they clip.

ONNX Runtime's quantizer drops a ReLU or Clip and lets the quantization that follows do its work. That is right as long
as the quantizer's range ends where the activation's does. It does not where the tensor has the range of a wider one
that it is joined with, or where the activation's values begin above zero, which every range contains.
"""

from functools import partial

import numpy as np

from export.quantize.native.graph import (
    ACTIVATIONS,
    constants,
    consumers,
    producers,
    set_constant,
    set_nodes,
    shapes,
)


def with_clips(model):
    """Write each minimum and maximum with a number as Clip, in place: those that follow each other become one.

    Args:
        model: float ``onnx.ModelProto`` of inferred shapes.

    Returns:
        The same model.
    """
    from onnx import helper

    values, ranks = constants(model), {name: len(shape) for name, shape in shapes(model).items()}
    nodes = []
    for node in model.graph.node:
        limit = _limit(node, values, ranks)
        if limit is not None:
            source, number = limit
            kept = set_constant(model, f"{node.output[0]}_limit", np.array(number, np.float32))
            inputs = [source, "", kept] if node.op_type == "Min" else [source, kept]
            node = helper.make_node("Clip", inputs, [node.output[0]], node.name)
        nodes.append(node)
    set_nodes(model, nodes)
    _merge(model)
    return model


def folded(quantized, prepared) -> dict:
    """The activations that a quantizer took the place of.

    Args:
        quantized: QDQ ``onnx.ModelProto`` as ONNX Runtime's quantizer made it.
        prepared: the float model that it was made from.

    Returns:
        (node of ``prepared``, node of ``quantized`` that quantizes its result) by the name of that tensor.
    """
    made = producers(quantized)
    steps = {node.input[0]: node for node in quantized.graph.node if node.op_type == "QuantizeLinear"}
    activations = {}
    for node in prepared.graph.node:
        result = node.output[0]
        # The tensor before the quantizer has another name where the dequantized one is an output of the network.
        step = steps.get(result) or steps.get(f"{result}_QuantizeLinear_Input")
        if node.op_type in ACTIVATIONS and step is not None and made[step.input[0]].op_type not in ACTIVATIONS:
            activations[step.input[0]] = node, step
    return activations


def passed(node, step, floats, values) -> bool:
    """Whether a quantizer lets values through that the activation does not.

    Args:
        node: the activation.
        step: the quantizer, uint8.
        floats: constants of the model with the activation, by name.
        values: constants of the model with the quantizer.
    """
    scale, zero = (float(values[name]) for name in step.input[1:3])
    low, high = bounds(node, floats)
    return -zero * scale < low - scale / 2 or (255 - zero) * scale > high + scale / 2


def bounds(node, floats) -> tuple[float, float]:
    """The least and the largest value of a ReLU or Clip, by the constants of its model."""
    if node.op_type == "Relu":
        return 0.0, np.inf
    low, high = (floats.get(name) for name in (*node.input[1:], "", "")[:2])
    return -np.inf if low is None else float(low), np.inf if high is None else float(high)


def clip_integers(quantized, prepared) -> None:
    """Clip the integers of each activation whose quantizer lets other values through, in place.

    Behind the quantizer nothing stands between a convolution and it, which ONNX Runtime fuses.

    Args:
        quantized: QDQ ``onnx.ModelProto`` as ONNX Runtime's quantizer made it, with uint8 activations.
        prepared: the float model that it was made from.
    """
    from onnx import helper

    values, floats = constants(quantized), constants(prepared)
    clips = {}
    for tensor, (node, step) in folded(quantized, prepared).items():
        if not passed(node, step, floats, values):
            continue
        scale, zero = (float(values[name]) for name in step.input[1:3])
        levels = [np.clip(np.rint(bound / scale) + zero, 0, 255).astype(np.uint8) for bound in bounds(node, floats)]
        names = [set_constant(quantized, f"{tensor}_{end}", n) for end, n in zip(("low", "high"), levels, strict=True)]
        result, step.output[0] = step.output[0], f"{step.output[0]}_wide"
        clips[id(step)] = helper.make_node("Clip", [step.output[0], *names], [result], f"{tensor}_clip")
    nodes = [each for node in quantized.graph.node for each in (node, clips.get(id(node))) if each is not None]
    set_nodes(quantized, nodes)


def _limit(node, values, ranks) -> tuple[str, float] | None:
    """The tensor and the number of a minimum or maximum of those two."""
    if node.op_type not in ("Min", "Max") or len(node.input) != 2:
        return None
    for source, number in (tuple(node.input), tuple(node.input)[::-1]):
        value = values.get(number)
        scalar = value is not None and value.size == 1 and value.dtype == np.float32
        if scalar and source not in values and value.ndim <= ranks.get(source, 0):
            return source, value.item()
    return None


def _merge(model) -> None:
    """Make a Clip that alone reads another one part of that."""
    values, users, made = constants(model), consumers(model), producers(model)
    results = {output.name for output in model.graph.output}
    limits = partial(bounds, floats=values)
    merged = set()
    for node in model.graph.node:
        first = made.get(node.input[0]) if node.op_type == "Clip" else None
        if first is None or first.op_type not in ACTIVATIONS or first.output[0] in results:
            continue
        (low, high), (lower, higher) = limits(first), limits(node)
        low, high = max(low, lower), min(high, higher)
        if len(users[first.output[0]]) != 1 or low > high:
            continue
        names = [
            set_constant(model, f"{node.output[0]}_{end}", np.array(bound, np.float32)) if np.isfinite(bound) else ""
            for end, bound in (("low", low), ("high", high))
        ]
        values |= {name: np.array(bound) for name, bound in zip(names, (low, high), strict=True) if name}
        del node.input[:]
        node.input.extend([first.input[0], *names])
        merged.add(id(first))
    set_nodes(model, [node for node in model.graph.node if id(node) not in merged])
