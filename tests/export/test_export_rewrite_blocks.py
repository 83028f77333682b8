"""Several slices of depth side by side in the channels: the same network, for runtimes with a wide matrix unit."""

import keras
import numpy as np
import pytest
from export_rewriting import assert_exact, difference, network
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

import zoo
from export.rewrite import Form, rewrite, rule
from export.rewrite.blocks import layout
from export.rewrite.blocks.layout import Unit, band, best_slices, stacked
from export.rewrite.registry import RULES

WIDE = Form(subpixel=True, unit=Unit(64, 64))
FORMS = (WIDE, Form(unit=Unit(4, 16)))


def made_at_once(build, shape) -> set[int]:
    """The numbers of feature maps that the convolutions of the rewritten network take at once."""
    flat = rewrite(network(build, shape), shape[:-1], WIDE)
    return {op.output.shape[0] for op in flat.operations if isinstance(op, layers.Conv2D)}


@st.composite
def convolutions(draw):
    """A chain of convolutions, activations and pooling over an even depth."""
    steps = draw(
        st.lists(
            st.tuples(
                st.sampled_from([4, 8, 12]),
                st.tuples(st.integers(1, 5), st.sampled_from([1, 3]), st.integers(1, 3)),
                st.sampled_from([None, "relu", "silu", "softmax"]),
                st.sampled_from([1, 1, 2]),
            ),
            min_size=1,
            max_size=2,
        )
    )

    def build(x):
        for filters, kernel, activation, dilation in steps:
            dilation = (1, dilation, dilation)
            x = layers.Conv3D(filters, kernel, padding="same", activation=activation, dilation_rate=dilation)(x)
        return x

    return build


@settings(max_examples=6, deadline=None)
@given(convolutions(), st.sampled_from([2, 4, 6, 8, 7]), st.sampled_from(FORMS), st.sampled_from([1, 3, 6]))
def test_convolutions(build, depth, form, channels):
    """Kernels of any size, depths that blocks divide and that they do not, few and many channels."""
    assert_exact(build, (depth, 5, 4, channels), (form,))


@pytest.mark.parametrize("form", FORMS)
def test_up_and_down(form):
    """Pooling, transposed convolution, joined and added feature maps, normalisation and a layer slice by slice."""

    def build(x):
        skip = layers.ReLU()(layers.BatchNormalization()(layers.Conv3D(8, 3, padding="same", use_bias=False)(x)))
        x = layers.MaxPooling3D(2)(layers.Dropout(0.1)(skip))
        x = layers.LeakyReLU()(layers.Conv3D(16, 3, padding="same")(x))
        x = layers.Add()([x, layers.Conv3D(16, 1)(x)])
        x = layers.MaxPooling3D((1, 2, 2))(x)
        x = layers.Conv3DTranspose(16, (1, 2, 2), strides=(1, 2, 2))(x)
        x = layers.Conv3DTranspose(8, 2, strides=2, activation="relu")(x)
        x = layers.Concatenate()([x, skip])
        x = layers.Conv3DTranspose(8, (2, 1, 3), strides=(2, 1, 1), padding="same")(x)
        x = layers.Conv3D(8, 3, padding="same", activation="gelu")(x)
        x = layers.Multiply()([x, layers.GlobalAveragePooling3D(keepdims=True)(x)])
        return layers.Conv3D(3, 1)(x)

    assert_exact(build, (8, 8, 8, 1), (form,))


@pytest.fixture(autouse=True)
def small_maps(monkeypatch):
    """Feature maps of a test are too small to be worth a larger kernel."""
    monkeypatch.setattr(layout, "GAIN_PER_VOXEL", 1000)
    monkeypatch.setattr(layout, "GAIN_PER_WEIGHT", 1000)


def test_shared_layer():
    """A layer shared by feature maps of different depth and make-up has one kernel a layout."""
    shared = layers.Conv3D(4, 3, padding="same")

    def build(x):
        first = shared(x)
        halves = layers.Concatenate()([layers.Conv3D(2, 3, padding="same")(x), layers.Conv3D(2, 3, padding="same")(x)])
        return [shared(first), shared(layers.MaxPooling3D((4, 1, 1))(first)), shared(halves)]

    assert_exact(build, (8, 4, 4, 4), FORMS)


