"""How much of the machine's int8 peak an int8 TFLite artifact reaches, and where the rest of the time goes.

    python benchmarks/peak_share.py artifacts/hippocampus-fold0/tflite-int8
    python benchmarks/peak_share.py artifacts/volume48/tflite-int8 --macs 5.9e9 --threads 1 --threads 2

The peak is the best rate of large int8 matrix products (1 x 1 convolutions and fully connected layers of several
sizes) on the same runtime, LiteRT with XNNPACK, in the same process and in turn with the network. Each operator of the
file is cut out as a model of its own and timed too: on its own it finds its input in the cache more often, so that the
operators' sum may be less than the whole. The share of the whole network counts the multiply-accumulates of the
network before the rewrite, which the onnx-float32 artifact beside it (native 3D) or --macs tells.

Prints Markdown tables; about a minute for each number of threads. Nothing else should run meanwhile.
"""

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

# Rows, inner and output channels of the products; more rows than fit a cache would measure memory.
PRODUCTS = ((1024, 512, 512), (4096, 256, 256), (4096, 512, 512), (2048, 1024, 1024), (512, 2048, 2048))
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
# XNNPACK's threads spin for some time after a run.
PAUSE_S = 0.003
# One turn of a contestant: runs until this is spent, at least two.
TURN_S = 0.006


@dataclass(frozen=True)
class Cut:
    """An operator as a model of its own: ``kind`` and ``macs`` as in the file, ``shape`` of its output."""

    name: str
    kind: str
    shape: tuple[int, ...]
    macs: int
    data: bytes
    ms: float = 0.0


def product(rows: int, inner: int, outputs: int, kind: str = "CONV_2D") -> Cut:
    """An int8 matrix product (rows x inner) x (inner x outputs), weights per channel, as one operator."""
    if kind == "CONV_2D":
        return replace(convolution((1, rows, 1, inner), (1, 1), outputs), name=f"{rows} x {inner} x {outputs}")
    options = ("FullyConnectedOptions", schema.FullyConnectedOptionsT())
    data = _operator(kind, options, (rows, inner), (outputs, inner), (rows, outputs))
    return Cut(f"{rows} x {inner} x {outputs}", kind, (rows, outputs), rows * inner * outputs, data)


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
    return Cut(f"{inner} to {outputs}", "CONV_2D", result, math.prod((*result, *kernel, inner)), data)


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
    from export.operators import read_tflite

    described = read_tflite(data)
    found = []
    for index, operator in enumerate(described):
        model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(bytearray(data), 0))
        graph = model.subgraphs[0]
        kept = graph.operators[index]
        fed = [int(i) for i in kept.inputs if i >= 0 and model.buffers[graph.tensors[i].buffer].data is None]
        if not fed:
            continue
        graph.operators, graph.inputs, graph.outputs = [kept], list(dict.fromkeys(fed)), kept.outputs
        used = sorted({int(i) for i in (*kept.inputs, *kept.outputs) if i >= 0})
        place = {old: new for new, old in enumerate(used)}
        graph.tensors = [graph.tensors[i] for i in used]
        for holder, names in ((kept, ("inputs", "outputs")), (graph, ("inputs", "outputs"))):
            for name in names:
                setattr(holder, name, [place.get(int(i), -1) for i in getattr(holder, name)])
        buffers = [schema.BufferT()]
        for tensor in graph.tensors:
            constant = model.buffers[tensor.buffer]
            tensor.buffer = 0 if constant.data is None else len(buffers)
            buffers += [] if constant.data is None else [constant]
        model.buffers, model.subgraphs, model.signatureDefs, model.metadata = buffers, [graph], None, None
        shape = tuple(int(n) for n in graph.tensors[graph.outputs[0]].shape)
        found.append(Cut(operator.name, operator.kind, shape, operator.macs, _packed(model)))
    return found


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


def native_macs(artifact: Path) -> int:
    """Multiply-accumulates of the network before the rewrite, from the native-3D artifact beside ``artifact``."""
    from edge.manifest import load_manifest

    beside = artifact.parent / "onnx-float32"
    if not (beside / "manifest.json").is_file():
        raise SystemExit(f"{beside}: holds no artifact that would tell the network's MACs; export it, or give --macs")
    manifest = load_manifest(beside)
    if manifest.patch != load_manifest(artifact).patch:
        raise SystemExit(f"{beside}: has another patch than {artifact}; give --macs")
    return int(manifest.source["macs"])


def measure(data: bytes, threads: int, rounds: int, clock=time.perf_counter) -> tuple[float, list[Cut], list[Cut]]:
    """Milliseconds of the whole network; the operators; the products that the peak is the best of."""
    operators = cuts(data)
    products = [product(*sizes, kind) for kind in ("CONV_2D", "FULLY_CONNECTED") for sizes in PRODUCTS]
    models = {"network": data} | {f"product {i}": p.data for i, p in enumerate(products)}
    whole = timed(models, threads, 2 * rounds, clock)
    parts = timed({f"operator {i}": op.data for i, op in enumerate(operators)}, threads, rounds, clock)
    products = [replace(p, ms=whole[f"product {i}"]) for i, p in enumerate(products)]
    operators = [replace(op, ms=parts[f"operator {i}"]) for i, op in enumerate(operators)]
    return whole["network"], operators, products


