"""ONNX files of any opset and of any size, against the network at sizes that the file was not made at."""

import keras
import numpy as np
import onnx
import pytest
from export_rewriting import network
from export_runs import write_run
from keras import layers

import edge
from export.artifact.folder import export_run
from export.conversion.convert import convert
from export.conversion.onnx_options import check_options
from export.errors import FormatError
from export.quantize.onnx_tensor_values import session
from zoo.cli import main


def unet2d(image):
    skip = layers.Conv2D(6, 3, padding="same", activation="relu")(image)
    x = layers.Conv2D(8, 3, padding="same", activation="relu")(layers.MaxPooling2D(2)(skip))
    x = layers.Concatenate()([layers.Conv2DTranspose(6, 2, strides=2)(x), skip])
    return layers.Conv2D(2, 1)(x)


def unet3d(image):
    skip = layers.Conv3D(4, 3, padding="same", activation="relu")(image)
    x = layers.Conv3D(4, 3, padding="same", activation="relu")(layers.MaxPooling3D(2)(skip))
    x = layers.Concatenate()([layers.UpSampling3D(2)(x), skip])
    return layers.Conv3D(2, 1)(x)


@pytest.fixture(scope="module")
def flat():
    return network(unet2d, (8, 12, 1))


@pytest.fixture(scope="module")
def deep():
    return network(unet3d, (8, 8, 8, 1))


def answer(converted, image):
    opened = session(onnx.load_model_from_string(converted.data), fused=True)
    return opened.run(None, {opened.get_inputs()[0].name: image})[0]


def at(model, image):
    """The network at a size that it was not made for."""
    shape = model.inputs[0].shape
    free = keras.models.clone_model(model, keras.Input((*(None,) * (len(shape) - 2), shape[-1])))
    free.set_weights(model.get_weights())
    return np.asarray(free(image, training=False))


@pytest.mark.parametrize(
    ("opset", "name"), [(13, "onnx-float32"), (18, "onnx-float32"), (13, "onnx-int8"), (18, "onnx-int8")]
)
def test_opset_is_that_asked_for(flat, opset, name):
    rng = np.random.default_rng(0)
    patches = [rng.normal(size=(8, 12, 1)).astype("float32") for _ in range(3)]
    converted = convert(flat, name, calibration=patches, opset=opset)
    versions = {i.domain: i.version for i in onnx.load_model_from_string(converted.data).opset_import}
    assert versions[""] == opset == converted.opset
    expected = np.asarray(flat(patches[0][None], training=False))
    logits = answer(converted, patches[0][None])
    assert np.std(logits - expected) < (0.1 if "int8" in name else 1e-4) * np.std(expected)


@pytest.mark.parametrize("name", ["onnx-float32", "onnx-float16", "onnx-int8"])
def test_flat_network_at_any_size(flat, name):
    rng = np.random.default_rng(0)
    patches = [rng.normal(size=(8, 12, 1)).astype("float32") for _ in range(3)]
    fixed = convert(flat, name, calibration=patches)
    converted = convert(flat, name, calibration=patches, dynamic=True)
    onnx.checker.check_model(onnx.load_model_from_string(converted.data), full_check=True)
    assert converted.dynamic
    assert converted.input.shape == (1, 8, 12, 1)
    assert [op.macs for op in converted.operators if op.macs] == [op.macs for op in fixed.operators if op.macs]
    image = rng.normal(size=(3, 20, 6, 1)).astype("float32")
    expected, logits = at(flat, image), answer(converted, image)
    assert logits.shape == expected.shape
    tolerance = {"onnx-float32": 1e-5, "onnx-float16": 5e-3, "onnx-int8": 0.1}[name]
    assert np.std(logits - expected) < tolerance * np.std(expected)


def test_deep_network_at_any_size(deep):
    converted = convert(deep, "onnx-float32", dynamic=True)
    image = np.random.default_rng(0).normal(size=(2, 4, 10, 6, 1)).astype("float32")
    np.testing.assert_allclose(answer(converted, image), at(deep, image), atol=1e-5)
    axes = onnx.load_model_from_string(converted.data).graph.input[0].type.tensor_type.shape.dim
    assert [axis.dim_param for axis in axes] == ["batch", "depth", "height", "width", ""]
    assert not converted.folded
    assert sum(op.macs for op in converted.operators) == sum(op.macs for op in convert(deep, "onnx-float32").operators)


def test_what_cannot_be_dynamic_is_said(deep):
    patches = [np.random.default_rng(0).normal(size=(8, 8, 8, 1)).astype("float32")]
    with pytest.raises(FormatError, match=r"depth as the batch .*dynamic are all ONNX formats of 2D networks"):
        convert(deep, "onnx-int8", calibration=patches, dynamic=True)
    sized = network(lambda image: layers.Conv2D(2, 1)(layers.Reshape((8, 12, 2))(image)), (8, 12, 2))
    with pytest.raises(FormatError, match="depends on the size of its input"):
        convert(sized, "onnx-float32", dynamic=True)


def test_options_are_checked():
    with pytest.raises(FormatError, match="opset 12: expected 13 to 18"):
        check_options(["onnx-int8"], 12, False)
    with pytest.raises(FormatError, match="opset: holds for ONNX files, not for tflite-int8"):
        check_options(["tflite-int8"], 17, False)
    with pytest.raises(FormatError, match="dynamic: holds for ONNX files"):
        check_options(["tflite-int8", "tflite-float32"], None, True)
    check_options(["tflite-int8", "onnx-int8"], 13, True)


def test_dynamic_artifact_passes_the_gate(tmp_path):
    run = write_run(tmp_path)
    folders = export_run(run, ["onnx-float32", "tflite-float32"], tmp_path / "out", opset=15, dynamic=True, tell=str)
    manifest = edge.load_manifest(folders[0])
    assert (manifest.source["opset"], manifest.source["dynamic"]) == (15, True)
    assert manifest.fidelity["verdict"] == "99.9 %"
    assert "opset" not in edge.load_manifest(folders[1]).source


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--format", "onnx-float32", "--opset", "12"), "expected 13 to 18"),
        (("--format", "tflite-int8", "--dynamic"), "holds for ONNX files"),
        (("--format", "onnx-int8", "--dynamic"), "depth as the batch"),
    ],
)
def test_command_line_refuses(tmp_path, capsys, words, message):
    run = write_run(tmp_path)
    assert main(["export", str(run), "--out", str(tmp_path / "out"), *words]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