def test_unet3d_stays_in_blocks():
    """The 3D U-Net turns to slices at its end only, and its convolutions of 16 channels make four slices at once."""
    model = zoo.get("unet3d", classes=3)
    flat = rewrite(model, (16, 16, 16), WIDE)
    outputs = {tuple(op.output.shape) for op in flat.operations if isinstance(op, layers.Conv2D)}
    assert (4, 16, 16, 64) in outputs
    assert (16, 16, 16, 16) not in outputs
    wide = [op for op in flat.operations if type(op).__name__ == "Transpose" and op.output.shape[-1] >= 16]
    assert all(op.output.shape[0] <= 4 for op in wide)
    assert difference(model, (16, 16, 16), WIDE) < 1e-5


def test_only_where_it_pays():
    """No blocks of slices for wide layers, for strides, or for a depth that they do not divide."""
    assert best_slices(Unit(64, 64), (48, 48, 48), (3, 3, 3), 16, 16) == 4
    assert best_slices(Unit(64, 64), (47, 48, 48), (3, 3, 3), 16, 16) == 1
    assert best_slices(Unit(64, 64), (48, 48, 48), (3, 3, 3), 64, 64) == 1
    assert best_slices(Unit(4, 16), (48, 48, 48), (3, 3, 3), 16, 16) == 1
    assert made_at_once(lambda x: layers.Conv3D(16, 3, padding="same")(x), (8, 4, 4, 16)) == {2}
    assert made_at_once(lambda x: layers.Conv3D(16, 3, strides=2, padding="same")(x), (8, 4, 4, 16)) == {4}
    assert made_at_once(lambda x: layers.Conv3D(16, 3)(x), (8, 4, 4, 16)) == {6}


def test_values_are_stored_where_voxels_are_many(monkeypatch):
    """16 -> 16 channels of a 3x3x3 kernel gain 9 * 256 * (6 * 4 - 3) = 48,384 values by four slices."""
    monkeypatch.setattr(layout, "GAIN_PER_VOXEL", 1)
    assert best_slices(Unit(64, 64), (48, 32, 32), (3, 3, 3), 16, 16) == 4
    assert best_slices(Unit(64, 64), (44, 32, 32), (3, 3, 3), 16, 16) == 2
    assert best_slices(Unit(64, 64), (48, 32, 32), (3, 3, 3), 16, 16, room=48_383) == 2
    assert best_slices(Unit(64, 64), (8, 8, 8), (3, 3, 3), 16, 16) == 1


def test_rule_of_a_user_comes_first():
    """A rule that a user registers for a built-in layer is used instead of the one on blocks."""
    before = RULES[layers.ReLU]
    try:
        rule(layers.ReLU)(lambda layer, args, kwargs, emission: keras.ops.negative(args[0]))
        model = network(lambda x: layers.ReLU()(layers.Conv3D(4, 3, padding="same")(x)), (4, 4, 4, 4))
        flat = rewrite(model, (4, 4, 4), WIDE)
        image = np.random.default_rng(0).normal(size=(4, 4, 4, 4)).astype("float32")
        expected = -np.asarray(model.layers[1](image[None]))[0]
        assert np.abs(np.asarray(flat(image)) - expected).max() < 1e-5
    finally:
        RULES[layers.ReLU] = before


@pytest.mark.parametrize("channels", [1, 6])
def test_stacked(channels):
    """The slices that a block sees, against NumPy."""
    x = np.random.default_rng(0).normal(size=(6, 2, 3, channels)).astype("float32")
    piece = stacked(keras.ops.convert_to_tensor(x), 3, 1, 2)
    padded = np.pad(x, ((1, 2), (0, 0), (0, 0), (0, 0)))
    expected = np.stack([np.concatenate(list(padded[start : start + 6]), axis=-1) for start in (0, 3)])
    assert piece.numbers == (-1, 0, 1, 2, 3, 4)
    assert np.array_equal(np.asarray(piece.tensor), expected)


def test_band():
    """Each output slice sees its own three of the four input slices."""
    kernel = np.arange(3, dtype=np.float32).reshape(3, 1, 1, 1, 1) + 1
    assert np.array_equal(band(kernel, 2, (-1, 0, 1, 2), 1)[0, 0], [[1, 0], [2, 1], [3, 2], [0, 3]])
