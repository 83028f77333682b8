"""Skip connections of an int8 TFLite file: a scale of their own, requantized where they meet a wider tensor."""

import numpy as np
import pytest
from export_rewriting import network
from export_running import patches, run
from keras import layers

import export
from export.quantize import skip_connections as skip_scales
from export.quantize import tflite_file

SHAPES = {"3D": (4, 8, 8, 2), "2D": (16, 16, 2)}


def u_net(then=None):
    """Two levels; the decoder's tensor is far wider than the skip connection beside it."""

    def build(x):
        rank = len(x.shape) - 2
        convolution, pooling, nearest = (
            getattr(layers, name.format(rank)) for name in ("Conv{}D", "MaxPooling{}D", "UpSampling{}D")
        )
        skip = layers.ReLU(name="skip")(convolution(6, 3, padding="same")(x))
        deep = convolution(8, 3, padding="same", activation="relu", name="deep")(pooling(2)(skip))
        up = layers.Rescaling(30.0)(nearest(2)(convolution(6, 1)(deep)))
        joined = layers.Concatenate()([up, skip])
        if then is not None:
            joined = layers.Concatenate()([joined, then(skip)])
        return convolution(3, 3, padding="same", name="head")(joined)

    return build


def scales(data):
    """(kind, scales of the input tensors, scale of the output) of each operator."""
    tensors = tflite_file.unpacked(data).subgraphs[0].tensors

    def scale(i):
        stored = tensors[i].quantization
        return None if stored is None or stored.scale is None or len(stored.scale) != 1 else float(stored.scale[0])

    return [
        (kind, [scale(i) for i in inputs if i >= 0], scale(outputs[0]))
        for kind, inputs, outputs in tflite_file.operators_of(data)
    ]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_skip_connection_keeps_its_own_scale(shape, tmp_path, monkeypatch):
    model, images = network(u_net(), SHAPES[shape]), patches(SHAPES[shape])
    expected = np.asarray(model(images[0][None], training=False))[0]
    own = export.convert(model, "tflite-int8", calibration=images)
    monkeypatch.setattr(skip_scales, "WORTH", np.inf)
    shared = export.convert(model, "tflite-int8", calibration=images)
    errors = [{e.layer: e.sqnr for e in converted.layer_errors} for converted in (own, shared)]
    # The skip connection and what is computed from it gain the bits that the decoder's range took: 20 dB are 3.3.
    gained = [errors[0][name] - errors[1][name] for name in errors[0]]
    assert max(gained) > 20
    assert errors[0].keys() == errors[1].keys()
    assert min(gained) > -1
    for _, ins, out in [row for row in scales(own.data) if row[0] in skip_scales.SAME_SCALE]:
        assert {s for s in ins if s is not None} == {out}
    assert sum(kind == "QUANTIZE" and out > 2 * ins[0] for kind, ins, out in scales(own.data)) == 1
    assert {op.precision for op in own.operators} == {"int8"}
    step = (expected.max() - expected.min()) / 255
    assert np.abs(run(own, tmp_path, images[0]) - expected).max() < 4 * step


def test_where_a_consumer_forbids_it_nothing_changes(monkeypatch):
    model, images = network(u_net(layers.Softmax()), SHAPES["2D"]), patches(SHAPES["2D"])
    own = export.convert(model, "tflite-int8", calibration=images)
    monkeypatch.setattr(skip_scales, "WORTH", np.inf)
    assert own.data == export.convert(model, "tflite-int8", calibration=images).data
    assert "SOFTMAX" in {op.kind for op in own.operators}


def test_tensors_of_like_range_share_a_scale():
    def build(x):
        left, right = (layers.Conv2D(4, 3, padding="same", activation="relu")(x) for _ in range(2))
        return layers.Conv2D(2, 1)(layers.Concatenate()([left, right]))

    converted = export.convert(network(build, SHAPES["2D"]), "tflite-int8", calibration=patches(SHAPES["2D"]))
    assert "QUANTIZE" not in {op.kind for op in converted.operators}
