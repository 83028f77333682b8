"""Cross-layer equalisation: a network computes the same, and int8 of unequal channels loses less."""

import keras
import numpy as np
import pytest
from export_rewriting import BLOCKS, network
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

from export import convert
from export.device.processor import matrix_unit
from export.quantize.channel_groups import Groups
from export.quantize.equalisation import equalise
from export.rewrite import Layout, rewrite

LAYOUTS = (Layout(), Layout(subpixel=True), Layout(True, unit=matrix_unit("amx", "tflite")), Layout(True, "height"))
PATCH = (4, 6, 6)


def equalised(model, patch, layout=None):
    """Logits of the rewritten network before and after, largest difference as a share; channels that moved."""
    rewritten = rewrite(model, patch, layout)
    image = np.random.default_rng(0).normal(size=rewritten.inputs[0].shape).astype("float32")
    before = np.asarray(rewritten(image))
    moved = equalise(rewritten)
    return float(np.abs(np.asarray(rewritten(image)) - before).max() / np.abs(before).max()), moved


@settings(max_examples=8, deadline=None)
@given(st.lists(st.sampled_from(sorted(BLOCKS)), min_size=1, max_size=2), st.sampled_from(LAYOUTS))
def test_networks_compute_the_same(names, layout):
    def build(x):
        for name in names:
            x = layers.ReLU()(layers.Conv3D(4, 3, padding="same")(BLOCKS[name](x)))
        return layers.Conv3D(2, 1)(x)

    difference, moved = equalised(network(build, (*PATCH, 2)), PATCH, layout)
    assert difference < 1e-5
    assert moved >= 4


def chain(activation, scale=64.0):
    """Two convolutions; the channels between them are 1 and ``scale`` times what they might be."""
    image = keras.Input((8, 8, 1))
    x = activation(layers.Conv2D(2, 1, name="first")(image))
    model = keras.Model(image, layers.Conv2D(2, 1, name="second")(x))
    model.get_layer("first").set_weights([np.reshape([1, scale], (1, 1, 1, 2)), np.array([0.25, scale / 4])])
    model.get_layer("second").set_weights([np.reshape([1, 2, 1 / scale, 2 / scale], (1, 1, 2, 2)), np.zeros(2)])
    return model


@pytest.mark.parametrize("activation", [layers.ReLU(), layers.LeakyReLU(0.1), layers.PReLU(shared_axes=(1, 2))])
def test_scales_of_a_pair_meet_in_the_middle(activation):
    model = rewrite(chain(activation), (8, 8))
    assert equalise(model) == 2
    first, second = (layer.get_weights()[0] for layer in model.layers if isinstance(layer, layers.Conv2D))
    written, read = np.abs(first).max(axis=(0, 1, 2)), np.abs(second).max(axis=(0, 1, 3))
    np.testing.assert_allclose(written, np.sqrt(2), rtol=1e-3)  # of 1 and 2, of 64 and 1 / 32
    np.testing.assert_allclose(read, np.sqrt(2), rtol=1e-3)


@pytest.mark.parametrize("activation", [layers.ReLU(max_value=6), layers.Activation("silu"), layers.Softmax()])
def test_what_does_not_keep_proportions_keeps_its_scale(activation):
    assert equalised(chain(activation), (8, 8)) == (0.0, 0)


def test_added_channels_move_together():
    def build(x):
        parts = [layers.ReLU()(layers.Conv2D(3, 3, padding="same", name=f"part{i}")(x)) for i in range(2)]
        return layers.Conv2D(2, 1)(layers.Add()(parts))

    model = network(build, (6, 6, 1))
    for i, scale in enumerate((1.0, 10.0)):
        layer = model.get_layer(f"part{i}")
        layer.set_weights([w * scale for w in layer.get_weights()])
    rewritten = rewrite(model, (6, 6))
    before = {layer.name: layer.get_weights()[0] for layer in rewritten.layers if layer.weights}
    assert equalise(rewritten) == 3
    factors = [rewritten.get_layer(f"part{i}").get_weights()[0] / before[f"part{i}"] for i in range(2)]
    np.testing.assert_allclose(factors[0], factors[1], rtol=1e-4)


def test_groups_keep_zero_apart():
    groups = Groups()
    first, second = groups.new(3), groups.new(3)
    tied = groups.tie(np.array([0, *first[1:]]), second)
    assert (tied[0], groups.find(first[0])) == (second[0], first[0])
    assert (groups.find(second[1:]) == groups.find(first[1:])).all()


def separable(octaves=4.0):
    """Depthwise and pointwise convolutions whose channels are spread over orders of magnitude."""

    def build(x):
        x = layers.ReLU()(layers.Conv2D(12, 3, padding="same")(x))
        for i in range(2):
            x = layers.ReLU()(layers.DepthwiseConv2D(3, padding="same", name=f"depthwise{i}")(x))
            x = layers.ReLU()(layers.Conv2D(12, 1, name=f"point{i}")(x))
        return layers.Conv2D(3, 1)(x)

    model, random = network(build, (16, 16, 1)), np.random.default_rng(1)
    for i in range(2):
        factors = 2 ** random.uniform(-octaves, octaves, 12)
        depthwise, point = (model.get_layer(f"{name}{i}") for name in ("depthwise", "point"))
        kernel, bias = depthwise.get_weights()
        depthwise.set_weights([kernel * factors[:, None], bias * factors])
        kernel, bias = point.get_weights()
        point.set_weights([kernel / factors[:, None], bias])
    return model


@pytest.mark.parametrize("name", ["tflite-int8", "onnx-int8"])
def test_int8_of_unequal_channels_loses_less(name):
    model, random = separable(), np.random.default_rng(2)
    patches = [random.normal(size=(16, 16, 1)).astype("float32") for _ in range(6)]
    plain, moved = (convert(model, name, (16, 16), patches, weights="per-tensor", equalise=on) for on in (False, True))
    assert plain.equalised == 0
    assert moved.equalised >= 24
    worst = [converted.layer_errors[0].sqnr for converted in (plain, moved)]
    assert worst[1] > worst[0] + 6  # dB, of the layer that differs most
