"""TFLite with int16 activations and int8 weights, by the converter's older quantizer, the only one that has it.

What that quantizer spoils is mended before and after: it writes the integers of one tensor over those of another that
shares its buffer or its bias, and it rounds the inner values of an activation made of several operators, such as the
exponential of mish, to 16 bits of a range that they do not fit.
"""

import copy
from collections.abc import Sequence

import numpy as np

from export.conversion.operators import ARITHMETIC_TFLITE
from export.conversion.tflite import quiet
from export.errors import PrecisionError
from export.quantize.float_chains import Chain, float_chains
from export.quantize.tflite_file import operators_of, packed, unpacked
from zoo.internals import tensorflow as internals


def quantize(data: bytes, patches: Sequence[np.ndarray], npu: bool = False) -> bytes:
    """Quantize a float file to int16 activations and int8 weights, input and output int16 too.

    Operators that have no such form, and chains that would lose too much in it, stay float between the others.

    Args:
        data: float32 TFLite file.
        patches: representative inputs.
        npu: no operator may stay float.

    Raises:
        PrecisionError: with ``npu`` for an operator that has no such form.
    """
    prepared = _with_own_values(data)
    with quiet():
        try:
            quantized = internals.quantize_int16(prepared, patches, allow_float=not npu)
        except RuntimeError as error:
            raise PrecisionError(f"tflite-int16: {str(error).strip().splitlines()[0]}; export tflite-int8") from None
    chains = () if npu else float_chains(prepared)
    return with_float_chains(quantized, prepared, chains) if chains else quantized


def _with_own_values(data: bytes) -> bytes:
    """A file in which no two operators share a bias, which would get the scale of only one, and no two tensors data."""
    model = unpacked(data)
    graph, seen = model.subgraphs[0], set()
    for (kind, inputs, _), operator in zip(operators_of(data), graph.operators, strict=True):
        place = {"TRANSPOSE_CONV": 3}.get(kind, 2)
        if kind not in ARITHMETIC_TFLITE or len(inputs) <= place or inputs[place] < 0:
            continue
        if inputs[place] in seen:
            bias = copy.deepcopy(graph.tensors[inputs[place]])
            bias.name += f"_{len(graph.tensors)}".encode()
            graph.tensors.append(bias)
            inputs[place] = len(graph.tensors) - 1
            operator.inputs = inputs
        seen.add(inputs[place])
    buffers = set()
    for tensor in graph.tensors:
        if tensor.buffer in buffers and model.buffers[tensor.buffer].data is not None:
            model.buffers.append(copy.deepcopy(model.buffers[tensor.buffer]))
            tensor.buffer = len(model.buffers) - 1
        buffers.add(tensor.buffer)
    return packed(model)


def with_float_chains(quantized: bytes, plain: bytes, chains: Sequence[Chain]) -> bytes:
    """A quantized file in which some chains of operators compute in float, between a DEQUANTIZE and a QUANTIZE.

    Args:
        quantized: made of ``plain`` by a quantizer that keeps the numbers of its tensors, and adds others behind them.
        plain: the float file.
        chains: of the float file; see ``export.quantize.float_chains``.
    """
    model, source = unpacked(quantized), unpacked(plain)
    graph = model.subgraphs[0]
    for chain in chains:
        graph.operators = [op for op in graph.operators if not set(chain.outputs) & set(map(int, op.outputs))]
        place = 1 + max((n for n, op in enumerate(graph.operators) if chain.origin in op.outputs), default=-1)
        graph.operators[place:place] = _in_float(model, source, chain)
    _remove_unread(graph)
    return packed(model)


def _in_float(model, source, chain) -> list:
    """New operators that compute a chain in float; their tensors are added to the model."""
    from ai_edge_litert import schema_py_generated as schema

    graph, plain = model.subgraphs[0], source.subgraphs[0]
    operators, place = [], {}
    if graph.tensors[chain.origin].type == schema.TensorType.FLOAT32:
        place[chain.origin] = chain.origin
    else:
        place[chain.origin] = _added(model, source, chain.origin)
        operators.append(_operator(model, "DEQUANTIZE", chain.origin, place[chain.origin]))
    for operator in plain.operators:
        if not set(chain.outputs) & set(map(int, operator.outputs)):
            continue
        computed = copy.deepcopy(operator)
        model.operatorCodes.append(copy.deepcopy(source.operatorCodes[operator.opcodeIndex]))
        computed.opcodeIndex = len(model.operatorCodes) - 1
        for i in map(int, (*operator.inputs, *operator.outputs)):
            if i >= 0 and i not in place:
                place[i] = _added(model, source, i)
        computed.inputs = [place.get(int(i), -1) for i in operator.inputs]
        (output,) = map(int, operator.outputs)
        operators.append(computed)
        if output not in chain.inner:
            if graph.tensors[output].type == plain.tensors[output].type:
                place[output] = output  # the quantizer left it float too, and quantizes it where it is read
            else:
                operators.append(_operator(model, "QUANTIZE", place[output], output))
        computed.outputs = [place[output]]
    return operators


def _added(model, source, number: int) -> int:
    """The number of a copy, in the model, of a tensor of the float file, with its values if it is a constant."""
    graph = model.subgraphs[0]
    tensor = copy.deepcopy(source.subgraphs[0].tensors[number])
    tensor.name += f"_float_{len(graph.tensors)}".encode()
    model.buffers.append(copy.deepcopy(source.buffers[tensor.buffer]))
    tensor.buffer = len(model.buffers) - 1
    graph.tensors.append(tensor)
    return len(graph.tensors) - 1


def _operator(model, kind: str, read: int, written: int):
    """A new operator between real numbers and integers."""
    from ai_edge_litert import schema_py_generated as schema

    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, kind)
    code.version = {"DEQUANTIZE": 3, "QUANTIZE": 2}[kind]  # the first that know int16
    model.operatorCodes.append(code)
    operator = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = len(model.operatorCodes) - 1, [read], [written]
    return operator


def _remove_unread(graph) -> None:
    """Take out the operators whose results nothing reads any more."""
    outputs = set(map(int, graph.outputs))
    while True:
        read = outputs | {int(i) for operator in graph.operators for i in operator.inputs}
        kept = [operator for operator in graph.operators if read & set(map(int, operator.outputs))]
        if len(kept) == len(graph.operators):
            return
        graph.operators = kept
