"""Pooling, normalisation, activation, resampling and joining, rewritten, equal Keras' own."""

import keras
import numpy as np
import pytest
from export_rewriting import LAYOUTS, assert_exact, begins_at_the_first_voxel
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from keras import layers, ops

from export.rewrite import rewrite

QUICK = LAYOUTS[:1]
SIZE = {layers.MaxPooling3D: "pool_size", layers.AveragePooling3D: "pool_size", layers.Conv3D: "kernel_size"}
PROPERTY = settings(max_examples=40, deadline=None, derandomize=True)


@PROPERTY
@given(
    kind=st.sampled_from([layers.MaxPooling3D, layers.AveragePooling3D]),
    size=st.tuples(*[st.integers(1, 3)] * 3),
    strides=st.one_of(st.none(), st.tuples(*[st.integers(1, 3)] * 3)),
    padding=st.sampled_from(["same", "valid"]),
    spatial=st.tuples(*[st.integers(3, 7)] * 3),
)
def test_pooling(kind, size, strides, padding, spatial):
    assume(begins_at_the_first_voxel(size, strides, padding))
    assert_exact(lambda x: kind(size, strides=strides, padding=padding)(x), (*spatial, 2), QUICK)


@pytest.mark.parametrize("kind", [layers.MaxPooling3D, layers.AveragePooling3D, layers.Conv3D])
def test_a_stride_longer_than_its_window_begins_at_the_first_voxel(kind):
    source = keras.Input((4, 3, 7, 1))
    arguments = {"filters": 1, "kernel_initializer": "ones"} if kind is layers.Conv3D else {}
    model = keras.Model(source, kind(**arguments, **{SIZE[kind]: 1}, strides=3, padding="same")(source))
    image = np.random.default_rng(0).normal(size=(4, 3, 7, 1)).astype("float32")
    assert np.array_equal(rewrite(model, (4, 3, 7))(image), image[::3, ::3, ::3])


def test_mean_at_the_border_counts_only_voxels_inside():
    image = np.ones((1, 3, 3, 3, 1), np.float32)
    source = keras.Input((3, 3, 3, 1))
    model = keras.Model(source, layers.AveragePooling3D(2, padding="same")(source))
    assert np.array_equal(rewrite(model, (3, 3, 3))(image[0]), np.ones((2, 2, 2, 1), np.float32))


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("depth", [1, 5])
@pytest.mark.parametrize("kind", [layers.GlobalAveragePooling3D, layers.GlobalMaxPooling3D])
def test_global_pooling(kind, depth, keepdims):
    assert_exact(lambda x: kind(keepdims=keepdims)(x), (depth, 4, 3, 2), QUICK)


@pytest.mark.parametrize("size", [1, 2, (3, 2, 4), (5, 4, 6)])
@pytest.mark.parametrize(
    ("kind", "reduce"), [(layers.AdaptiveAveragePooling3D, np.mean), (layers.AdaptiveMaxPooling3D, np.max)]
)
def test_adaptive_pooling(kind, reduce, size):
    # against NumPy: Keras' own maximum ends the process on a CPU for some of these sizes
    source = keras.Input((5, 4, 6, 2))
    model = keras.Model(source, kind(size)(source))
    image = np.random.default_rng(0).normal(size=(5, 4, 6, 2)).astype("float32")
    expected = image
    for axis, count in enumerate((size,) * 3 if isinstance(size, int) else size):
        n = image.shape[axis]
        bounds = [(int(np.floor(i * n / count)), int(np.ceil((i + 1) * n / count))) for i in range(count)]
        parts = [reduce(expected.take(range(*b), axis), axis=axis, keepdims=True) for b in bounds]
        expected = np.concatenate(parts, axis)
    np.testing.assert_allclose(rewrite(model, (5, 4, 6))(image), expected, rtol=1e-5, atol=1e-6)


@PROPERTY
@given(
    size=st.tuples(*[st.integers(1, 3)] * 3),
    padding=st.tuples(*[st.tuples(st.integers(0, 2), st.integers(0, 2))] * 3),
    cropping=st.tuples(*[st.tuples(st.integers(0, 1), st.integers(0, 1))] * 3),
    spatial=st.tuples(*[st.integers(3, 4)] * 3),
)
def test_up_sampling_padding_and_cropping(size, padding, cropping, spatial):
    def build(x):
        x = layers.Cropping3D(cropping)(layers.ZeroPadding3D(padding)(x))
        return layers.UpSampling3D(size)(x)

    assert_exact(build, (*spatial, 2), QUICK)


