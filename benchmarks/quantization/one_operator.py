"""One operator on LiteRT, cut out of a file or made, and times of several in turn; for the benchmarks beside it."""

import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
# XNNPACK's threads spin for some time after a run.
PAUSE_S = 0.003
# One turn of a contestant: runs until this is spent, at least two.
TURN_S = 0.006


@dataclass(frozen=True)
class Cut:
    """An operator as a model of its own: ``kind`` and ``macs`` as in the file, ``shape`` of its output.

    ``channels`` are those of a convolution's or product's input and output.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    macs: int
    data: bytes
    channels: tuple[int, int] | None = None
    ms: float = 0.0

    def filled(self, tile: int) -> int:
        """Multiply-accumulates with input and output channels rounded up to whole tiles."""
        if not tile or self.channels is None:
            return self.macs
        return self.macs * math.prod(-(-n // tile) * tile for n in self.channels) // math.prod(self.channels)


def product(rows: int, inner: int, outputs: int, kind: str = "CONV_2D") -> Cut:
    """An int8 matrix product (rows x inner) x (inner x outputs), weights per channel, as one operator."""
    if kind == "CONV_2D":
        return replace(convolution((1, rows, 1, inner), (1, 1), outputs), name=f"{rows} x {inner} x {outputs}")
    options = ("FullyConnectedOptions", schema.FullyConnectedOptionsT())
    data = _operator(kind, options, (rows, inner), (outputs, inner), (rows, outputs))
    return Cut(f"{rows} x {inner} x {outputs}", kind, (rows, outputs), rows * inner * outputs, data, (inner, outputs))


def convolution(shape, kernel, outputs: int, strides=(1, 1)) -> Cut:
    """An int8 convolution with border and weights per channel as one operator.

    Args:
        shape: of its input, (batch, height, width, channels).
        kernel, strides: (height, width).
        outputs: channels.
    """
    options = schema.Conv2DOptionsT()
    options.strideH, options.strideW = strides
    count, height, width, inner = shape
    result = (count, -(-height // strides[0]), -(-width // strides[1]), outputs)
    data = _operator("CONV_2D", ("Conv2DOptions", options), shape, (outputs, *kernel, inner), result)
    return Cut(f"{inner} to {outputs}", "CONV_2D", result, math.prod((*result, *kernel, inner)), data, (inner, outputs))


def _operator(kind, options, source, weights, result) -> bytes:
    """A model of one operator with constant weights and bias, its tensors x, w, b and y."""
    random = np.random.default_rng(0)
    constants = {"w": random.integers(-127, 128, weights, np.int8), "b": np.zeros(weights[0], np.int32)}
    scales = {"x": 0.05, "w": 0.01, "b": 0.05 * 0.01, "y": 0.5}
    model, graph, code, operator = schema.ModelT(), schema.SubGraphT(), schema.OperatorCodeT(), schema.OperatorT()
    model.version, model.subgraphs, model.buffers, model.operatorCodes = 3, [graph], [schema.BufferT()], [code]
    code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, kind)
    code.version = 5
    graph.tensors, graph.operators, graph.inputs, graph.outputs = [], [operator], [0], [3]
    for name, shape in {"x": source, "w": weights, "b": weights[:1], "y": result}.items():
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.buffer = name, list(shape), 0
        tensor.type = schema.TensorType.INT32 if name == "b" else schema.TensorType.INT8
        tensor.quantization = schema.QuantizationParametersT()
        count = weights[0] if name in constants else 1
        tensor.quantization.scale, tensor.quantization.zeroPoint = [scales[name]] * count, [0] * count
        if name in constants:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(constants[name].tobytes(), np.uint8)
            tensor.buffer = len(model.buffers)
            model.buffers.append(buffer)
        graph.tensors.append(tensor)
    operator.opcodeIndex, operator.inputs, operator.outputs = 0, [0, 1, 2], [3]
    operator.builtinOptionsType, operator.builtinOptions = getattr(schema.BuiltinOptions, options[0]), options[1]
    return _packed(model)


def cuts(data: bytes) -> list[Cut]:
    """Every operator of a TFLite file's first graph as a model of its own."""
    from export.conversion.operators import read_tflite

    described = read_tflite(data)
    models = []
    for index, operator in enumerate(described):
        model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(bytearray(data), 0))
        graph = model.subgraphs[0]
        kept = graph.operators[index]
        # a kernel stored without its zeros comes from an operator that fills it up when the file is opened
        before = [
            op for op, description in zip(graph.operators, described, strict=True) if description.kind == "DENSIFY"
        ]
        before = [op for op in before if op.outputs[0] in kept.inputs]
        filled = {int(op.outputs[0]) for op in before}
        fed = [int(i) for i in kept.inputs if i >= 0 and model.buffers[graph.tensors[i].buffer].data is None]
        fed = [i for i in fed if i not in filled]
        if not fed:
            continue
        graph.operators, graph.inputs, graph.outputs = [*before, kept], list(dict.fromkeys(fed)), kept.outputs
        used = sorted({int(i) for op in graph.operators for i in (*op.inputs, *op.outputs) if i >= 0})
        place = {old: new for new, old in enumerate(used)}
        graph.tensors = [graph.tensors[i] for i in used]
        for holder, names in ((holder, ("inputs", "outputs")) for holder in (*graph.operators, graph)):
            for name in names:
                setattr(holder, name, [place.get(int(i), -1) for i in getattr(holder, name)])
        buffers = [schema.BufferT()]
        for tensor in graph.tensors:
            constant = model.buffers[tensor.buffer]
            tensor.buffer = 0 if constant.data is None else len(buffers)
            buffers += [] if constant.data is None else [constant]
        model.buffers, model.subgraphs, model.signatureDefs, model.metadata = buffers, [graph], None, None
        shape = tuple(int(n) for n in graph.tensors[graph.outputs[0]].shape)
        channels = None
        if operator.kind in ("CONV_2D", "FULLY_CONNECTED"):
            weights = graph.tensors[kept.inputs[1]].shape
            channels = (int(weights[-1]), int(weights[0]))
        models.append(Cut(operator.name, operator.kind, shape, operator.macs, _packed(model), channels))
    return models


