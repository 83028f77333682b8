"""A quantized ONNX graph as OpenVINO runs it best: no step between integers that are equal, none after the last sum."""

import numpy as np

from export.quantize.native.clips import folded, passed
from export.quantize.native.graph import (
    PRODUCTS,
    constants,
    consumers,
    producers,
    set_constant,
    set_nodes,
)
from export.quantize.onnx_data_movement import MOVEMENT

# What OpenVINO moves as integers with one pair of steps before it.
_MOVES = ("Concat", "MaxPool", "Transpose", "Reshape")
_UNSIGNED_MIDDLE = 128


def settle(quantized, prepared, signed: bool = False):
    """Change a quantized model in place, in the order of the functions below.

    Args:
        quantized: QDQ ``onnx.ModelProto`` from ``onnx_int8.quantize``.
        prepared: the float model that it was made from.
        signed: symmetric activations become int8, for processors with AMX alone: without it OpenVINO 2026.4 computes
            wrong sums of signed tensors that were joined.

    Returns:
        ``quantized``.
    """
    _restore_activations(quantized, prepared)
    _drop_equal_steps(quantized)
    _leave_logits_in_float(quantized, folded(quantized, prepared))
    if signed:
        _sign(quantized)
    return quantized


def _restore_activations(model, prepared) -> None:
    """Put back each ReLU whose quantizer lets values through that it would not: the range is that of another tensor."""
    values, made, floats = constants(model), producers(model), constants(prepared)
    restored = {}
    for tensor, (node, step) in folded(model, prepared).items():
        if passed(node, step, floats, values):
            source = made[tensor]
            restored[id(source)] = type(node).FromString(node.SerializeToString())
            restored[id(source)].output[0], source.output[0] = tensor, node.input[0]
            for name in node.input[1:]:
                if name:
                    set_constant(model, name, floats[name])
    set_nodes(model, [each for node in model.graph.node for each in (node, restored.get(id(node))) if each is not None])


def _drop_equal_steps(model) -> None:
    """Drop the quantization of what was only moved, where it is that of all that went in."""
    values, made, users = constants(model), producers(model), consumers(model)
    results = {output.name for output in model.graph.output}
    steps = {node.output[0]: node for node in model.graph.node if node.op_type == "DequantizeLinear"}
    dropped = set()
    for node in model.graph.node:
        if node.op_type not in _MOVES:
            continue
        sources = [steps.get(name) for name in (node.input if node.op_type == "Concat" else node.input[:1])]
        after = users.get(node.output[0], [])
        backs = users.get(after[0].output[0], []) if [user.op_type for user in after] == ["QuantizeLinear"] else []
        if len(backs) != 1 or backs[0].output[0] in results:
            continue
        if not all(source is not None and _same_step(source, after[0], values) for source in sources):
            continue
        back = backs[0].output[0]
        dropped |= {id(after[0]), id(made[back])}
        for user in users.get(back, []):
            for index, name in enumerate(user.input):
                if name == back:
                    user.input[index] = node.output[0]
        steps[node.output[0]] = made[back]
    set_nodes(model, [node for node in model.graph.node if id(node) not in dropped])


def _same_step(first, second, values) -> bool:
    """Whether two steps have the same scale and zero point."""
    return all(np.array_equal(values[a], values[b]) for a, b in zip(first.input[1:3], second.input[1:3], strict=True))


def _leave_logits_in_float(model, activations) -> None:
    """Drop the quantization of the logits, where a product gives them: nothing multiplies them any more.

    A quantizer that took the place of an activation stays.
    """
    made, users = producers(model), consumers(model)
    result = model.graph.output[0].name
    pairs, node = [], made[result]
    while node is not None and node.op_type not in PRODUCTS:
        if node.op_type == "DequantizeLinear" and len(users[node.input[0]]) == 1 and node.input[0] in made:
            pairs.append((made[node.input[0]], node))
            name = made[node.input[0]].input[0]
        elif node.op_type in MOVEMENT:
            name = node.input[0]
        else:
            return
        node = made.get(name)
        if node is None or len(users[name]) != 1:
            return
    if any(step.input[0] in activations for step, _ in pairs):
        return
    for step, back in pairs:
        source = made[step.input[0]]
        if back.output[0] == result:
            source.output[0] = result
        else:
            for user in users[back.output[0]]:
                user.input[0] = step.input[0]
    dropped = {id(node) for pair in pairs for node in pair}
    set_nodes(model, [node for node in model.graph.node if id(node) not in dropped])


def _sign(model) -> None:
    """Make symmetric activations int8 of zero point 0: as uint8 of zero point 128 every product would be corrected."""
    values = constants(model)
    for node in model.graph.node:
        if node.op_type not in ("QuantizeLinear", "DequantizeLinear") or node.input[0] in values:
            continue
        zero = values[node.input[2]]
        if zero.dtype == np.uint8 and zero == _UNSIGNED_MIDDLE:
            node.input[2] = set_constant(model, f"{node.input[2]}_signed", np.zeros((), np.int8))
    integers = {name for node in model.graph.node if node.op_type == "QuantizeLinear" for name in node.output}
    for value in [value for value in model.graph.value_info if value.name in integers]:
        model.graph.value_info.remove(value)
