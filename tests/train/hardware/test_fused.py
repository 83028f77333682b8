"""Layers that stand in for Keras' own while TensorFlow trains, against those, and the compiled loss."""

import dataclasses
import os
import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny import make_plan

from train.fitting.fit import network
from train.hardware import fused, fused_layers
from train.planning.plan import Network
from zoo import losses

EPSILON = 1e-3


def far_from_zero(shape, seed):
    """Values of which every channel has as many of either sign and none near 0, where a rounding could flip a ReLU."""
    random = np.random.default_rng(seed)
    signs = np.where(np.arange(np.prod(shape[:-1])) % 2, 1.0, -1.0)[:, None]
    signs = random.permuted(np.repeat(signs, shape[-1], axis=1), axis=0)
    return random.uniform(1.0, 1.5, shape) * signs.reshape(shape)


def normalized(image, scale, offset, upstream, rectified):
    """Batch normalisation, with a ReLU perhaps, in double precision by its formulas (Ioffe and Szegedy 2015).

    Returns:
        The result, the batch's mean and biased variance, and the gradients of image, scale and offset.
    """
    axes, count = tuple(range(image.ndim - 1)), image[..., 0].size
    mean, variance = image.mean(axes), image.var(axes)
    inverse = 1 / np.sqrt(variance + EPSILON)
    standard = (image - mean) * inverse
    result = scale * standard + offset
    assert np.abs(result).min() > 0.05  # else the ReLU would depend on a rounding
    if rectified:
        upstream = upstream * (result > 0)
        result = np.maximum(result, 0)
    of_offset, of_scale = upstream.sum(axes), (upstream * standard).sum(axes)
    of_image = scale * inverse / count * (count * upstream - of_offset - standard * of_scale)
    return result, mean, variance, of_image, of_scale, of_offset


def assert_near(computed, expected, share):
    """Require an error below a share of the largest value."""
    computed, expected = np.asarray(tf.cast(computed, tf.float64)), np.asarray(expected)
    np.testing.assert_allclose(computed, expected, rtol=0, atol=share * np.abs(expected).max())


# The kernel that applies the ReLU as well takes channels by fours.
@pytest.mark.parametrize(("name", "width"), [("unet", 4), ("unet3d", 4), ("unet3d", 6)])
def test_a_fused_network_has_stand_in_layers_where_they_serve_and_is_wired_as_before(name, width, dataset):
    plan = make_plan(dataset)
    patch = (16, 16, 8)[: 2 if name == "unet" else 3]
    plan = dataclasses.replace(plan, network=Network(name, {"width": width, "depth": 2}), patch=patch)
    model = network(plan)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):  # no stand-in may pass for the identity
            layer.moving_mean.assign(np.linspace(-0.3, 0.3, layer.moving_mean.shape[0]))
            layer.moving_variance.assign(np.linspace(0.5, 2.0, layer.moving_mean.shape[0]))
    copy = fused.fuse(model)
    swapped = [layer for layer in copy.layers if isinstance(layer, fused_layers.FusedBatchNormalization)]
    assert len(swapped) == sum(isinstance(layer, keras.layers.BatchNormalization) for layer in model.layers) > 0
    rectified = [layer for layer in swapped if layer.rectified]
    if fused_layers.has_normalized_relu("float32") and not tf.config.list_physical_devices("GPU"):
        assert len(rectified) == sum(layer.output.shape[-1] % 4 == 0 for layer in swapped) > 0
    assert all(type(layer).from_config(layer.get_config()).rectified for layer in rectified)
    # Only the wiring is looked at here: outputs are continuous, so that roundings change them by a millionth. What the
    # layers compute, gradients included, is compared layer by layer below.
    image = tf.random.stateless_normal((2, *patch, 1), (1, 2), 0.5, 2.0)
    for training in (False, True):
        assert_near(copy(image, training=training), model(image, training=training), 1e-3)
    for weight, copied in zip(model.non_trainable_weights, copy.non_trainable_weights, strict=True):
        assert weight.path == copied.path
        assert_near(copied.value, weight.value, 1e-3)


