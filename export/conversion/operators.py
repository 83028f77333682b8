"""What an artifact really holds, read back from the file: each operator, its precision and its multiply-accumulates."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from export.errors import PrecisionError
from export.quantize.onnx_data_movement import MOVES

ARITHMETIC_TFLITE = ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED", "BATCH_MATMUL", "CONV_3D",
                     "CONV_3D_TRANSPOSE")  # fmt: skip
ARITHMETIC_ONNX = ("Conv", "ConvTranspose", "MatMul", "Gemm")


@dataclass(frozen=True)
class Operator:
    """One operator of a model file.

    Attributes:
        kind: its type in the file's own words, "CONV_2D" or "Conv".
        name: its output tensor or node name.
        precision: "int8", "int16x8" (int16 activations, int8 weights), "float32", "float16" or the type of its data;
            "mixed ..." where data, weights and output differ.
        macs: multiply-accumulates for one patch; 0 for what is not a product of matrices.
    """

    kind: str
    name: str
    precision: str
    macs: int


def read_tflite(data: bytes) -> list[Operator]:
    """The operators of a TFLite file.

    Raises:
        PrecisionError: if the file holds TensorFlow (Flex) or custom operators, which a stock runtime cannot run.
    """
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(bytearray(data), 0))
    kinds = {value: name for name, value in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
    types = {value: name.lower() for name, value in vars(schema.TensorType).items() if not name.startswith("_")}
    foreign, operators = [], []
    for graph in model.subgraphs:
        for operator in graph.operators:
            code = model.operatorCodes[operator.opcodeIndex]
            kind = kinds[max(code.builtinCode, code.deprecatedBuiltinCode)]
            tensors = [graph.tensors[i] if i >= 0 else None for i in operator.inputs]
            output = graph.tensors[operator.outputs[0]]
            name = output.name.decode()
            if kind == "CUSTOM":
                foreign.append(f"{code.customCode.decode()} ({name})")
            data_types = {types[t.type] for t in [*_operands(kind, tensors), output]}
            precision = data_types.pop() if len(data_types) == 1 else "mixed " + "+".join(sorted(data_types))
            precision = "int16x8" if precision == "mixed int16+int8" else precision
            operators.append(Operator(kind, name, precision, _macs_tflite(kind, tensors, output)))
    if foreign:
        raise PrecisionError(f"operators that stock LiteRT does not have: {', '.join(foreign)}")
    return operators


def _operands(kind, tensors) -> list:
    """The data and weight tensors of an operator, without shapes, paddings and biases."""
    if kind == "TRANSPOSE_CONV":
        return tensors[1:3]
    if kind in ARITHMETIC_TFLITE:
        return tensors[:2]
    if kind in ("CONCATENATION", "ADD", "MUL", "SUB", "MAXIMUM", "MINIMUM", "PACK"):
        return [t for t in tensors if t is not None]
    return [] if kind in ("QUANTIZE", "DEQUANTIZE") else tensors[:1]


def _macs_tflite(kind, tensors, output) -> int:
    size = int(np.prod(() if output.shape is None else output.shape))
    if kind == "CONV_2D":
        _, kh, kw, inputs = tensors[1].shape
        return size * int(kh * kw * inputs)
    if kind == "DEPTHWISE_CONV_2D":
        _, kh, kw, _ = tensors[1].shape
        return size * int(kh * kw)
    if kind == "TRANSPOSE_CONV":
        outputs, kh, kw, _ = tensors[1].shape
        return int(np.prod(tensors[2].shape)) * int(outputs * kh * kw)
    if kind == "FULLY_CONNECTED":
        return size * int(tensors[1].shape[-1])
    if kind == "BATCH_MATMUL":
        return size * int(tensors[0].shape[-1])
    if kind == "CONV_3D":
        kd, kh, kw, inputs, _ = tensors[1].shape
        return size * int(kd * kh * kw * inputs)
    return 0


def read_onnx(model, fused: bool = False) -> list[Operator]:
    """The operators of an ONNX model; one between dequantize and quantize steps counts as int8.

    Args:
        model: ``onnx.ModelProto``.
        fused: as OpenVINO runs it, which moves integers where dequantized values are moved, and multiplies them where
            the sums leave as float. An activation behind an int8 product is part of that.
    """
    import onnx

    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
    values = (*inferred.graph.value_info, *inferred.graph.input, *inferred.graph.output)
    shapes = {value.name: tuple(d.dim_value for d in value.type.tensor_type.shape.dim) for value in values}
    types = {
        value.name: onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type).name for value in values
    }
    shapes |= {i.name: tuple(i.dims) for i in model.graph.initializer}
    dequantized = {n.output[0]: n.input[0] for n in model.graph.node if n.op_type == "DequantizeLinear"}
    integers = set(dequantized)
    consumers: dict[str, list] = {}
    for node in model.graph.node:
        for name in node.input:
            consumers.setdefault(name, []).append(node)
    operators = []
    for node in model.graph.node:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear", "Constant"):
            continue
        output = node.output[0]
        count = 2 if node.op_type in ARITHMETIC_ONNX else len(node.input) if fused and node.op_type == "Concat" else 1
        integer = all(name in integers for name in node.input[:count])
        if fused and node.op_type in MOVES:
            integers |= set(node.output) if integer else set()
        elif fused and node.op_type in ARITHMETIC_ONNX:
            users = consumers.get(output, [])
            fuses = integer and [user.op_type for user in users] in (["Relu"], ["Clip"])
            integers |= {output} if fuses else set()
        else:
            integer = integer and _leads_to(output, "QuantizeLinear", consumers)
        precision = "int8" if integer else types.get(output, "float32")
        precision = "int8" if precision == "uint8" else precision
        source = {name: shapes.get(name) or shapes.get(dequantized.get(name, "")) for name in node.input[:2]}
        weights = source.get(node.input[1]) if len(node.input) > 1 else None
        operators.append(
            Operator(node.op_type, node.name or output, precision, _macs_onnx(node, source, weights, shapes))
        )
    return operators


def _leads_to(tensor, kind, consumers) -> bool:
    """Whether every consumer of ``tensor`` is a node of ``kind``, a fused activation between them allowed."""
    users = consumers.get(tensor, [])
    return bool(users) and all(
        user.op_type == kind or (user.op_type in ("Relu", "Clip") and _leads_to(user.output[0], kind, consumers))
        for user in users
    )


def _macs_onnx(node, source, weights, shapes) -> int:
    output = shapes.get(node.output[0])
    if not weights or not output:
        return 0
    if node.op_type == "Conv":
        return int(np.prod(output)) * int(np.prod(weights[1:]))
    if node.op_type == "ConvTranspose":
        return int(np.prod(source[node.input[0]])) * int(np.prod(weights[1:]))
    if node.op_type in ("MatMul", "Gemm"):
        return int(np.prod(output)) * int(weights[-2])
    return 0


def check_integer(operators: list[Operator], format_name: str, precision: str = "int8", floats: int = 0) -> None:
    """Refuse an integer artifact in which any convolution or matrix product is not integer.

    Args:
        operators: of the file.
        format_name: for the message.
        precision: what each must have.
        floats: number of operators that were allowed to stay float.

    Raises:
        PrecisionError: naming the operators.
    """
    wrong = [op for op in operators if op.macs and op.precision != precision]
    if len(wrong) <= floats:
        wrong = []
    if wrong or not any(op.macs for op in operators):
        names = ", ".join(f"{op.name} ({op.kind}, {op.precision})" for op in wrong[:8]) or "no convolution at all"
        more = f" and {len(wrong) - 8} more" if len(wrong) > 8 else ""
        raise PrecisionError(
            f"{format_name}: expected {precision}, got {names}{more}; export float32, or change these layers"
        )


def check_runtime_integer(model, floats: int = 0) -> None:
    """Refuse an int8 ONNX model of which ONNX Runtime, after its own fusions, would run a convolution in float.

    Args:
        model: QDQ ``onnx.ModelProto``.
        floats: number of operators that were allowed to stay float.

    Raises:
        PrecisionError: naming the operators.
    """
    import tempfile
    from pathlib import Path

    import onnx
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.log_severity_level = 4
    with tempfile.TemporaryDirectory() as folder:
        options.optimized_model_filepath = str(Path(folder) / "optimized.onnx")
        onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        optimized = onnx.load(options.optimized_model_filepath)
    wrong = [f"{n.name} ({n.op_type})" for n in optimized.graph.node if n.op_type in (*ARITHMETIC_ONNX, "FusedConv")]
    if len(wrong) > floats:
        raise PrecisionError(f"onnx-int8: ONNX Runtime would run in float: {', '.join(wrong[:8])}")


def count(operators: list[Operator]) -> dict[str, dict[str, int]]:
    """Operators by type and precision, for the manifest."""
    table: dict[str, Counter] = {}
    for operator in operators:
        table.setdefault(operator.kind, Counter())[operator.precision] += 1
    return {kind: dict(sorted(counts.items())) for kind, counts in sorted(table.items())}


def integer_share(operators: list[Operator]) -> float:
    """Share of the multiply-accumulates that are int8, 0 to 1."""
    total = sum(op.macs for op in operators)
    return sum(op.macs for op in operators if op.precision == "int8") / total if total else 0.0