def rate(cut: Cut) -> float:
    """Multiply-accumulates a second, in 10^9."""
    return cut.macs / cut.ms / 1e6


def report(whole: float, operators: list[Cut], products: list[Cut], macs: int) -> str:
    """The tables in Markdown."""
    best = max(products, key=rate)
    peak = rate(best)
    lines = ["| int8 product | kind | ms | GMAC/s |", "|---|---|---:|---:|"]
    lines += [f"| {p.name} | {p.kind} | {p.ms:.2f} | {rate(p):.0f} |" for p in products]
    lines += [
        "",
        f"Peak {peak:.0f} GMAC/s ({best.kind}, {best.name}). The whole network: {macs / 1e9:.2f} GMAC in "
        f"{whole:.2f} ms, {macs / whole / 1e6:.0f} GMAC/s, **{macs / whole / 1e6 / peak:.1%} of the peak**.",
        "",
        "| operator | output | MMAC | ms | of the sum | of the peak |",
        "|---|---|---:|---:|---:|---:|",
    ]
    total = sum(op.ms for op in operators)
    for op in operators:
        name = op.name.split(";")[0].split("/", 1)[-1]
        share = f"{rate(op) / peak:.0%}" if op.macs else ""
        size = f"{op.macs / 1e6:.0f}" if op.macs else ""
        lines.append(
            f"| {op.kind} {name} | {' × '.join(map(str, op.shape))} | {size} | {op.ms:.3f} | {op.ms / total:.1%} "
            f"| {share} |"
        )
    return "\n".join([*lines, "", *where(whole, operators, macs, peak)])


def where(whole: float, operators: list[Cut], macs: int, peak: float) -> list[str]:
    """Where the time goes: what the peak would need, what convolutions lose, each other kind, what is left."""
    products = [op for op in operators if op.macs]
    done = sum(op.macs for op in products)
    spent = sum(op.ms for op in products)
    rows = [("the network's multiply-accumulates at the peak", macs / peak / 1e6)]
    rows += [("multiply-accumulates that the rewrite added, at the peak", (done - macs) / peak / 1e6)]
    rows += [(f"{len(products)} convolutions and products below the peak", spent - done / peak / 1e6)]
    kinds = sorted({op.kind for op in operators if not op.macs})
    for kind in kinds:
        same = [op.ms for op in operators if op.kind == kind and not op.macs]
        rows.append((f"{kind}, {len(same)} operators", sum(same)))
    rows.append(("the whole less the sum of its operators", whole - sum(op.ms for op in operators)))
    lines = ["| where the time goes | ms | of the whole |", "|---|---:|---:|"]
    lines += [f"| {name} | {ms:.2f} | {ms / whole:.1%} |" for name, ms in rows]
    return [*lines, f"| the whole network | {whole:.2f} | 100.0% |"]


def main():
    """Measure for each number of threads and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("artifact", type=Path, help="tflite-int8 artifact folder")
    parser.add_argument("--threads", type=int, action="append", help="may be repeated (default: 1 and 2)")
    parser.add_argument("--rounds", type=int, default=15, help="turns of each operator (default 15), of the whole two")
    parser.add_argument("--macs", type=float, help="multiply-accumulates of the network before the rewrite")
    parser.add_argument(
        "--clock", choices=tuple(CLOCKS), default="wall", help="cpu: of all threads, for a busy machine and one thread"
    )
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    args = parser.parse_args()
    from edge.manifest import load_manifest

    manifest = load_manifest(args.artifact)
    if manifest.format != "tflite-int8":
        raise SystemExit(f"{args.artifact}: is {manifest.format}; give a tflite-int8 artifact")
    macs = int(args.macs) if args.macs else native_macs(args.artifact)
    data = (args.artifact / manifest.model).read_bytes()
    found = {}
    for threads in args.threads or (1, 2):
        whole, operators, products = measure(data, threads, args.rounds, CLOCKS[args.clock])
        if args.json:
            rows = [{key: getattr(op, key) for key in ("name", "kind", "shape", "macs", "ms")} for op in operators]
            peak = max(map(rate, products))
            found[threads] = {"ms": whole, "macs": macs, "peak_gmac_s": peak, "operators": rows}
            found[threads]["share"] = macs / whole / 1e6 / peak
            continue
        patch = " × ".join(map(str, manifest.patch))
        print(f"## {manifest.name}, patch {patch}, {threads} threads of {os.cpu_count()} cores\n")
        print(report(whole, operators, products, macs) + "\n", flush=True)
    if args.json:
        print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
