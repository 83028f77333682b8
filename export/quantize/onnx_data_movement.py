"""Data movement of a QDQ model done on its integers.

ONNX's static quantization wraps every operator in dequantize and quantize steps. For an operator that only moves values
(pad, slice, concatenate, reshape, transpose, depth to space) and whose tensors share one scale, ``Q(op(DQ(x)))`` equals
``op(x)`` exactly; ONNX Runtime fuses only some of them, and the rest would run in float. Likewise a quantized zero is
the zero point, so padding with real zero is padding with that.
"""

from collections import defaultdict

import numpy as np

MOVEMENT = frozenset(
    {"Pad", "Slice", "Concat", "Reshape", "Transpose", "DepthToSpace", "Squeeze", "Unsqueeze", "Split"}
)
MOVES = MOVEMENT | {"MaxPool"}
"""Operators whose output holds only values of their input, so that both tensors can have the same scale."""


def movement_in_integers(model):
    """Replace every DQ -> movement -> Q of one scale by the movement on integers, in place.

    Args:
        model: QDQ ``onnx.ModelProto``.

    Returns:
        The same model.
    """
    from onnx import numpy_helper

    graph = model.graph
    constants = {i.name: numpy_helper.to_array(i) for i in graph.initializer}
    producers = {output: node for node in graph.node for output in node.output}
    consumers = defaultdict(list)
    for node in graph.node:
        for name in node.input:
            consumers[name].append(node)
    results = {output.name for output in graph.output}
    removed = set()
    for node in graph.node:
        if node.op_type in MOVEMENT:
            removed |= _on_integers(node, producers, consumers, constants, results)
    kept = [node for node in graph.node if id(node) not in removed]
    used = {name for node in kept for name in node.input} | results
    kept = [n for n in kept if n.op_type != "DequantizeLinear" or n.output[0] in used]
    kept = [_copy(node) for node in kept]
    del graph.node[:]
    graph.node.extend(kept)
    return model


def _copy(node):
    copy = type(node)()
    copy.CopyFrom(node)
    return copy


def _on_integers(node, producers, consumers, constants, results) -> set:
    """Rewire one movement node; the ids of the quantize nodes that it makes superfluous."""
    data = range(len(node.input)) if node.op_type == "Concat" else range(1)
    sources = [producers.get(node.input[i]) for i in data]
    if not all(source is not None and source.op_type == "DequantizeLinear" for source in sources):
        return set()
    if node.op_type == "Pad" and not _pads_with_zero(node, constants):
        return set()
    targets = [consumers[output] for output in node.output]
    if any(len(users) != 1 or users[0].op_type != "QuantizeLinear" for users in targets):
        return set()
    quantizers = [users[0] for users in targets]
    if results & set(node.output):
        return set()
    first = sources[0]
    if not all(_same_scale(first, member, constants) for member in [*sources[1:], *quantizers]):
        return set()
    for i, source in zip(data, sources, strict=True):
        node.input[i] = source.input[0]
    if node.op_type == "Pad":
        while len(node.input) < 3:
            node.input.append("")
        node.input[2] = first.input[2]
    for i, quantizer in enumerate(quantizers):
        node.output[i] = quantizer.output[0]
        producers[quantizer.output[0]] = node
    return {id(quantizer) for quantizer in quantizers}


def _pads_with_zero(node, constants) -> bool:
    mode = next((a.s for a in node.attribute if a.name == "mode"), b"constant")
    value = constants.get(node.input[2], np.zeros(())) if len(node.input) > 2 and node.input[2] else np.zeros(())
    return mode == b"constant" and not np.any(value)


def _same_scale(first, second, constants) -> bool:
    return all(
        a in constants and b in constants and np.array_equal(constants[a], constants[b])
        for a, b in zip(first.input[1:3], second.input[1:3], strict=True)
    )
