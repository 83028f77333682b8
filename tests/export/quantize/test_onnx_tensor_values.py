"""What is observed within a running ONNX model, against the values themselves."""

import numpy as np
import pytest
from export_rewriting import network
from keras import layers

from export.conversion import onnx
from export.quantize import onnx_int8 as onnx_integer
from export.quantize.onnx_tensor_values import activations, observed, session, traced
from export.quantize.ranges import Observer
from export.rewrite import rewrite

PATCH = (8, 8, 8)


@pytest.fixture(scope="module")
def prepared():
    def body(image):
        x = layers.Conv3D(4, 3, padding="same", activation="relu")(image)
        return layers.Conv3D(2, 1)(layers.UpSampling3D(2)(layers.MaxPooling3D(2)(x)))

    return onnx_integer.prepare(onnx.to_onnx(rewrite(network(body, (*PATCH, 1)), PATCH)))


@pytest.fixture(scope="module")
def patches():
    rng = np.random.default_rng(3)
    return [rng.normal(size=(*PATCH, 1)).astype("float32") for _ in range(3)]


def test_extremes_and_samples_are_those_of_the_tensors(prepared, patches):
    sizes = activations(prepared)
    histograms, logits = observed(prepared, list(sizes), patches)
    expected = {name: Observer(len(patches)) for name in sizes}
    for _, values in traced(prepared, sizes, patches):
        for name, value in values.items():
            expected[name].add(value)
    assert set(histograms) == set(sizes)
    assert len(sizes) > 5
    for name, observer in expected.items():
        histogram = observer.histogram()
        assert (histograms[name].low, histograms[name].high) == (histogram.low, histogram.high)
        np.testing.assert_array_equal(histograms[name].counts, histogram.counts)
    for patch, output in zip(patches, logits, strict=True):
        opened = session(prepared, fused=True)
        (again,) = opened.run(None, {opened.get_inputs()[0].name: patch})
        np.testing.assert_allclose(output, again, atol=1e-5)


def test_a_large_tensor_is_sampled(prepared, patches, monkeypatch):
    monkeypatch.setattr("export.quantize.ranges.SAMPLES", 300)
    image = prepared.graph.input[0].name
    histograms, _ = observed(prepared, [image], patches)
    step = (512 // 100) | 1
    assert histograms[image].counts.sum() == 3 * len(range(0, 512, step))
    assert histograms[image].high == pytest.approx(max(float(patch.max()) for patch in patches))


def test_integer_logits_are_those_of_the_device(prepared, patches):
    histograms, _ = onnx_integer.histograms(prepared, patches)
    quantized = onnx_integer.quantize(prepared, histograms, "minmax")
    opened = session(quantized, fused=True)
    kernels = opened.get_inputs()[0].name
    for patch, logits in zip(patches, onnx_integer.logits(quantized, patches), strict=True):
        np.testing.assert_array_equal(logits, opened.run(None, {kernels: patch})[0])
