"""ai-edge-quantizer beside the quantizer of TensorFlow that ``tflite-int8`` calls: error, operators, size.

    pip install ai-edge-quantizer
    python benchmarks/dependencies/tflite_quantizers.py unet unet3d mobile_unet3d

Both quantize the same rewritten network with the extremes of the same four patches. The error is the root mean square
of int8 against Keras over the standard deviation of the logits; operators are counted in the files.
"""

import argparse
import importlib.metadata
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "export")]


def with_signature(data: bytes) -> bytes:
    """A TFLite file with the signature that ai-edge-quantizer needs."""
    from ai_edge_litert import schema_py_generated as schema

    from export.quantize.tflite_file import packed, unpacked

    model = unpacked(data)
    graph, signature = model.subgraphs[0], schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = b"serving_default", 0
    signature.inputs, signature.outputs = ([schema.TensorMapT()], [schema.TensorMapT()])
    for entry, name, tensor in (
        (signature.inputs, b"image", graph.inputs),
        (signature.outputs, b"logits", graph.outputs),
    ):
        entry[0].name, entry[0].tensorIndex = name, int(tensor[0])
    model.signatureDefs = [signature]
    return bytes(packed(model))


def by_ai_edge(model, patches) -> bytes:
    """The int8 file of ai-edge-quantizer's own static recipe."""
    from ai_edge_litert.interpreter import Interpreter
    from ai_edge_quantizer import quantizer, recipe

    from export.conversion import tflite
    from export.formats import find_format
    from export.rewrite import Layout, rewrite

    flat = rewrite(model, model.input_shape[1:-1], Layout(True, "batch"))
    plain = with_signature(tflite.to_tflite(flat, find_format("tflite-float32")))
    shape = Interpreter(model_content=plain).get_input_details()[0]["shape"]
    work = quantizer.Quantizer(plain, recipe.static_wi8_ai8())
    ranges = work.calibrate({"serving_default": [{"image": patch.reshape(shape)} for patch in patches]})
    return bytes(work.quantize(ranges).quantized_model)


def logits(data: bytes, patch: np.ndarray) -> np.ndarray:
    """Of one patch, float32 as the file shapes them."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=data, num_threads=1)
    interpreter.allocate_tensors()
    (image,), (output,) = interpreter.get_input_details(), interpreter.get_output_details()
    values = patch.reshape(image["shape"])
    if image["dtype"] == np.int8:
        scale, zero = image["quantization"]
        values = np.clip(np.round(values / scale + zero), -128, 127).astype(np.int8)
    interpreter.set_tensor(image["index"], values)
    interpreter.invoke()
    result, (scale, zero) = interpreter.get_tensor(output["index"]).astype(np.float32), output["quantization"]
    return (result - zero) * scale if scale else result


def row(name: str, by: str, data: bytes, patch, expected) -> str:
    """A line of the table."""
    from export.conversion.operators import read_tflite

    operators = read_tflite(data)
    error = np.sqrt(np.mean(np.square(logits(data, patch).reshape(expected.shape) - expected))) / expected.std()
    moved = sum(op.kind in ("QUANTIZE", "DEQUANTIZE") for op in operators)
    floats = sorted({op.kind for op in operators if op.precision != "int8"} - {"QUANTIZE", "DEQUANTIZE"})
    cells = (name, by, f"{error:.4f}", len(operators), moved, ", ".join(floats) or "none", f"{len(data) / 1e3:.0f}")
    return "| " + " | ".join(map(str, cells)) + " |"


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", nargs="+", help="entries, see zoo models")
    args = parser.parse_args()
    import harness
    import keras
    from export_running import patches

    import export

    peer = f"ai-edge-quantizer {importlib.metadata.version('ai-edge-quantizer')}"
    print("| network | by | error | operators | of them conversions | in float | kB |\n|---|---|---|---|---|---|---|")
    for name in args.network:
        keras.backend.clear_session()
        model = harness.small_model(name)
        images = patches(model.input_shape[1:], 4)
        expected = harness.predict(model, images[0][None])[0]
        ours = export.convert(model, "tflite-int8", calibration=images, method="minmax").data
        for by, data in (("TensorFlow, as exported", ours), (peer, by_ai_edge(model, images))):
            print(row(name, by, data, images[0], expected), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
