"""TFLite files put together operator by operator, without TensorFlow."""

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

OPTIONS = {
    "ADD": ("AddOptions", schema.AddOptionsT),
    "MUL": ("MulOptions", schema.MulOptionsT),
    "SUB": ("SubOptions", schema.SubOptionsT),
    "CONCATENATION": ("ConcatenationOptions", schema.ConcatenationOptionsT),
    "RESHAPE": ("ReshapeOptions", schema.ReshapeOptionsT),
    "ABS": ("AbsOptions", schema.AbsOptionsT),
    "LOG_SOFTMAX": ("LogSoftmaxOptions", schema.LogSoftmaxOptionsT),
}


def build(tensors, operators, inputs, outputs, dtype=np.float32) -> bytes:
    """A TFLite file.

    Args:
        tensors: name to shape, in order.
        operators: (kind, names of inputs, name of output); kinds are those of ``OPTIONS``.
        inputs, outputs: names of tensors.
        dtype: of all tensors, float32 or int8 (then with scale 1/16).
    """
    names = list(tensors)
    model, graph = schema.ModelT(), schema.SubGraphT()
    model.version, model.subgraphs, model.buffers = 3, [graph], [schema.BufferT()]
    kinds = sorted({kind for kind, *_ in operators})
    model.operatorCodes = []
    for kind in kinds:
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, kind)
        code.version = 1 if dtype == np.float32 else 2
        model.operatorCodes.append(code)
    graph.tensors = []
    for name, shape in tensors.items():
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.buffer = name, list(shape), 0
        tensor.type = schema.TensorType.FLOAT32 if dtype == np.float32 else schema.TensorType.INT8
        if dtype != np.float32:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale, tensor.quantization.zeroPoint = [1 / 16], [0]
        graph.tensors.append(tensor)
    graph.operators = []
    for kind, read, written in operators:
        operator = schema.OperatorT()
        operator.opcodeIndex = kinds.index(kind)
        operator.inputs, operator.outputs = [names.index(n) for n in read], [names.index(written)]
        option, make = OPTIONS[kind]
        operator.builtinOptionsType, operator.builtinOptions = getattr(schema.BuiltinOptions, option), make()
        if kind == "CONCATENATION":
            operator.builtinOptions.axis = -1
        if kind == "RESHAPE":
            operator.builtinOptions.newShape = list(tensors[written])
        graph.operators.append(operator)
    graph.inputs, graph.outputs = ([names.index(n) for n in chosen] for chosen in (inputs, outputs))
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def planned_by_litert(data: bytes) -> int:
    """Bytes from the first to the last address that LiteRT gives the tensors that its operators read and write."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        model_content=data, num_threads=1, experimental_op_resolver_type=OpResolverType.BUILTIN_REF
    )
    interpreter.allocate_tensors()
    used = {details["index"] for details in interpreter.get_input_details()}
    used |= {int(i) for details in interpreter._get_ops_details() for i in details["outputs"]}
    spans = []
    for index in used:
        values = interpreter.tensor(index)()
        start = values.__array_interface__["data"][0]
        spans.append((start, start + values.nbytes))
    return max(end for _, end in spans) - min(start for start, _ in spans)
