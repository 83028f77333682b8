"""Layers that stand in for Keras' own while TensorFlow trains, against those, and the compiled loss."""

import dataclasses
import os
import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny import make_plan

from train import fused, fused_layers
from train.fit import network
from train.plan import Network
from zoo import losses


# The kernel that applies the ReLU as well takes channels by fours.
@pytest.mark.parametrize(("name", "width"), [("unet", 4), ("unet3d", 4), ("unet3d", 6)])
def test_stand_in_layers_compute_what_keras_does(name, width, dataset):
    plan = make_plan(dataset)
    patch = (16, 16, 8)[: 2 if name == "unet" else 3]
    plan = dataclasses.replace(plan, network=Network(name, {"width": width, "depth": 2}), patch=patch)
    model = network(plan)
    copy = fused.fuse(model)
    swapped = [layer for layer in copy.layers if isinstance(layer, fused_layers.FusedBatchNormalization)]
    assert len(swapped) == sum(isinstance(layer, keras.layers.BatchNormalization) for layer in model.layers) > 0
    rectified = [layer for layer in swapped if layer.rectified]
    if fused_layers.has_normalized_relu("float32") and not tf.config.list_physical_devices("GPU"):
        assert len(rectified) == sum(layer.output.shape[-1] % 4 == 0 for layer in swapped) > 0
    assert all(type(layer).from_config(layer.get_config()).rectified for layer in rectified)
    image = tf.random.stateless_normal((2, *patch, 1), (1, 2), 0.5, 2.0)
    results = []
    for each in (model, copy):
        with tf.GradientTape() as tape:
            logits = each(image, training=True)
            loss = tf.reduce_mean(logits[..., 0] ** 2 + tf.sin(logits[..., 1]))
        results.append((logits, tape.gradient(loss, each.trainable_variables), each(image, training=False)))
    np.testing.assert_allclose(results[0][0], results[1][0], atol=1e-4)
    for variable, gradient, other in zip(model.trainable_variables, results[0][1], results[1][1], strict=True):
        np.testing.assert_allclose(gradient, other, atol=1e-4, err_msg=variable.path)
    # The inference pass ran on the moving statistics that the training pass left.
    np.testing.assert_allclose(results[0][2], results[1][2], atol=1e-4)
    for weight, other in zip(model.non_trainable_weights, copy.non_trainable_weights, strict=True):
        np.testing.assert_allclose(weight.numpy(), other.numpy(), atol=1e-5, err_msg=weight.path)


def test_the_kernel_of_both_is_found_where_it_is():
    """TensorFlow switches oneDNN on by itself where a processor has VNNI; without it nothing above would be fused."""
    information = pathlib.Path("/proc/cpuinfo")
    switched_on = information.is_file() and "avx512_vnni" in information.read_text(encoding="utf-8")
    switched_on &= os.environ.get("TF_ENABLE_ONEDNN_OPTS", "1") == "1" and not tf.config.list_physical_devices("GPU")
    assert fused_layers.has_normalized_relu("float32") or not switched_on


@pytest.mark.parametrize("kind", ["float32", "bfloat16"])
def test_normalisation_and_relu_in_one_are_the_two(kind):
    if not fused_layers.has_normalized_relu(kind):
        pytest.skip(f"no kernel of {kind} here")
    image = tf.cast(tf.random.stateless_normal((2, 6, 5, 8), (1, 2), 0.5, 2.0), kind)
    scale, offset = tf.linspace(0.5, 2.0, 8), tf.linspace(-1.0, 1.0, 8)
    upstream = tf.cast(tf.random.stateless_normal(image.shape, (3, 4)), kind)

    def apart(x, gamma, beta):
        found, *rest = tf.compat.v1.nn.fused_batch_norm(x, gamma, beta, epsilon=1e-3, is_training=True)
        return tf.nn.relu(found), *rest[:2]

    results = []
    for each in (apart, lambda *given: fused_layers.normalized_relu(*given, 1e-3)):
        with tf.GradientTape() as tape:
            tape.watch([image, scale, offset])
            result, mean, variance = each(image, scale, offset)
        results.append((result, mean, variance, *tape.gradient(result, [image, scale, offset], upstream)))
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(tf.cast(one, tf.float32), tf.cast(other, tf.float32), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("rank", [2, 3])
def test_transposed_convolutions_add_their_bias(rank):
    kind = {2: keras.layers.Conv2DTranspose, 3: keras.layers.Conv3DTranspose}[rank]
    layer = kind(8, 2, strides=2, dtype="mixed_bfloat16")
    layer.build((2, *(6,) * rank, 3))
    layer.bias.assign(np.linspace(-2, 2, 8))
    other = fused_layers.FUSED_BIAS[kind].from_config(layer.get_config())
    other.build((2, *(6,) * rank, 3))
    other.set_weights(layer.get_weights())
    image = tf.cast(tf.random.stateless_normal((2, *(6,) * rank, 3), (1, 2)), tf.bfloat16)
    upstream = tf.cast(tf.random.stateless_normal((2, *(12,) * rank, 8), (3, 4), 1.0), tf.bfloat16)
    results = []
    for each in (layer, other):
        with tf.GradientTape() as tape:
            result = each(image)
        results.append((result, *tape.gradient(result, each.trainable_variables, upstream)))
    # Without oneDNN the last of the eight bits may be rounded otherwise.
    outputs = (tf.cast(found[0], tf.float32) for found in results)
    np.testing.assert_allclose(*outputs, rtol=2**-7, atol=1e-6)
    np.testing.assert_array_equal(results[0][1], results[1][1])
    summed = tf.reduce_sum(tf.cast(upstream, tf.float32), range(rank + 1))
    np.testing.assert_allclose(results[1][2], summed, rtol=0.01)


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
    results = []
    for loss in (losses.get("dice_ce"), fused.compiled(losses.get("dice_ce"))):
        with tf.GradientTape() as tape:
            tape.watch(logits)
            value = loss(labels, logits)
        results.append((value, tape.gradient(value, logits)))
    np.testing.assert_allclose(results[0][0], results[1][0], rtol=1e-6)
    np.testing.assert_allclose(results[0][1], results[1][1], rtol=1e-4, atol=1e-7)


def test_relus_behind_no_normalization_are_swapped_in_bfloat16_only(dataset):
    count = {}
    for precision in ("float32", "mixed_bfloat16"):
        image = keras.Input((8, 8, 1), 2, dtype="float32")
        values = keras.layers.Conv2D(4, 3, padding="same", dtype=precision)(image)
        model = keras.Model(image, keras.layers.ReLU(dtype=precision)(values))
        count[precision] = sum(isinstance(x, fused_layers.IntegerRelu) for x in fused.fuse(model).layers)
    assert count == {"float32": 0, "mixed_bfloat16": 0 if tf.config.list_physical_devices("GPU") else 1}