@pytest.mark.parametrize("rectified", [False, True])
@pytest.mark.parametrize("shape", [(2, 12, 10, 4), (2, 6, 5, 4, 8), (2, 6, 5, 4, 6)])
def test_a_stand_in_normalization_is_the_formula(shape, rectified):
    if rectified and (shape[-1] % 4 or not fused_layers.has_normalized_relu("float32")):
        rectified = False  # fuse() leaves the ReLU to Keras there
    image, upstream = far_from_zero(shape, 0), np.random.default_rng(1).normal(size=shape)
    scale, offset = np.linspace(0.5, 2.0, shape[-1]), np.linspace(-0.2, 0.2, shape[-1])
    layer = fused_layers.FusedBatchNormalization(rectified=rectified, epsilon=EPSILON, momentum=0.9)
    layer.build(shape)
    layer.gamma.assign(scale)
    layer.beta.assign(offset)
    given = tf.constant(image, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(given)
        result = layer(given, training=True)
    sources = [given, layer.gamma.value, layer.beta.value]
    gradients = tape.gradient(result, sources, tf.constant(upstream, tf.float32))
    expected, mean, variance, *derived = normalized(image, scale, offset, upstream, rectified)
    assert_near(result, expected, 1e-5)
    for gradient, value in zip(gradients, derived, strict=True):
        assert_near(gradient, value, 1e-4)
    assert_near(layer.moving_mean.value, 0.1 * mean, 1e-5)
    assert_near(layer.moving_variance.value, 0.9 + 0.1 * variance, 1e-5)
    plain = scale * (image - 0.1 * mean) / np.sqrt(0.9 + 0.1 * variance + EPSILON) + offset
    assert_near(layer(given, training=False), np.maximum(plain, 0) if rectified else plain, 1e-5)


def test_the_kernel_of_both_is_found_where_it_is():
    """TensorFlow switches oneDNN on by itself where a processor has VNNI; without it nothing above would be fused."""
    information = pathlib.Path("/proc/cpuinfo")
    switched_on = information.is_file() and "avx512_vnni" in information.read_text(encoding="utf-8")
    switched_on &= os.environ.get("TF_ENABLE_ONEDNN_OPTS", "1") == "1" and not tf.config.list_physical_devices("GPU")
    assert fused_layers.has_normalized_relu("float32") or not switched_on


@pytest.mark.parametrize("kind", ["float32", "bfloat16"])
def test_normalisation_and_relu_in_one_are_the_two_or_are_not_asked_for(kind):
    if not fused_layers.has_normalized_relu(kind):  # a processor that lacks the kernel
        policy = {"float32": "float32", "bfloat16": "mixed_bfloat16"}[kind]
        image = keras.Input((8, 8, 4), dtype=kind)
        values = keras.layers.ReLU(dtype=policy)(keras.layers.BatchNormalization(dtype=policy)(image))
        copy = fused.fuse(keras.Model(image, values))
        assert not any(getattr(layer, "rectified", False) for layer in copy.layers)
        return
    rounded = {"float32": 2.0**-17, "bfloat16": 2.0**-7}[kind]
    image = tf.cast(far_from_zero((2, 6, 5, 8), 0), kind)
    upstream = tf.cast(np.random.default_rng(1).normal(size=image.shape), kind)
    scale, offset = tf.linspace(0.5, 2.0, 8), tf.linspace(-0.2, 0.2, 8)
    with tf.GradientTape() as tape:
        tape.watch([image, scale, offset])
        result, mean, variance = fused_layers.normalized_relu(image, scale, offset, EPSILON)
    computed = (result, mean, variance, *tape.gradient(result, [image, scale, offset], upstream))
    doubles = (np.asarray(tf.cast(each, tf.float64)) for each in (image, scale, offset, upstream))
    expected = list(normalized(*doubles, rectified=True))
    expected[2] *= 60 / 59  # the kernel's is unbiased
    for actual, reference in zip(computed, expected, strict=True):
        assert_near(actual, reference, rounded)


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("rank", [2, 3])
def test_transposed_convolutions_add_their_bias(rank, policy):
    kind = {2: keras.layers.Conv2DTranspose, 3: keras.layers.Conv3DTranspose}[rank]
    layer = fused_layers.FUSED_BIAS[kind](8, 2, strides=2, dtype=policy)
    layer.build((2, *(6,) * rank, 3))
    layer.bias.assign(np.linspace(-2, 2, 8))
    exact = kind(8, 2, strides=2, dtype="float64")
    exact.build((2, *(6,) * rank, 3))
    kind = layer.compute_dtype
    exact.set_weights([tf.cast(tf.cast(weight, kind), tf.float64) for weight in layer.get_weights()])
    image = tf.cast(tf.random.stateless_normal((2, *(6,) * rank, 3), (1, 2)), kind)
    upstream = tf.cast(tf.random.stateless_normal((2, *(12,) * rank, 8), (3, 4), 1.0), kind)
    results = []
    for each, given in ((layer, image), (exact, tf.cast(image, tf.float64))):
        with tf.GradientTape() as tape:
            result = each(given)
        sources = [weight.value for weight in each.trainable_variables]
        results.append((result, *tape.gradient(result, sources, tf.cast(upstream, result.dtype))))
    rounded = 2**-7 if kind == "bfloat16" else 2**-17
    # The kernel's gradient is TensorFlow's own, which without oneDNN sums in bfloat16.
    for computed, expected, share in zip(*results, (rounded, 16 * rounded, rounded), strict=True):
        assert_near(computed, expected, share)


def test_integer_relu_is_relu():
    values = tf.concat([tf.random.stateless_normal((1000,), (1, 2)), [0.0, -0.0, np.inf, -np.inf]], 0)
    values = tf.cast(values, tf.bfloat16)
    layer = fused_layers.IntegerRelu(dtype="mixed_bfloat16")
    upstream = tf.cast(tf.random.stateless_normal(values.shape, (3, 4)), tf.bfloat16)
    results = []
    for relu in (tf.nn.relu, layer):
        with tf.GradientTape() as tape:
            tape.watch(values)
            result = relu(values)
        results.append((result, tape.gradient(result, values, upstream)))
    for first, second in zip(*results, strict=True):
        np.testing.assert_array_equal(tf.cast(first, tf.float32), tf.cast(second, tf.float32))


def test_a_compiled_loss_is_the_loss():
    labels = np.random.default_rng(0).integers(0, 3, (2, 8, 8)).astype(np.int32)
    logits = tf.random.stateless_normal((2, 8, 8, 3), (1, 2))
    exact = losses.get("dice_ce")
    exact = type(exact).from_config(exact.get_config() | {"dtype": "float64"})
    results = []
    for loss, given in ((fused.compiled(losses.get("dice_ce")), logits), (exact, tf.cast(logits, tf.float64))):
        with tf.GradientTape() as tape:
            tape.watch(given)
            value = loss(labels, given)
        results.append((value, tape.gradient(value, given)))
    assert results[1][0].dtype == results[1][1].dtype == tf.float64
    for computed, expected in zip(*results, strict=True):
        assert_near(computed, expected, 1e-5)


def test_relus_behind_no_normalization_are_swapped_in_bfloat16_only(dataset):
    count = {}
    for precision in ("float32", "mixed_bfloat16"):
        image = keras.Input((8, 8, 1), 2, dtype="float32")
        values = keras.layers.Conv2D(4, 3, padding="same", dtype=precision)(image)
        model = keras.Model(image, keras.layers.ReLU(dtype=precision)(values))
        count[precision] = sum(isinstance(x, fused_layers.IntegerRelu) for x in fused.fuse(model).layers)
    assert count == {"float32": 0, "mixed_bfloat16": 0 if tf.config.list_physical_devices("GPU") else 1}
