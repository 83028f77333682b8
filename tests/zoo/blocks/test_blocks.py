"""The zoo's own layers against slow references."""

import itertools

import keras
import numpy as np
import pytest
from keras import layers, ops
from scipy import ndimage

from zoo.blocks.border import ZeroBorder
from zoo.blocks.depthwise import DepthwiseConv3D
from zoo.blocks.resample import LinearUpSampling3D
from zoo.blocks.swin import PatchMerging, SwinBlock
from zoo.errors import ZooError


@pytest.fixture
def random():
    return np.random.default_rng(0)


def run(layer, x):
    """A layer's value, and the same after its configuration went around."""
    value = ops.convert_to_numpy(layer(x))
    assert value.shape == tuple(layer.compute_output_shape(x.shape))
    again = type(layer).from_config(layer.get_config())
    again.build(x.shape)
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(ops.convert_to_numpy(again(x)), value)
    return value


@pytest.mark.parametrize("kernel", [3, (1, 3, 3), (3, 1, 1), (5, 3, 1)])
def test_depthwise_against_scipy(kernel, random):
    x = random.standard_normal((2, 6, 5, 7, 3)).astype("float32")
    layer = DepthwiseConv3D(kernel)
    value = run(layer, x)
    weights = ops.convert_to_numpy(layer.kernel)[..., 0]
    for sample, channel in itertools.product(range(2), range(3)):
        expected = ndimage.correlate(x[sample, ..., channel], weights[..., channel], mode="constant")
        np.testing.assert_allclose(value[sample, ..., channel], expected, rtol=1e-4, atol=1e-5)
    assert layer.macs(x.shape) == 6 * 5 * 7 * 3 * np.prod(layer.kernel_size)


def test_depthwise_refuses_even_kernels():
    with pytest.raises(ZooError, match="expected odd sizes"):
        DepthwiseConv3D((1, 2, 3))


@pytest.mark.parametrize("size", [2, (1, 2, 3), 4])
def test_linear_enlargement_against_scipy(size, random):
    x = random.standard_normal((1, 4, 3, 5, 2)).astype("float32")
    value = run(LinearUpSampling3D(size), x)
    factors = (size,) * 3 if isinstance(size, int) else size
    places = np.meshgrid(
        *((np.arange(n * f) + 0.5) / f - 0.5 for n, f in zip(x.shape[1:4], factors, strict=True)), indexing="ij"
    )
    for channel in range(2):
        expected = ndimage.map_coordinates(x[0, ..., channel], places, order=1, mode="nearest")
        np.testing.assert_allclose(value[0, ..., channel], expected, rtol=1e-4, atol=1e-5)


def test_linear_enlargement_is_that_of_keras_in_a_slice(random):
    x = random.standard_normal((2, 5, 6, 3)).astype("float32")
    enlarged = LinearUpSampling3D((1, 2, 2))(x[:, None])[:, 0]
    expected = layers.UpSampling2D(2, interpolation="bilinear")(x)
    np.testing.assert_allclose(enlarged, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("rank", [2, 3])
def test_border_against_numpy(rank, random):
    x = random.standard_normal((2, *range(3, 3 + rank), 2)).astype("float32")
    padding = ((1, 2), (0, 3), (2, 0))[:rank]
    np.testing.assert_array_equal(run(ZeroBorder(padding), x), np.pad(x, [(0, 0), *padding, (0, 0)]))


def test_border_before_a_convolution_in_a_graph(random):
    # TensorFlow merges its own padding into a "same" convolution, wrongly; this layer exists to avoid that.
    import tensorflow as tf

    x = random.standard_normal((1, 5, 5, 5, 1)).astype("float32")
    inputs = keras.Input(x.shape[1:])
    outputs = layers.Conv3D(2, 3, padding="same")(ZeroBorder(((1, 2),) * 3)(inputs))
    model = keras.Model(inputs, outputs)
    compiled = tf.function(lambda a: model(a))
    np.testing.assert_allclose(compiled(x), model(x), rtol=1e-5, atol=1e-6)


def swin_reference(x, layer):
    """One attention step of a Swin block, window by window in NumPy, on a 2D grid that divides, not shifted."""
    qkv = x @ np.asarray(layer.qkv.kernel) + np.asarray(layer.qkv.bias)
    channels, window = x.shape[-1], layer.window
    depth = channels // layer.heads
    table = np.asarray(layer.relative_bias).reshape(2 * window - 1, 2 * window - 1, layer.heads)
    out = np.zeros_like(x)
    for top, left in itertools.product(range(0, x.shape[0], window), range(0, x.shape[1], window)):
        cells = [(top + i, left + j) for i, j in itertools.product(range(window), repeat=2)]
        for head in range(layer.heads):
            part = [slice(k * channels + head * depth, k * channels + (head + 1) * depth) for k in range(3)]
            for q in cells:
                offsets = [(q[0] - k[0] + window - 1, q[1] - k[1] + window - 1) for k in cells]
                scores = np.array([qkv[q][part[0]] @ qkv[k][part[1]] for k in cells]) / depth**0.5
                scores += [table[(*o, head)] for o in offsets]
                share = np.exp(scores - scores.max())
                share /= share.sum()
                out[q][head * depth : (head + 1) * depth] = sum(
                    s * qkv[k][part[2]] for s, k in zip(share, cells, strict=True)
                )
    return out @ np.asarray(layer.project.kernel) + np.asarray(layer.project.bias)


def test_window_attention_against_loops(random):
    x = random.standard_normal((1, 6, 9, 8)).astype("float32")
    layer = SwinBlock(heads=2, window=3)
    run(layer, x)
    layer.relative_bias.assign(random.standard_normal(layer.relative_bias.shape))
    normed = ops.convert_to_numpy(layer.attention_norm(x))
    attended = ops.convert_to_numpy(layer._attend(ops.convert_to_tensor(normed)))
    np.testing.assert_allclose(attended[0], swin_reference(normed[0], layer), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("rank", [2, 3])
def test_shifted_windows_stay_local(rank, random):
    # A voxel at one end must not be seen at the other, though the shift rolls both into one window.
    size = (8,) * rank
    layer = SwinBlock(heads=1, window=4, shifted=True)
    x = random.standard_normal((1, *size, 4)).astype("float32")
    before = run(layer, x)
    changed = x.copy()
    changed[(0, *(0,) * rank, 0)] += 1
    moved = np.abs(ops.convert_to_numpy(layer(changed)) - before).max(axis=(0, -1)) > 1e-6
    reached = np.argwhere(moved)
    assert moved[(0,) * rank]
    assert reached.max() == 1


def test_windows_larger_than_the_grid(random):
    for shifted in (False, True):
        value = run(
            SwinBlock(heads=1, window=7, shifted=shifted), random.standard_normal((1, 2, 9, 4)).astype("float32")
        )
        assert np.isfinite(value).all()


def test_patch_merging_sees_its_block_only(random):
    x = random.standard_normal((1, 4, 6, 3)).astype("float32")
    layer = PatchMerging()
    before = run(layer, x)
    changed = x.copy()
    changed[0, 2, 3] += 1
    moved = np.abs(ops.convert_to_numpy(layer(changed)) - before).max(axis=-1)[0] > 0
    assert np.argwhere(moved).tolist() == [[1, 1]]
