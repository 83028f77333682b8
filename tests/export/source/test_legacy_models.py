"""Models of Keras 2 and tensorflow-addons, opened by zoo.load, run in LiteRT and ONNX Runtime as they did there."""

import warnings
from pathlib import Path

import numpy as np
import pytest

import zoo
from export.conversion.convert import convert

GOLDEN = Path(__file__).parents[2] / "golden" / "tfa"
FILES = ("unet_plain.h5", "unet_instance3d.h5", "unet_group.h5", "unet_weightnorm.h5", "unet_saved.keras")


def in_litert(converted, x):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=converted.data)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x if converted.folded else x[None])
    interpreter.invoke()
    y = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    return y if converted.folded else y[0]


def in_onnxruntime(converted, x):
    import onnxruntime

    session = onnxruntime.InferenceSession(converted.data, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: x[None]})[0][0]


@pytest.mark.parametrize(("format", "run"), [("tflite-float32", in_litert), ("onnx-float32", in_onnxruntime)])
@pytest.mark.parametrize("name", FILES)
def test_exported_model_predicts_as_it_did(name, format, run):
    predictions = np.load(GOLDEN / "predictions.npz")
    x, y = (predictions[f"{name.partition('.')[0]}_{part}"][0] for part in "xy")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*Addons")
        model = zoo.load(GOLDEN / name)
    np.testing.assert_allclose(run(convert(model, format, x.shape[:-1]), x), y, rtol=0, atol=1e-5)