def _packed(model) -> bytes:
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def opened(data: bytes, threads: int) -> Callable[[], None]:
    """A call that runs the model once; its inputs are random numbers of the tensors' whole range."""
    interpreter = Interpreter(model_content=data, num_threads=threads)
    interpreter.allocate_tensors()
    random = np.random.default_rng(0)
    for details in interpreter.get_input_details():
        kind = np.dtype(details["dtype"])
        shape = tuple(details["shape"])
        if kind.kind == "f":
            values = random.standard_normal(shape).astype(kind)
        else:
            limits = np.iinfo(kind) if kind.itemsize == 1 else np.iinfo(np.int8)
            values = random.integers(limits.min, limits.max, shape, kind, endpoint=True)
        interpreter.set_tensor(details["index"], values)
    return interpreter.invoke


def timed(data: dict[str, bytes], threads: int, rounds: int, clock: Callable[[], float]) -> dict[str, float]:
    """Median milliseconds of a run of each model, in turn; the first run of each turn is not counted."""
    calls = {name: opened(model, threads) for name, model in data.items()}
    spent = {name: [] for name in calls}
    for done in range(rounds + 1):
        for name, call in calls.items():
            time.sleep(PAUSE_S)
            call()
            turn = time.perf_counter()
            runs = 0
            while runs < 2 or (time.perf_counter() - turn < TURN_S and runs < 50):
                began = clock()
                call()
                if done:
                    spent[name].append(clock() - began)
                runs += 1
    return {name: 1e3 * float(np.median(times)) for name, times in spent.items()}
