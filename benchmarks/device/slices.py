"""Whether slices of a volume are quicker through a 2D network some at once: a batch, or a thread for each of them.

    python benchmarks/device/slices.py
    python benchmarks/device/slices.py unet-hc18 artifacts/hc18/onnx-int8 artifacts/hc18/openvino-int8

Prints a Markdown row an artifact: milliseconds a slice (median of interleaved rounds) one by one with all threads, as
the device runs them, in batches, and in as many one-thread copies of the network as there are threads. A file of a
fixed batch is reshaped by its runtime; "-" where that cannot. "values" says whether all ways answer alike, bit for bit.
"""

import argparse
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from edge.manifest import load_manifest
from edge.runtime.runner import choose_runtime
from edge.shipped import locate
from medseg.archives import read_gzip

BATCHES = (2, 4, 8)
SLICES = 16


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("artifacts", nargs="*", default=["unet-hc18", "mobile_unet-hc18"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    batched = " | ".join(f"batch {size}" for size in BATCHES)
    print(f"| artifact | runtime | one by one, ms | {batched} | {args.threads} × 1 thread | values |")
    print("|---" * (5 + len(BATCHES)) + "|")
    for artifact in args.artifacts:
        print(row(artifact, args.threads, args.rounds), flush=True)


def row(artifact, threads: int, rounds: int) -> str:
    """The line of one artifact."""
    folder = locate(artifact)
    manifest = load_manifest(folder)
    model, runtime = folder / manifest.model, choose_runtime(manifest.format)
    content = read_gzip(model) if model.suffix == ".gz" else model.read_bytes()
    slices = inputs(manifest)
    ways = ways_of(OPENERS[runtime], content, manifest.input.shape, slices, threads)
    times, answers = {name: [] for name in ways}, {}
    for _ in range(rounds):
        for name, run in ways.items():
            start = time.perf_counter()
            answers[name] = run()
            times[name].append(1e3 * (time.perf_counter() - start) / SLICES)
    names = ["one by one", *(f"batch {size}" for size in BATCHES), "apart"]
    cells = [f"{np.median(times[name]):.1f}" if name in times else "-" for name in names]
    alike = all(np.array_equal(answers["one by one"], answer) for answer in answers.values())
    label = folder.name if Path(artifact).exists() else artifact
    return f"| {label} | {runtime} | {' | '.join(cells)} | {'equal' if alike else 'differ'} |"


def inputs(manifest) -> np.ndarray:
    """As many slices as are timed, (SLICES, *patch, C), in the type that the file stores."""
    random, shape = np.random.default_rng(0), (SLICES, *manifest.input.shape[1:])
    dtype = np.dtype(manifest.input.dtype)
    if dtype.kind == "f":
        return random.standard_normal(shape).astype(dtype)
    limits = np.iinfo(dtype)
    return random.integers(limits.min, limits.max, shape, dtype, endpoint=True)


def ways_of(opener, content, shape, slices, threads: int) -> dict:
    """Functions that answer for all slices, by the name of the way."""

    def in_batches(run, size):
        return lambda: np.concatenate([run(slices[at : at + size]) for at in range(0, SLICES, size)])

    ways = {"one by one": in_batches(opener(content, shape, 1, threads), 1)}
    for size in BATCHES:
        try:
            run = opener(content, shape, size, threads)
            run(slices[:size])
        except Exception as error:  # the runtimes' errors share no other class; the table shows that there was one
            print(f"batch {size}: {one_line(error)}", file=sys.stderr)
            continue
        ways[f"batch {size}"] = in_batches(run, size)
    copies, pool = [opener(content, shape, 1, 1) for _ in range(threads)], ThreadPoolExecutor(threads)

    def work(copy):
        return {at: copies[copy](slices[at : at + 1]) for at in range(copy, SLICES, threads)}

    def apart():
        answers = {}
        for part in pool.map(work, range(threads)):
            answers |= part
        return np.concatenate([answers[at] for at in range(SLICES)])

    return {**ways, "apart": apart}


def one_line(error) -> str:
    """What a runtime says, in one line."""
    return (str(error).strip() or type(error).__name__).split("\n")[0][:150]


def open_litert(content, shape, batch: int, threads: int):
    """A TFLite file whose input is resized to a batch."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content, num_threads=threads)
    place = interpreter.get_input_details()[0]["index"]
    if batch > 1:
        interpreter.resize_tensor_input(place, [batch, *shape[1:]])
    interpreter.allocate_tensors()
    answer = interpreter.get_output_details()[0]["index"]

    def run(values):
        interpreter.set_tensor(place, values)
        interpreter.invoke()
        return interpreter.get_tensor(answer)

    return run


def open_onnx_runtime(content, shape, batch: int, threads: int):
    """An ONNX file whose input and output are declared anew with a batch of any size."""
    import onnx
    import onnxruntime

    model = onnx.load_from_string(content)
    if batch > 1:
        del model.graph.value_info[:]
        for tensor in (*model.graph.input, *model.graph.output):
            tensor.type.tensor_type.shape.dim[0].dim_param = "batch"
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda values: session.run(None, {name: values})[0]


def open_openvino(content, shape, batch: int, threads: int):
    """An ONNX file in OpenVINO, reshaped to a batch."""
    import openvino

    from edge.runtime.openvino import settings

    core = openvino.Core()
    model = core.read_model(content)
    model.reshape([batch, *shape[1:]])
    request = core.compile_model(model, "CPU", settings(threads)).create_infer_request()
    return lambda values: next(iter(request.infer([values]).values())).copy()


OPENERS = {"litert": open_litert, "onnxruntime": open_onnx_runtime, "openvino": open_openvino}


if __name__ == "__main__":
    main()
