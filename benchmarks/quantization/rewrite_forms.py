"""What each form of a 3D layer's rewrite costs in int8, on LiteRT and ONNX Runtime.

    python benchmarks/quantization/rewrite_forms.py
    python benchmarks/quantization/without_amx.py python benchmarks/quantization/rewrite_forms.py --size 32

Forms, as export.rewrite.Layout has them: slice by slice; slices of depth, and columns where zeros of a kernel need not
be stored, side by side in the channels for a matrix product of so many input and output channels; slice by slice with
transposed convolutions kept (as for NPUs). Rows are chains of layers as networks have them, so that what a form saves
or costs the next layer is in its time; the first axis of the volume is the one that is folded, and the last rows fold
another one of a volume of unequal axes.

The time is that of the processor in one thread, the least of several runs, the forms in turn; so it may be taken while
other programs run. Prints a Markdown table, times in ms; about five minutes.
"""

import argparse
import os
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def forms():
    """The forms by name."""
    from export.rewrite import Layout
    from export.rewrite.blocks.choice import Unit

    return {
        "slices": Layout(subpixel=True),
        "8 × 16": Layout(subpixel=True, unit=Unit(8, 16)),
        "64 × 32": Layout(subpixel=True, unit=Unit(64, 32, True)),
        "64 × 64": Layout(subpixel=True, unit=Unit(64, 64, True)),
        "transposed": Layout(),
    }


def cases(size: int) -> dict:
    """(shape, network) by name."""
    from keras import layers

    def conv(filters, kernel=3):
        return layers.Conv3D(filters, kernel, padding="same", activation="relu")

    def two(filters):
        return lambda x: conv(filters)(conv(filters)(x))

    def down_and_up(x):
        skip = conv(16)(x)
        up = layers.Conv3DTranspose(16, 2, strides=2)(conv(32)(layers.MaxPooling3D(2)(skip)))
        return conv(16)(layers.Concatenate()([up, skip]))

    half, quarter, flat = size // 2, size // 4, (size // 2, size, size * 2)
    volumes = {
        "1 to 16 and 16 to 16": ((size, size, size, 1), two(16)),
        "16 to 16, twice": ((size, size, size, 16), two(16)),
        "32 to 32, twice": ((half, half, half, 32), two(32)),
        "64 to 64, twice": ((quarter, quarter, quarter, 64), two(64)),
        "16 to 16, then 1×1×1 to 3": ((size, size, size, 16), lambda x: layers.Conv3D(3, 1)(conv(16)(x))),
        "pooling 2": ((size, size, size, 16), lambda x: conv(32)(layers.MaxPooling3D(2)(conv(16)(x)))),
        "transposed 2": ((half, half, half, 32), lambda x: conv(16)(layers.Conv3DTranspose(16, 2, strides=2)(x))),
        "down, up and joined": ((size, size, size, 16), down_and_up),
    }
    for which, axes in (("shortest", (0, 1, 2)), ("middle", (1, 0, 2)), ("longest", (2, 0, 1))):
        shape = tuple(flat[axis] for axis in axes)
        volumes[f"16 to 16, twice; the {which} axis folded"] = ((*shape, 16), two(16))
    return volumes


def files(shape, build, form) -> dict[str, bytes]:
    """The int8 files of a network by runtime."""
    import keras

    from export.conversion import onnx
    from export.quantize import quantization
    from export.rewrite import rewrite

    image = keras.Input(shape)
    keras.utils.set_random_seed(0)
    flat = rewrite(keras.Model(image, build(image)), shape[:-1], form)
    patches = [np.random.default_rng(0).normal(size=shape).astype(np.float32)]
    return {
        "tflite": quantization.TFLiteNetwork(flat, patches).quantize("minmax"),
        "onnx": quantization.OnnxNetwork(onnx.to_onnx(flat), patches).quantize("minmax").SerializeToString(),
    }


def opened(runtime: str, data: bytes):
    """A call that runs the file once in one thread."""
    if runtime == "tflite":
        from ai_edge_litert.interpreter import Interpreter

        interpreter = Interpreter(model_content=data, num_threads=1)
        interpreter.allocate_tensors()
        return interpreter.invoke
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    image = session.get_inputs()[0]
    feed = {image.name: np.zeros(image.shape, np.float32)}
    return lambda: session.run(None, feed)


def least_ms(runs: list, rounds: int) -> list[float]:
    """The least processor time of each call, the calls in turn."""
    best = [float("inf")] * len(runs)
    for turn in range(rounds + 2):
        for i, run in enumerate(runs):
            start = time.thread_time()
            run()
            if turn >= 2:
                best[i] = min(best[i], time.thread_time() - start)
    return [1e3 * seconds for seconds in best]


def main():
    """Time every form of every case and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=48, help="of the largest volumes, voxels (default: 48)")
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--only", default="", metavar="WORDS", help="cases whose names hold these words")
    args = parser.parse_args()
    names = list(forms())
    print(f"| layers | runtime | {' | '.join(names)} |\n|---|---|{'---|' * len(names)}", flush=True)
    for case, (shape, build) in cases(args.size).items():
        if args.only not in case:
            continue
        made = [files(shape, build, form) for form in forms().values()]
        for runtime in ("tflite", "onnx"):
            times = least_ms([opened(runtime, by_runtime[runtime]) for by_runtime in made], args.rounds)
            size = " × ".join(map(str, shape[:-1]))
            cells = " | ".join(f"**{ms:.2f}**" if ms == min(times) else f"{ms:.2f}" for ms in times)
            print(f"| {case}, {size} | {runtime} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
