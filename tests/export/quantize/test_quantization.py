"""Int8 of both runtimes: calibration by measurement, errors by layer, layers that stay float."""

import functools
from types import SimpleNamespace

import numpy as np
import pytest
from export_rewriting import network, small_unet

import export
from export.conversion.convert import convert
from export.conversion.layer_errors import LayerError, ratios
from export.conversion.operators import check_integer
from export.errors import FormatError, PrecisionError
from export.quantize import quantization

PATCH = (8, 8, 8)
FORMATS = ("tflite-int8", "onnx-int8")


@pytest.fixture(scope="module")
def model():
    return network(small_unet, (*PATCH, 1))


@pytest.fixture(scope="module")
def patches():
    rng = np.random.default_rng(1)
    images = [rng.normal(size=(*PATCH, 1)).astype("float32") for _ in range(5)]
    images[0][0, 0, 0] = 60.0  # an outlier, as an implant makes
    return images


@pytest.fixture(scope="module", params=FORMATS)
def automatic(request, model, patches):
    return convert(model, request.param, PATCH, patches, method="auto", processor="any")


def test_auto_takes_what_agrees_best(automatic):
    assert set(automatic.agreement) == {"minmax", "percentile", "mse"}
    assert automatic.agreement[automatic.method] == max(automatic.agreement.values())
    assert automatic.agreement[automatic.method] > 0.9


def test_outlier_is_worth_leaving_out(automatic):
    assert automatic.method != "minmax"


def test_movement_stays_integer(automatic):
    moved = ("Pad", "Slice", "Concat", "Reshape", "PAD", "SLICE", "CONCATENATION", "RESHAPE")
    assert {op.precision for op in automatic.operators if op.kind in moved} == {"int8"}


def test_every_product_has_an_error(automatic):
    assert len(automatic.layer_errors) == sum(op.macs > 0 for op in automatic.operators)
    ratios = [error.sqnr for error in automatic.layer_errors]
    assert ratios == sorted(ratios)
    assert min(ratios) > 10  # dB


def test_ratio_is_that_of_the_definition():
    rng = np.random.default_rng(0)
    signal, noise = rng.normal(size=(2, 4, 5)), 0.01 * rng.normal(size=(2, 4, 5))
    pairs = [("conv", "CONV_2D", s, s + n) for s, n in zip(signal, noise, strict=True)] + [("same", "X", 1.0, 1.0)]
    worst, exact = ratios(pairs)
    assert worst.sqnr == pytest.approx(10 * np.log10(np.sum(signal**2) / np.sum(noise**2)))
    assert exact == LayerError("same", "X", 120.0)


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("net_1/act/Relu;net_1/conv/BiasAdd", "act/Relu"),
        ("net_1/conv/BiasAdd", "conv/BiasAdd"),
        ("Identity", "Identity"),
    ],
)
def test_layers_are_named_for_people(name, layer):
    assert LayerError(name, "CONV_2D", 30.0).layer == layer


def test_coarse_ranges_show_in_the_layers(model, patches):
    wide, narrow = (
        {e.name: e.sqnr for e in export.layer_errors(model, "tflite-int8", PATCH, patches[1:], method)}
        for method in ("minmax", "percentile")
    )
    assert set(wide) == set(narrow)


def test_errors_of_a_float_format_are_refused(model):
    with pytest.raises(FormatError, match="no quantized layers"):
        export.layer_errors(model, "onnx-float32", PATCH)


@pytest.mark.parametrize("name", FORMATS)
def test_worst_layer_stays_float(name, model, patches):
    plain = convert(model, name, PATCH, patches[1:])
    mixed = convert(model, name, PATCH, patches[1:], float_layers=1)
    assert mixed.float_layers == (plain.layer_errors[0].name,)
    assert [op.precision for op in mixed.operators if op.macs].count("float32") == 1
    assert len(mixed.layer_errors) == len(plain.layer_errors)
    with pytest.raises(PrecisionError, match="expected int8, got"):
        check_integer(mixed.operators, name)


@pytest.mark.parametrize("overlapping", [False, True])
def test_methods_are_compared_by_what_is_found(overlapping):
    """The class with the largest logit; of regions where each logit is above 0, however they are ordered."""
    float_logits = np.array([[3.0, -1.0], [2.0, 1.0], [-2.0, -1.0], [-1.0, -2.0]], np.float32)
    quantized = {
        "minmax": np.array([[1.0, 2.0], [1.0, 2.0], [-1.0, -2.0], [-2.0, -1.0]], np.float32),  # other order, 1 sign
        "percentile": np.array([[3.0, 1.0], [2.0, 1.0], [2.0, 3.0], [3.0, 2.0]], np.float32),  # the order, 5 signs
    }
    network = SimpleNamespace(logits=[float_logits], run=lambda model, patches: [model])
    classes_of = functools.partial(quantization._found, classes=2, overlapping=overlapping)
    share = {name: quantization._agreement(network, o, [None], [0], classes_of) for name, o in quantized.items()}
    assert share == ({"minmax": 7 / 8, "percentile": 3 / 8} if overlapping else {"minmax": 0.0, "percentile": 1.0})
