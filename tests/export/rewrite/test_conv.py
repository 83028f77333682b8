"""Convolutions with all their arguments, rewritten, equal Keras' own."""

import keras
import pytest
from export_rewriting import LAYOUTS, assert_exact, begins_at_the_first_voxel
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from keras import layers

SLOW = settings(max_examples=25, deadline=None, derandomize=True)
NORMAL = settings(max_examples=60, deadline=None, derandomize=True)
sizes = st.integers(1, 6)
padding = st.sampled_from(["same", "valid"])


def triples(most, least=1):
    return st.tuples(*[st.integers(least, most)] * 3)


@st.composite
def convolutions(draw, rank):
    """Arguments of a convolution and an input size that it accepts."""
    kernel = draw(st.tuples(*[st.integers(1, 4)] * rank))
    strides = dilation = (1,) * rank
    if draw(st.booleans()):
        strides = draw(st.tuples(*[st.integers(1, 3)] * rank))
    else:
        dilation = draw(st.tuples(*[st.integers(1, 2)] * rank))
    arguments = {"kernel_size": kernel, "strides": strides, "dilation_rate": dilation, "padding": draw(padding)}
    spatial = draw(st.tuples(*[sizes] * rank))
    if arguments["padding"] == "valid":
        spatial = tuple(max(n, (k - 1) * d + 1) for n, k, d in zip(spatial, kernel, dilation, strict=True))
    # TensorFlow's oneDNN kernels are wrong where the last axis is shorter than the kernel and has strides: on some
    # processors conv2d and conv3d in float32 give other values than in float64 there.
    assume(strides[-1] == 1 or spatial[-1] >= kernel[-1])
    assume(begins_at_the_first_voxel(kernel, strides, arguments["padding"]))
    return arguments, (*spatial, draw(st.integers(1, 3)))


@NORMAL
@given(convolutions(3), st.booleans(), st.sampled_from([None, "relu", "gelu"]), st.booleans())
def test_conv3d(case, bias, activation, normalised):
    arguments, shape = case

    def build(x):
        y = layers.Conv3D(3, **arguments, use_bias=bias, activation=activation)(x)
        return layers.BatchNormalization()(y) if normalised else y

    assert_exact(build, shape, LAYOUTS[:1])


@SLOW
@given(convolutions(2), st.booleans(), st.booleans())
def test_conv2d(case, bias, normalised):
    arguments, shape = case

    def build(x):
        y = layers.Conv2D(3, **arguments, use_bias=bias)(x)
        return layers.BatchNormalization()(y) if normalised else y

    assert_exact(build, shape, LAYOUTS[:1])


@pytest.mark.parametrize("kernel", [(1, 3, 3), (3, 1, 1), (1, 1, 1), (3, 3, 1), (1, 1, 3), (5, 3, 2), (2, 2, 2)])
@pytest.mark.parametrize("depth", [1, 5])
def test_kernels_of_planes_and_lines(kernel, depth):
    assert_exact(lambda x: layers.Conv3D(4, kernel, padding="same")(x), (depth, 4, 6, 2), LAYOUTS[:1])


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize(
    ("groups", "filters", "kernel", "strides", "dilation"),
    [
        (2, 6, (3, 3, 3), (1, 1, 1), (1, 1, 1)),
        (2, 4, (3, 1, 1), (1, 1, 1), (2, 1, 1)),
        (4, 4, (3, 3, 3), (2, 2, 2), (1, 1, 1)),
        (4, 8, (3, 3, 3), (1, 1, 1), (1, 2, 2)),
        (4, 4, (3, 1, 1), (1, 1, 1), (1, 1, 1)),
        (4, 8, (1, 3, 3), (1, 1, 1), (1, 1, 1)),
        (4, 4, (2, 3, 3), (1, 1, 2), (1, 1, 1)),
    ],
)
def test_groups(groups, filters, kernel, strides, dilation, padding):
    def build(x):
        y = layers.Conv3D(
            filters, kernel, strides=strides, dilation_rate=dilation, groups=groups, padding=padding, use_bias=False
        )(x)
        return layers.BatchNormalization()(y)

    assert_exact(build, (5, 6, 6, 4), LAYOUTS[:1])


