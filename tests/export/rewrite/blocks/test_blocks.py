"""Several slices of depth side by side in the channels: the same network, for runtimes with a wide matrix unit."""

import keras
import numpy as np
import pytest
from export_rewriting import assert_exact, difference, network
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

import zoo
from export.rewrite import Layout, rewrite, rule
from export.rewrite.blocks import choice
from export.rewrite.blocks.choice import Group, Sizes, Unit, best, gain, planned
from export.rewrite.blocks.layout import band, gathered, stacked
from export.rewrite.registry import RULES

WIDE = Layout(subpixel=True, unit=Unit(64, 64, True))
LAYOUTS = (WIDE, Layout(unit=Unit(4, 16)))


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
@given(convolutions(), st.sampled_from([2, 4, 6, 8, 7]), st.sampled_from(LAYOUTS), st.sampled_from([1, 3, 6]))
def test_convolutions(build, depth, layout, channels):
    """Kernels of any size, depths that blocks divide and that they do not, few and many channels."""
    assert_exact(build, (depth, 5, 4, channels), (layout,))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_up_and_down(layout):
    """Pooling, transposed convolution, joined and added feature maps, normalisation and a layer slice by slice."""

    def build(x):
        skip = layers.ReLU()(layers.BatchNormalization()(layers.Conv3D(8, 3, padding="same", use_bias=False)(x)))
        skip = layers.Dropout(0.1)(skip)
        x = layers.Add()([layers.MaxPooling3D(2)(skip), layers.AveragePooling3D(2)(skip)])
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

    assert_exact(build, (8, 8, 8, 1), (layout,))


@pytest.fixture(autouse=True)
def small_maps(monkeypatch):
    """Feature maps of a test are too small to be worth a larger kernel."""
    monkeypatch.setattr(choice, "MACS_PER_GAIN", 0)
    monkeypatch.setattr(choice, "GAIN_PER_WEIGHT", 1000)


def test_shared_layer():
    """A layer shared by feature maps of different depth and make-up has one kernel a layout."""
    shared = layers.Conv3D(4, 3, padding="same")

    def build(x):
        first = shared(x)
        halves = layers.Concatenate()([layers.Conv3D(2, 3, padding="same")(x), layers.Conv3D(2, 3, padding="same")(x)])
        return [shared(first), shared(layers.MaxPooling3D((4, 1, 1))(first)), shared(halves)]

    assert_exact(build, (8, 4, 4, 4), LAYOUTS)


def test_unet3d_stays_in_blocks():
    """The 3D U-Net turns to slices at its end only; convolutions of 16 channels make two slices by two columns."""
    model = zoo.get("unet3d", classes=3)
    flat = rewrite(model, (16, 16, 16), WIDE)
    outputs = {tuple(op.output.shape) for op in flat.operations if isinstance(op, layers.Conv2D)}
    assert (8, 16, 8, 64) in outputs
    assert (16, 16, 16, 16) not in outputs
    wide = [op for op in flat.operations if type(op).__name__ == "Transpose" and op.output.shape[-1] >= 16]
    assert all(np.prod(op.output.shape) < 16**4 for op in wide[1:])
    assert difference(model, (16, 16, 16), WIDE) < 1e-5


def sizes(shape, inputs, outputs, kernel=(3, 3, 3), spread=False):
    return Sizes(shape, kernel, inputs, outputs, spread)


