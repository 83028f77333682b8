"""Quantisation against its definition, and both runtimes against the networks' closed form."""

import dataclasses
import gzip
import sys

import numpy as np
import pytest
from edge_artifacts import graded_scan
from hypothesis import given, settings
from hypothesis import strategies as st

from edge import load_manifest, open_runner
from edge.manifest import Tensor
from edge.runtime import openvino as openvino_runner
from edge.runtime.runner import choose_runtime
from edge.runtime.tensors import dequantise, quantise
from imaging import InputError, UsageError

STORED = st.sampled_from([np.int8, np.uint8, np.int16])


def tensor(dtype, scale, share):
    """A tensor whose zero point lies at ``share`` of the type's range."""
    limits = np.iinfo(dtype)
    return Tensor("t", (1,), np.dtype(dtype).name, scale, round(limits.min + share * (limits.max - limits.min)))


@settings(max_examples=200, deadline=None)
@given(STORED, st.floats(1e-4, 10), st.floats(0, 1), st.lists(st.floats(-2000, 2000, width=32), min_size=1))
def test_round_trip_is_within_half_a_step_or_saturates(dtype, scale, share, values):
    stored_as, values = tensor(dtype, scale, share), np.array(values, np.float32)
    stored = quantise(values, stored_as)
    assert stored.dtype == dtype
    back = dequantise(stored, stored_as)
    assert back.dtype == np.float32
    limits, zero = np.iinfo(dtype), stored_as.zero_point
    held = np.clip(values, (limits.min - zero) * scale, (limits.max - zero) * scale)
    # half a step, and the rounding of float32 arithmetic
    np.testing.assert_allclose(back, held, rtol=1e-5, atol=0.5 * scale * (1 + 1e-2) + 1e-5)