@pytest.mark.parametrize("groups", [2, 4])
@pytest.mark.parametrize("strides", [(1, 1), (2, 2), (1, 2)])
def test_groups_2d(groups, strides):
    assert_exact(lambda x: layers.Conv2D(8, 3, strides=strides, groups=groups)(x), (7, 6, 4), LAYOUTS[:1])


@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("groups", [1, 2])
def test_taps_that_never_meet_a_thin_feature_map(depth, groups):
    def build(x):
        x = layers.Conv3D(2, (2, 1, 3), dilation_rate=(5, 1, 1), padding="same", groups=groups)(x)
        return layers.Conv3D(2, (3, 3, 3), dilation_rate=(3, 1, 1), padding="same", groups=groups)(x)

    assert_exact(build, (depth, 3, 4, 2), LAYOUTS[:1])


@st.composite
def transposed(draw, rank):
    """Arguments of a transposed convolution and an input size."""
    kernel = draw(st.tuples(*[st.integers(1, 4)] * rank))
    strides = draw(st.tuples(*[st.integers(1, 3)] * rank))
    arguments = {"kernel_size": kernel, "strides": strides, "padding": draw(padding)}
    return arguments, (*draw(st.tuples(*[st.integers(1, 4)] * rank)), draw(st.integers(1, 3)))


@NORMAL
@given(transposed(3), st.sampled_from(LAYOUTS), st.booleans())
def test_conv3d_transpose(case, layout, normalised):
    arguments, shape = case

    def build(x):
        y = layers.Conv3DTranspose(2, **arguments)(x)
        return layers.BatchNormalization()(y) if normalised else y

    assert_exact(build, shape, [layout])


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 5])
def test_every_conv2d_transpose(kernel, stride, size, padding):
    def build(x):
        y = layers.Conv2DTranspose(2, kernel, strides=stride, padding=padding, activation="relu")(x)
        return layers.BatchNormalization()(layers.Conv2DTranspose(3, (kernel, 3), strides=(stride, 2))(y))

    assert_exact(build, (size, 3, 2))


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize(("kernel", "extra"), [(3, 0), (3, 1), (4, 1), (5, 0)])
def test_output_padding(kernel, extra, padding):
    arguments = {"strides": 2, "padding": padding, "output_padding": extra}

    def build(x):
        return layers.Conv3DTranspose(2, kernel, **arguments)(x)

    def build2d(x):
        return layers.Conv2DTranspose(2, kernel, **arguments)(x)

    assert_exact(build, (3, 2, 4, 2))
    assert_exact(build2d, (3, 4, 2))


def test_depthwise_and_separable_2d():
    def build(x):
        x = layers.DepthwiseConv2D(3, strides=2, padding="same", depth_multiplier=2, use_bias=False)(x)
        x = layers.BatchNormalization()(x)
        x = layers.DepthwiseConv2D(3, dilation_rate=2, padding="same", activation="relu")(x)
        x = layers.SeparableConv2D(5, 3, padding="same", depth_multiplier=2, use_bias=False)(x)
        return layers.ReLU()(layers.BatchNormalization()(x))

    assert_exact(build, (9, 8, 3), LAYOUTS[:1])


class Convolutions(layers.Layer):
    """A layer that calls the operations on its own weights, as user code does."""

    def build(self, shape):
        self.kernel = self.add_weight((3,) * (len(shape) - 2) + (shape[-1], 4), name="kernel")
        self.back = self.add_weight((2,) * (len(shape) - 2) + (3, 4), name="back")

    def call(self, inputs):
        y = keras.ops.conv(inputs, self.kernel * 2, strides=2, padding="same")
        y = keras.ops.max_pool(y, 2, strides=1, padding="same")
        y = keras.ops.average_pool(y, 2, strides=1, padding="same")
        return keras.ops.conv_transpose(y, self.back, strides=2, padding="valid")


@pytest.mark.parametrize("shape", [(3, 6, 4, 2), (6, 4, 2)])
def test_convolution_operations_with_constant_kernels(shape):
    assert_exact(lambda x: Convolutions()(x), shape)