@pytest.mark.parametrize("axis", [-1, 1, 3])
@pytest.mark.parametrize("options", [{}, {"scale": False}, {"center": False}, {"epsilon": 0.1}])
def test_batch_normalisation_on_its_own(axis, options):
    def build(x):
        x = layers.BatchNormalization(axis=axis, **options)(x)
        return layers.Conv3D(2, 3)(layers.ReLU()(x))

    assert_exact(build, (4, 3, 5, 2), QUICK)


NORMALISATIONS = {
    "group": lambda: layers.GroupNormalization(2),
    "group without scale": lambda: layers.GroupNormalization(2, scale=False, center=False, epsilon=0.1),
    "group along depth": lambda: layers.GroupNormalization(3, axis=1),
    "instance": lambda: layers.GroupNormalization(-1),
    "one group": lambda: layers.GroupNormalization(1),
    "layer": lambda: layers.LayerNormalization(),
    "layer along two axes": lambda: layers.LayerNormalization(axis=(2, -1), center=False),
    "layer over all": lambda: layers.LayerNormalization(axis=(1, 2, 3)),
    "root mean square": lambda: layers.RMSNormalization(),
    "unit": lambda: layers.UnitNormalization(),
    "spectral": lambda: layers.SpectralNormalization(layers.Dense(3)),
}


@pytest.mark.parametrize("rank", [2, 3])
@pytest.mark.parametrize("name", NORMALISATIONS)
def test_normalisation(name, rank):
    assert_exact(lambda x: NORMALISATIONS[name]()(x), (6, 5, 6, 4)[-rank - 1 :] if rank == 3 else (6, 3, 4), QUICK)


@pytest.mark.parametrize("invert", [False, True])
@pytest.mark.parametrize("shape", [(3, 4, 5, 2), (4, 5, 2)])
def test_preprocessing_layers(shape, invert):
    adapted = layers.Normalization(invert=invert)
    adapted.adapt(np.random.default_rng(0).normal(3, 2, (4, *shape)))

    def build(x):
        x = adapted(layers.Normalization(mean=[1.0, 2.0], variance=[4.0, 0.5])(x))
        return layers.Rescaling([0.5, 2.0], offset=[1.0, 3.0])(x)

    assert_exact(build, shape, QUICK)


