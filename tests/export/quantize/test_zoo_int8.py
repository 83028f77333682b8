"""Every network of the zoo does on the device what its entry declares."""

import harness
import keras
import numpy as np
import pytest
from export_running import patches, run

import export
import zoo
from export.conversion.operators import integer_share

NAMES = zoo.list_models()
EDGE = [name for name in NAMES if zoo.info(name).edge == "int8"]
FLOAT = [name for name in NAMES if zoo.info(name).edge == "float"]
# Error of the logits in int8, as a share of their spread, which an entry made for int8 stays below.
LIMIT = 0.085
# What eight bits are too coarse for: a network with these is declared float, whatever the converter makes of it.
ATTENTION = {"BATCH_MATMUL", "SOFTMAX"}


@pytest.fixture(autouse=True)
def _fresh_session():
    keras.backend.clear_session()


def small(name):
    """(small network, calibration patches, Keras' logits of the first); entries have 1, 3 or 5 channels in turn."""
    model = harness.small_model(name, channels=(1, 3, 5)[NAMES.index(name) % 3])
    images = patches(model.input_shape[1:], 2)
    return model, images, harness.predict(model, images[0][None])[0]


def error(logits, expected):
    """Root of the mean squared difference over the standard deviation."""
    assert logits.shape == expected.shape
    return float(np.sqrt(np.mean(np.square(logits - expected))) / expected.std())


def test_every_entry_declares_something_that_is_checked_here():
    assert sorted(EDGE + FLOAT) == NAMES
    assert zoo.list_models(tag="edge") == EDGE


@pytest.mark.parametrize("name", EDGE)
def test_entries_made_for_the_device_run_there_in_int8(name, tmp_path):
    model, images, expected = small(name)
    for kind in ("tflite-int8", "onnx-int8"):
        converted = export.convert(model, kind, calibration=images)
        assert integer_share(converted.operators) >= 0.98
        assert error(run(converted, tmp_path, images[0]), expected) < LIMIT
        if kind == "tflite-int8":
            assert {op.precision for op in converted.operators} == {"int8"}
            assert not ATTENTION & {op.kind for op in converted.operators}


@pytest.mark.parametrize("name", FLOAT)
def test_entries_declared_float_have_attention_and_run_in_float(name, tmp_path):
    model, images, expected = small(name)
    converted = export.convert(model, "tflite-float32")
    assert integer_share(converted.operators) == 0
    assert {op.kind for op in converted.operators} >= ATTENTION
    assert error(run(converted, tmp_path, images[0]), expected) < 1e-4