def test_only_where_it_pays():
    """No groups for wide layers, for strides and for axes that they do not divide."""
    wide = Unit(64, 64, True)
    assert best(wide, sizes((48, 48, 48), 16, 16)) == Group(2, 2)
    assert best(wide, sizes((48, 48, 47), 16, 16)) == Group(4, 1)
    assert best(wide, sizes((47, 48, 48), 16, 16)) == Group(1, 4)
    assert best(wide, sizes((47, 48, 48), 16, 16, spread=True)) == Group()
    assert best(wide, sizes((48, 48, 48), 64, 64)) == Group()
    assert best(Unit(4, 32), sizes((48, 48, 48), 16, 16)) == Group(2, 1)
    assert best(Unit(4, 16), sizes((48, 48, 48), 16, 16)) == Group()
    assert best(wide, sizes((48, 48, 48), 16, 4, (1, 1, 1)), source=2) == Group(2, 4)
    assert made_at_once(lambda x: layers.Conv3D(16, 3, padding="same")(x), (8, 4, 4, 16)) == {4}
    assert made_at_once(lambda x: layers.Conv3D(16, 3, strides=2, padding="same")(x), (8, 4, 4, 16)) == {4}
    assert made_at_once(lambda x: layers.Conv3D(16, 3)(x), (8, 4, 4, 16)) == {6}


def test_values_are_stored_where_they_save_most(monkeypatch):
    """16 -> 16 channels of a 3x3x3 kernel for two slices and columns: 3 * 4 * 4 taps of 64 * 64, or four times 27."""
    layer_sizes = sizes((48, 32, 32), 16, 16)
    assert gain(Unit(64, 64), layer_sizes, Group(2, 2)) == 3 * 4 * 64 * 64 - 27 * 256
    assert gain(Unit(64, 64, True), layer_sizes, Group(2, 2)) == 3 * 27 * 256
    assert best(Unit(64, 64, True), layer_sizes, room=3 * 27 * 256 - 1) != Group(2, 2)
    monkeypatch.setattr(choice, "MACS_PER_GAIN", 2000)
    assert best(Unit(64, 64, True), layer_sizes) == Group(2, 2)
    assert best(Unit(64, 64, True), sizes((8, 8, 8), 16, 16)) == Group()

    def build(x):
        x = layers.Conv3D(16, 3, padding="same")(x)
        return layers.Conv3D(16, 3, padding="same")(layers.MaxPooling3D(2)(x))

    model = network(build, (32, 32, 32, 16))
    budget = planned(model, (32, 32, 32), Unit(64, 64, True), 3 * 27 * 256)
    assert {layer_sizes.shape: group for (_, layer_sizes), group in budget.planned.items()} == {
        (32, 32, 32): Group(2, 2),
        (16, 16, 16): Group(),
    }
    assert budget.room == 0


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


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("slices", "columns", "kernel"), [(2, 2, (3, 3, 3)), (3, 1, (3, 1, 2)), (1, 3, (5, 3, 2))])
def test_gathered(slices, columns, kernel, channels):
    """The slices and columns that a block sees, against NumPy."""
    x = np.random.default_rng(0).normal(size=(6, 2, 6, channels)).astype("float32")
    tensor = np.asarray(gathered(keras.ops.convert_to_tensor(x), slices, columns, kernel).tensor)
    border = [((k - 1) // 2, k) for k in (kernel[0], kernel[2])]
    padded = np.pad(x, (border[0], (0, 0), border[1], (0, 0)))
    depth, width = slices + kernel[0] - 1, columns + kernel[2] - 1
    for block in range(6 // slices):
        for column in range(6 // columns):
            seen = padded[block * slices :][:depth, :, column * columns :][:, :, :width]
            expected = seen.transpose(1, 0, 2, 3).reshape(2, -1)
            assert np.array_equal(tensor[block, :, column], expected)


def test_band():
    """Each output slice sees its own three of the four input slices."""
    kernel = np.arange(3, dtype=np.float32).reshape(3, 1, 1, 1, 1) + 1
    assert np.array_equal(band(kernel, 2, (-1, 0, 1, 2), 1)[0, 0], [[1, 0], [2, 1], [3, 2], [0, 3]])


def test_band_of_columns():
    """By a stride of two, each output column sees its own three of the four input columns."""
    kernel = np.arange(3, dtype=np.float32).reshape(1, 1, 3, 1, 1) + 1
    assert np.array_equal(band(kernel, 1, (0,), 0, 2)[0, :, 0], [[1, 0], [2, 1], [3, 2], [0, 3]])