ACTIVATIONS = {
    "relu": lambda: layers.ReLU(max_value=1.0, negative_slope=0.1, threshold=0.2),
    "leaky": lambda: layers.LeakyReLU(0.2),
    "elu": lambda: layers.ELU(0.7),
    "prelu": lambda: layers.PReLU(shared_axes=(1, 2, 3)),
    "prelu, a slope a voxel": lambda: layers.PReLU(),
    "prelu, shared over depth": lambda: layers.PReLU(shared_axes=(1,)),
    "prelu, a slope a slice": lambda: layers.PReLU(shared_axes=(2, 3)),
    "one prelu": lambda: layers.PReLU(shared_axes=(1, 2, 3, 4)),
    "silu": lambda: layers.Activation("silu"),
    "gelu": lambda: layers.Activation("gelu"),
    "hard_silu": lambda: layers.Activation("hard_silu"),
    "a function": lambda: layers.Activation(lambda x: ops.tanh(x) * x),
    "softmax": lambda: layers.Softmax(),
    "softmax along depth": lambda: layers.Softmax(axis=1),
    "softmax of the volume": lambda: layers.Softmax(axis=[1, 2, 3]),
    "dropout": lambda: layers.Dropout(0.5),
    "spatial dropout": lambda: layers.SpatialDropout3D(0.5),
    "noise": lambda: layers.GaussianNoise(0.5),
    "identity": lambda: layers.Identity(),
    "dense": lambda: layers.Dense(3, activation="sigmoid"),
    "dense of an equation": lambda: layers.EinsumDense("abcde,ef->abcdf", (None, None, None, 3), bias_axes="f"),
    "permutation": lambda: layers.Permute((3, 1, 2, 4)),
    "lambda": lambda: layers.Lambda(lambda x: x[:, ::-1, 1:] * 2),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_layers_on_each_voxel(name):
    assert_exact(lambda x: ACTIVATIONS[name]()(x), (3, 4, 5, 2), QUICK)


def test_softmax_with_a_mask():
    mask = np.random.default_rng(0).random((1, 3, 4, 5, 2)) > 0.3
    assert_exact(lambda x: layers.Softmax()(x, mask=ops.convert_to_tensor(mask)), (3, 4, 5, 2), QUICK)


MERGES = [layers.Add, layers.Subtract, layers.Multiply, layers.Average, layers.Maximum, layers.Minimum]


@pytest.mark.parametrize("lower", ["volume", "voxel", "vector", "plane"])
@pytest.mark.parametrize("kind", MERGES)
def test_merging_with_a_tensor_of_lower_rank(kind, lower):
    def build(x):
        lower_tensor = {
            "volume": lambda: layers.ReLU()(x),
            "voxel": lambda: layers.GlobalMaxPooling3D(keepdims=True)(x),
            "vector": lambda: layers.GlobalMaxPooling3D()(x),
            "plane": lambda: x[:, 0],
        }[lower]()
        return kind()([x, lower_tensor])

    assert_exact(build, (5, 4, 3, 2), QUICK)


@pytest.mark.parametrize("axis", [1, 2, 3, 4, -1, -2])
def test_concatenation_along_any_axis(axis):
    def build(x):
        y = layers.Concatenate(axis=axis)([x, layers.ReLU()(x), x])
        return ops.concatenate([y, y], axis=axis)

    assert_exact(build, (2, 3, 4, 2), QUICK)


REDUCTIONS = [ops.mean, ops.sum, ops.max, ops.min, ops.var, ops.std, ops.prod, ops.logsumexp]


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", [None, 1, -1, (1, 2, 3), (2, -1)])
@pytest.mark.parametrize("reduce", REDUCTIONS)
def test_reductions(reduce, axis, keepdims):
    def build(x):
        y = reduce(x, axis=axis, keepdims=keepdims)
        return y if axis is not None else x * y

    assert_exact(build, (3, 4, 2, 3), QUICK)


OPERATIONS = {
    "arithmetic": lambda x: (2.0 - x) / (ops.abs(x) + 1.5) ** 2 + ops.exp(-ops.square(x)) * ops.sqrt(ops.abs(x) + 0.1),
    "constants of every rank": lambda x: (
        x * np.ones((1, 1, 4, 3, 2), "f") + np.ones((4, 3, 2), "f") * np.float32(3) - np.ones(2, "f")
    ),
    "comparison": lambda x: ops.where(x > 0, x, ops.minimum(x, -1.0)) + ops.cast(x < 0.5, "float32"),
    "casts": lambda x: ops.cast(ops.cast(x, "float32"), "float32") + ops.stop_gradient(x),
    "slices": lambda x: x[:, 1:, ..., :1] * x[:, :1, ::-1, :, 1:],
    "an axis less": lambda x: x[:, 0] + ops.squeeze(ops.mean(x, axis=1, keepdims=True), 1),
    "new axes": lambda x: ops.reshape(ops.stack([x, 2 * x], axis=2), (-1, 10, 4, 3, 2)),
    "rank six": lambda x: ops.sum(ops.expand_dims(x, 1) * ops.stack([x, x + 1], axis=1), axis=1),
    "tiles and turns": lambda x: ops.roll(ops.flip(ops.repeat(ops.tile(x, (1, 2, 1, 1, 1)), 2, axis=3), 2), 1, axis=1),
    "transposition": lambda x: ops.matmul(ops.transpose(x, (0, 3, 1, 4, 2)), ops.moveaxis(x, -2, 1)),
    "einsum": lambda x: ops.einsum("bdhwc,bdhwe->bhce", x, ops.relu(x)),
    "padding": lambda x: ops.pad(x, ((0, 0), (1, 0), (0, 2), (1, 1), (0, 0)), constant_values=0.5),
    "split": lambda x: ops.split(x, 2, axis=-1)[1] + ops.split(x, 5, axis=1)[2],
    "normalise": lambda x: ops.softmax(ops.normalize(x, axis=-1), axis=2),
    "gate": lambda x: (
        x * ops.sigmoid(ops.mean(x, axis=-1, keepdims=True)) * ops.max(x, axis=(1, 2, 3))[:, None, None, None]
    ),
    "moments": lambda x: (x - ops.moments(x, (1, 2, 3), keepdims=True)[0]) * ops.rsqrt(ops.var(x) + 0.1),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations(name):
    assert_exact(OPERATIONS[name], (5, 4, 3, 2), QUICK)
