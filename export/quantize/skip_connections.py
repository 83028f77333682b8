"""Skip connections of an int8 TFLite file keep a scale of their own.

TFLite concatenates int8 tensors of one scale only, so the converter stores a skip connection in steps as coarse as the
range of the decoder's tensor beside it asks for: where that is ten times as wide, the encoder loses three of its eight
bits, and the layers after it compute with what is left. Here such a tensor gets the scale of its own range, and is
requantized where it is concatenated.
"""

import copy

import numpy as np

from export.quantize.tflite_file import insert_before

# Kernels that need one scale for input and output, and those that take an input of any.
SAME_SCALE = frozenset({"PAD", "SLICE", "STRIDED_SLICE", "RESHAPE", "CONCATENATION", "MAX_POOL_2D", "TRANSPOSE",
                        "SQUEEZE", "EXPAND_DIMS", "DEPTH_TO_SPACE", "SPACE_TO_DEPTH", "TILE",
                        "RESIZE_NEAREST_NEIGHBOR", "RESIZE_BILINEAR", "AVERAGE_POOL_2D"})  # fmt: skip
# Place of the bias, whose scale is that of the input times that of the weights.
BIAS = {"CONV_2D": 2, "DEPTHWISE_CONV_2D": 2, "FULLY_CONNECTED": 2, "TRANSPOSE_CONV": 3}
ANY_SCALE = frozenset({*BIAS, "ADD", "SUB", "MUL", "MEAN", "QUANTIZE", "DEQUANTIZE", "LOGISTIC", "TANH", "HARD_SWISH",
                       "LEAKY_RELU", "PRELU"})  # fmt: skip
# Kernels that compute with the scale that their result has; that of others is fixed, or the one of their inputs.
RESCALING = frozenset({*BIAS, "ADD", "SUB", "MUL", "MEAN", "SUM", "BATCH_MATMUL", "QUANTIZE", "HARD_SWISH",
                       "LEAKY_RELU", "PRELU", "RELU", "RELU6", "ELU", "GELU", "EXP"})  # fmt: skip
WORTH = 2.0  # how many times as coarse a scale may be before the tensor gets its own


def with_own_scales(model, kinds, ranges: dict[str, tuple[float, float]]):
    """Give tensors that are concatenated with wider ones the scale of their own range.

    Args:
        model: int8 file as ``ModelT``; changed in place.
        kinds: operator type of each of its operator codes.
        ranges: smallest and largest value of each activation, by tensor name.

    Returns:
        The same model.
    """
    graph = model.subgraphs[0]
    made = {output: op for op in graph.operators for output in op.outputs}
    done = set()
    for concat in [op for op in graph.operators if kinds[op.opcodeIndex] == "CONCATENATION"]:
        for tensor in dict.fromkeys(int(i) for i in concat.inputs):
            root = _root(tensor, made, kinds)
            scale, zero = _scale(ranges.get(graph.tensors[root].name.decode()))
            stored = _stored(graph.tensors[root])
            if root in done or not scale or stored is None or stored < WORTH * scale:
                continue
            if root not in made or kinds[made[root].opcodeIndex] not in RESCALING:
                continue  # also the image, and a concatenation, whose parts are tensors with a turn of their own
            done.add(root)
            _rescale(model, kinds, root, scale, zero)
    return model


def _root(tensor, made, kinds) -> int:
    """The tensor whose values ``tensor`` holds, moved."""
    while tensor in made and kinds[made[tensor].opcodeIndex] in SAME_SCALE - {"CONCATENATION"}:
        tensor = int(made[tensor].inputs[0])
    return tensor


def _scale(limits) -> tuple[float, int]:
    """Scale and zero point of int8 for a range; 0 for none."""
    if limits is None:
        return 0.0, 0
    low, high = min(limits[0], 0.0), max(limits[1], 0.0)
    scale = float(np.float32((high - low) / 255))
    return scale, int(np.clip(np.rint(-128 - low / scale), -128, 127)) if scale else 0


def _stored(tensor) -> float | None:
    scales = getattr(tensor.quantization, "scale", None)
    return float(scales[0]) if scales is not None and len(scales) == 1 else None


def _rescale(model, kinds, root, scale, zero) -> None:
    """Give ``root`` a scale, and all that only moves its values; nothing is changed where a consumer forbids it."""
    graph = model.subgraphs[0]
    region, mixed, biases = {root}, [], []
    before = _stored(graph.tensors[root])
    for op in graph.operators:
        kind, inside = kinds[op.opcodeIndex], [int(i) for i in op.inputs if int(i) in region]
        if not inside:
            continue
        if kind not in SAME_SCALE | ANY_SCALE:
            return
        if kind == "CONCATENATION" and len(inside) < len(op.inputs):
            mixed.append((op, inside))
        elif kind in SAME_SCALE:
            region.update(int(i) for i in op.outputs)
        elif kind in BIAS and len(op.inputs) > BIAS[kind] and op.inputs[BIAS[kind]] >= 0:
            values = _integers(model, op.inputs[BIAS[kind]]) * (before / scale)
            if np.abs(values).max() >= 2**30:
                return
            biases.append((op, BIAS[kind], np.rint(values).astype(np.int32)))
    if region & {int(i) for i in graph.outputs}:
        return
    wide = copy.deepcopy(graph.tensors[root].quantization)
    for op, place, values in biases:
        _replace_bias(model, op, place, values, scale / before)
    for op, inside in mixed:
        for tensor in dict.fromkeys(inside):
            _requantize(model, kinds, op, tensor, wide)
    for tensor in region:
        quantization = graph.tensors[tensor].quantization
        quantization.scale, quantization.zeroPoint = [scale], [zero]


def _integers(model, tensor) -> np.ndarray:
    data = model.buffers[model.subgraphs[0].tensors[tensor].buffer].data
    return np.frombuffer(np.asarray(data, np.uint8).tobytes(), np.int32).astype(np.float64)


def _replace_bias(model, op, place, values, factor) -> None:
    """A bias of its own for ``op``: another operator may use the same."""
    graph = model.subgraphs[0]
    bias = copy.deepcopy(graph.tensors[op.inputs[place]])
    buffer = copy.deepcopy(model.buffers[bias.buffer])
    buffer.data = np.frombuffer(values.tobytes(), np.uint8)
    model.buffers.append(buffer)
    bias.buffer, bias.name = len(model.buffers) - 1, bias.name + f"_{len(graph.tensors)}".encode()
    bias.quantization.scale = [float(s) * factor for s in bias.quantization.scale]
    graph.tensors.append(bias)
    op.inputs = [len(graph.tensors) - 1 if i == place else int(t) for i, t in enumerate(op.inputs)]


def _requantize(model, kinds, concat, tensor, wide) -> None:
    """Bring ``tensor`` to the scale of the concatenation before that."""
    from ai_edge_litert import schema_py_generated as schema

    graph = model.subgraphs[0]
    result = copy.deepcopy(graph.tensors[tensor])
    result.name, result.quantization, result.buffer = result.name + b"_concatenated", copy.deepcopy(wide), 0
    graph.tensors.append(result)
    insert_before(model, kinds, concat, tensor, "QUANTIZE", 2, schema.QuantizeOptionsT())
