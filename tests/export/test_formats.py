"""Every format of a small 3D network: precision read back, written as an artifact, run by the device runtime."""

import keras
import numpy as np
import pytest
from export_rewriting import network, small_unet
from keras import layers

import edge
from edge.manifest import FORMATS as RUNNABLE
from export.artifact.folder import write_artifact
from export.conversion.convert import convert
from export.conversion.operators import integer_share
from export.errors import FormatError
from export.formats import FORMATS
from export.source.source import Source
from imaging.labels import Label
from imaging.recipe import Normalise, Recipe

PATCH = (8, 8, 8)
# Root mean square of the difference over that of the logits; int8 weights alone cost a percent or so.
TOLERANCE = {"float32": 1e-5, "float16": 2e-3, "int16": 0.03, "int8": 0.03, "dynamic": 0.03}


@pytest.fixture(scope="module")
def model():
    return network(small_unet, (*PATCH, 1))


@pytest.fixture(scope="module")
def patches():
    rng = np.random.default_rng(1)
    return [rng.normal(size=(*PATCH, 1)).astype("float32") for _ in range(4)]


def source():
    return Source(
        "small",
        Recipe(3, orientation="RAS", normalise=Normalise("fixed", (0.0,), (1.0,))),
        PATCH,
        0.5,
        tuple(Label(name, i) for i, name in enumerate(("background", "core", "rim"))),
        ("image",),
        (),
        (),
        "model.keras",
    )


@pytest.mark.parametrize("name", FORMATS)
def test_device_runs_what_the_network_predicts(name, model, patches, tmp_path):
    converted = convert(model, name, PATCH, patches)
    segmenter = edge.load(write_artifact(converted, source(), tmp_path / name))
    expected = np.asarray(model(patches[0][None], training=False))[0]
    logits = segmenter.runner.run(patches[0])
    assert np.std(logits - expected) < TOLERANCE[name.partition("-")[2]] * np.std(expected)
    assert integer_share(converted.operators) == (1.0 if name.endswith("-int8") else 0.0)


def test_device_knows_every_format():
    assert set(RUNNABLE) == set(FORMATS)


def test_dynamic_stores_weights_as_int8(model):
    kinds = {op.precision for op in convert(model, "tflite-dynamic", PATCH).operators if op.macs}
    assert "mixed float32+int8" in kinds
    plain, small = (len(convert(wide(), f"tflite-{kind}", PATCH).data) for kind in ("float32", "dynamic"))
    assert small < plain / 2


def wide():
    return network(lambda image: layers.Conv3D(64, 3, padding="same")(layers.Conv3D(64, 1)(image)), (*PATCH, 1))


def test_int16_convolutions_are_all_int16x8(model, patches):
    converted = convert(model, "tflite-int16", PATCH, patches)
    assert {op.precision for op in converted.operators if op.macs} == {"int16x8"}
    assert converted.input.dtype == converted.output.dtype == "int16"


def test_float16_onnx_computes_in_float16(model):
    converted = convert(model, "onnx-float16", PATCH)
    assert {op.precision for op in converted.operators if op.macs} == {"float16"}
    assert converted.input.dtype == converted.output.dtype == "float32"


def test_float_layers_only_for_int8(model):
    with pytest.raises(FormatError, match="onnx-float32"):
        convert(model, "onnx-float32", PATCH, float_layers=1)
    with pytest.raises(FormatError, match="tflite-float32: equalise holds for int8"):
        convert(model, "tflite-float32", PATCH, equalise=True)


def test_keras_is_not_changed_by_conversion(model, patches):
    before = keras.ops.convert_to_numpy(model(patches[0][None]))
    convert(model, "tflite-int8", PATCH, patches)
    np.testing.assert_array_equal(before, keras.ops.convert_to_numpy(model(patches[0][None])))