@settings(max_examples=100, deadline=None)
@given(STORED, st.floats(1e-3, 10), st.floats(0, 1))
def test_every_stored_value_survives(dtype, scale, share):
    limits, stored_as = np.iinfo(dtype), tensor(dtype, scale, share)
    stored = np.arange(limits.min, limits.max + 1, max(1, (limits.max - limits.min) // 999)).astype(dtype)
    np.testing.assert_array_equal(quantise(dequantise(stored, stored_as), stored_as), stored)


def test_known_values():
    stored_as = Tensor("t", (1,), "int8", 0.5, 10)
    np.testing.assert_array_equal(
        quantise(np.array([0, 1, -1, 1e6, -1e6], np.float32), stored_as), [10, 12, 8, 127, -128]
    )
    np.testing.assert_array_equal(dequantise(np.array([10, 11, -128], np.int8), stored_as), [0, 0.5, -69])


def test_floats_pass(artifacts):
    values = np.array([0.1, 2.5], np.float32)
    half = Tensor("t", (2,), "float16")
    assert quantise(values, half).dtype == np.float16
    assert dequantise(values.astype(np.float16), half).dtype == np.float32
    assert quantise(values, dataclasses.replace(half, dtype="float32")) is values


@pytest.mark.parametrize(
    ("name", "runtime"),
    [
        *((name, "litert") for name in ("folded-int8", "folded-uint8", "height-int8", "channels-int8", "native-float")),
        *(
            (name, runtime)
            for name in ("onnx-folded-uint8", "onnx-native-float")
            for runtime in ("onnxruntime", "openvino")
        ),
    ],
)
@pytest.mark.parametrize("threads", [1, 2])
def test_logits(artifacts, name, runtime, threads):
    manifest = load_manifest(artifacts[name])
    runner = open_runner(artifacts[name] / manifest.model, manifest, threads, runtime)
    for seed in range(2):  # a second run must not meet what the first left behind
        patch = graded_scan((8, 16, 12), seed)[..., None] + np.float32(0.01)
        logits = runner.run(patch)
        expected = np.concatenate([0 * patch, 4 * patch - 2, 8 * patch - 10], -1)
        # a step of the input is worth 8 in the steepest logit; the weights' own rounding adds less than that
        tolerance = 1e-5 if "float" in name else 8 * manifest.input.scale + manifest.output.scale
        assert logits.dtype == np.float32
        np.testing.assert_allclose(logits, expected, atol=tolerance)


def test_threads_reach_onnx_runtime(artifacts, monkeypatch):
    import onnxruntime

    seen = []
    session = onnxruntime.InferenceSession
    monkeypatch.setattr(onnxruntime, "InferenceSession", lambda *a, **k: seen.append(a[1]) or session(*a, **k))
    open_runner(artifacts["onnx-native-float"] / "model.onnx", load_manifest(artifacts["onnx-native-float"]), 3)
    assert seen[0].intra_op_num_threads == 3


@pytest.mark.parametrize("threads", [0, -1, True, 1.5, "2", 1025, 10**15])
def test_threads(artifacts, threads):
    manifest = load_manifest(artifacts["folded-int8"])
    with pytest.raises(UsageError, match="expected a whole number from 1 to 1024"):
        open_runner(artifacts["folded-int8"] / manifest.model, manifest, threads)


def test_patch_of_another_shape(artifacts):
    manifest = load_manifest(artifacts["folded-int8"])
    runner = open_runner(artifacts["folded-int8"] / manifest.model, manifest)
    with pytest.raises(InputError, match=r"patch of shape \(8, 16, 16, 1\): folded-int8 takes \(8, 16, 12, 1\)"):
        runner.run(np.zeros((8, 16, 16, 1), np.float32))


@pytest.mark.parametrize(
    ("name", "module", "mend"),
    [
        ("onnx-native-float", "onnxruntime", r'pip install "medseg-zoo\[onnx\]"'),
        ("folded-int8", "ai_edge_litert.interpreter", "pip install ai-edge-litert"),
    ],
)
def test_missing_runtime(artifacts, monkeypatch, name, module, mend):
    for absent in (module, "openvino"):
        monkeypatch.setitem(sys.modules, absent, None)  # Python's way of making an import fail
    manifest = load_manifest(artifacts[name])
    with pytest.raises(InputError, match=mend):
        open_runner(artifacts[name] / manifest.model, manifest)


def test_another_runtime_that_reads_the_file(artifacts, monkeypatch):
    assert (choose_runtime("onnx-int8"), choose_runtime("openvino-int8")) == ("onnxruntime", "openvino")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    manifest = load_manifest(artifacts["onnx-native-float"])
    assert type(open_runner(artifacts["onnx-native-float"] / manifest.model, manifest)).__name__ == "OpenVinoRunner"
    with pytest.raises(UsageError, match="runtime 'litert': expected onnxruntime or openvino for a file"):
        choose_runtime("onnx-float32", "litert")


def test_openvino_computes_in_the_precision_of_the_file(monkeypatch):
    import openvino

    seen = []
    compile_model = openvino.Core.compile_model
    monkeypatch.setattr(openvino.Core, "compile_model", lambda self, *a: seen.append(a[2]) or compile_model(self, *a))
    monkeypatch.setattr(openvino.Core, "read_model", lambda self, content: _doubling())
    compiled = openvino_runner.compile_model(b"", 3)
    assert seen[0]["INFERENCE_NUM_THREADS"] == 3
    assert compiled.get_property("INFERENCE_PRECISION_HINT").to_string() == "f32"


def _doubling():
    from openvino import Model, opset13

    image = opset13.parameter([1, 2], np.float32)
    return Model([opset13.add(image, image)], [image])


@pytest.mark.parametrize(
    ("name", "runtime", "spelt"),
    [
        ("folded-int8", "litert", "LiteRT"),
        ("onnx-native-float", "onnxruntime", "ONNX Runtime"),
        ("onnx-native-float", "openvino", "OpenVINO"),
    ],
)
def test_a_file_that_is_no_model(artifacts, tmp_path, name, runtime, spelt):
    (tmp_path / "model").write_bytes(b"nothing of the kind" * 9)
    with pytest.raises(InputError, match=f"{spelt} cannot load it") as caught:
        open_runner(tmp_path / "model", load_manifest(artifacts[name]), runtime=runtime)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "part", "changes", "message"),
    [
        ("folded-int8", "input", {"scale": 0.5}, "input with scale .* the manifest says 0.5"),
        ("folded-int8", "output", {"zero_point": 3}, "output with scale .* and 3; export it again"),
        ("folded-int8", "input", {"dtype": "uint8"}, "input of shape .* type int8, the manifest says .* uint8"),
        ("onnx-native-float", "output", {"shape": (1, 8, 16, 12, 4)}, r"output of shape \(1, 8, 16, 12, 3\) and type"),
        ("onnx-folded-uint8", "input", {"dtype": "float32"}, "input of shape .* type uint8"),
    ],
)
def test_a_file_that_is_not_what_the_manifest_says(artifacts, name, part, changes, message):
    manifest = load_manifest(artifacts[name])
    changed = dataclasses.replace(manifest, **{part: dataclasses.replace(getattr(manifest, part), **changes)})
    with pytest.raises(InputError, match=message):
        open_runner(artifacts[name] / manifest.model, changed)


def test_a_compressed_file_is_the_same_network(artifacts, tmp_path):
    folder = artifacts["folded-int8"]
    manifest = load_manifest(folder)
    plain, packed = folder / manifest.model, tmp_path / "model.tflite.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    patch = np.random.default_rng(0).normal(size=(*manifest.patch, manifest.recipe.channels)).astype(np.float32)
    np.testing.assert_array_equal(open_runner(packed, manifest).run(patch), open_runner(plain, manifest).run(patch))
    packed.write_bytes(packed.read_bytes()[:-20])
    with pytest.raises(InputError, match=r"model.tflite.gz: "):
        open_runner(packed, manifest)
