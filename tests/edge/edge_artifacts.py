"""Artifact folders for the edge tests: networks whose answer is known in closed form."""

import dataclasses
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from edge.manifest import Manifest, Tensor
from imaging.labels import Label
from imaging.recipe import Normalise, Recipe
from medseg import record

ROOT = Path(__file__).parents[2]
LABELS = (Label("background", 0), Label("core", 7), Label("rim", 300))
# "fixed" with mean 0 and deviation 1 leaves intensities as they are.
PLAIN = Normalise("fixed", (0.0,), (1.0,))
VOLUME = Recipe(3, orientation="RAS", normalise=PLAIN)
FLAT = Recipe(2, normalise=PLAIN)


def classes_of(intensity):
    """What the graded networks answer: class index by intensity (logits 0, 4x - 2 and 8x - 10)."""
    return np.digitize(intensity, [0.5, 2.0])


def values_of(intensity):
    """The same as label values."""
    return np.array([label.value for label in LABELS])[classes_of(intensity)]


def graded_scan(shape, seed=0):
    """Blocky intensities 0, 1 and 3, far from the limits of the classes, so that int8 answers as float does."""
    random = np.random.default_rng(seed)
    coarse = random.choice([0.0, 1.0, 3.0], size=[-(-n // 3) for n in shape])
    for axis in range(len(shape)):
        coarse = np.repeat(coarse, 3, axis)
    return coarse[tuple(slice(n) for n in shape)].astype(np.float32)


def build_tflite(folder):
    """Run build_tflite.py into ``folder``."""
    subprocess.run(
        [sys.executable, str(Path(__file__).with_name("build_tflite.py")), str(folder)],
        check=True,
        capture_output=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"},
    )


def build_onnx(path, shape, stored="float32"):
    """The graded network as ONNX: channel last, so a matrix product; ``stored`` "uint8" quantises input and output.

    Returns:
        (scale, zero point) of input and output.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    kernel, bias = np.array([[0, 4, 8]], np.float32), np.array([0, -2, -10], np.float32)
    weights = [numpy_helper.from_array(kernel, "kernel"), numpy_helper.from_array(bias, "bias")]
    nodes = [helper.make_node("MatMul", ["x", "kernel"], ["p"]), helper.make_node("Add", ["p", "bias"], ["y"])]
    kind, quantization = TensorProto.FLOAT, ((0.0, 0), (0.0, 0))
    inputs, outputs = "x", "y"
    if stored == "uint8":
        kind, quantization = TensorProto.UINT8, ((0.02, 60), (0.2, 70))
        for name, (scale, zero) in zip("xy", quantization, strict=True):
            weights.append(numpy_helper.from_array(np.float32(scale), f"{name}_scale"))
            weights.append(numpy_helper.from_array(np.uint8(zero), f"{name}_zero"))
        nodes.insert(0, helper.make_node("DequantizeLinear", ["xq", "x_scale", "x_zero"], ["x"]))
        nodes.append(helper.make_node("QuantizeLinear", ["y", "y_scale", "y_zero"], ["yq"]))
        inputs, outputs = "xq", "yq"
    graph = helper.make_graph(
        nodes,
        "graded",
        [helper.make_tensor_value_info(inputs, kind, shape)],
        [helper.make_tensor_value_info(outputs, kind, (*shape[:-1], 3))],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return quantization


def tflite_tensors(path):
    """Input and output of a TFLite file as the manifest describes them."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path))
    interpreter.allocate_tensors()
    return tuple(
        Tensor(
            details["name"],
            tuple(int(n) for n in details["shape"]),
            np.dtype(details["dtype"]).name,
            float(details["quantization"][0]),
            int(details["quantization"][1]),
        )
        for details in (interpreter.get_input_details()[0], interpreter.get_output_details()[0])
    )


def write_artifact(folder, model, tensors, recipe, folded, file_format, labels=LABELS, overlap=0.5, form=""):
    """Lay out an artifact folder around the bytes of a model; returns the folder."""
    folder.mkdir(parents=True)
    name = "model.onnx" if file_format.startswith("onnx") else "model.tflite"
    (folder / name).write_bytes(model)
    first, second = tensors
    manifest = Manifest(
        name=folder.name,
        format=file_format,
        model=name,
        sha256=hashlib.sha256(model).hexdigest(),
        recipe=recipe,
        patch=(8, 16, 12) if form else first.shape[:-1] if folded else first.shape[1:-1],
        overlap=overlap,
        labels=labels if form else labels[: second.shape[-1]],
        channels=tuple(f"channel {i}" for i in range(recipe.channels)),
        folded=folded,
        form=form,
        input=first,
        output=second,
        source={"network": "closed form"},
    )
    record.save(folder / "manifest.json", manifest)
    return folder


def build_all(folder):
    """All artifacts: a folder under ``folder`` each, of its name."""
    built = folder / "models"
    built.mkdir()
    build_tflite(built)
    two = dataclasses.replace(FLAT, channels=2, normalise=Normalise("fixed", (0.0, 0.0), (1.0, 1.0)))
    for name, recipe, folded, file_format in (
        ("folded-int8", VOLUME, True, "tflite-int8"),
        ("folded-uint8", VOLUME, True, "tflite-int8"),
        ("height-int8", VOLUME, False, "tflite-int8"),
        ("channels-int8", VOLUME, False, "tflite-int8"),
        ("native-float", VOLUME, False, "tflite-float32"),
        ("flat-int8", FLAT, False, "tflite-int8"),
        ("next-slice", dataclasses.replace(VOLUME, orientation=None), True, "tflite-float32"),
        ("two-channels", two, False, "tflite-float32"),
    ):
        path, form = built / f"{name}.tflite", name.split("-")[0]
        write_artifact(
            folder / name, path.read_bytes(), tflite_tensors(path), recipe, folded, file_format,
            form=form if form in ("height", "channels") else "",
        )  # fmt: skip
    for name, shape, stored, file_format in (
        ("onnx-folded-uint8", (8, 16, 12, 1), "uint8", "onnx-int8"),
        ("onnx-native-float", (1, 8, 16, 12, 1), "float32", "onnx-float32"),
    ):
        path = built / f"{name}.onnx"
        quantization = build_onnx(path, shape, stored)
        tensors = [
            Tensor(tensor, dims, stored, *q)
            for tensor, dims, q in zip("xy", (shape, (*shape[:-1], 3)), quantization, strict=True)
        ]
        write_artifact(folder / name, path.read_bytes(), tensors, VOLUME, "folded" in name, file_format)
