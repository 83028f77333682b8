"""Fake quantization: values, straight-through gradients, where it is put, and back to the float network."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import zoo
from zoo import quantization
from zoo.errors import ZooError
from zoo.quantization.scales import largest


def small(image, norm=True):
    x = layers.Conv2D(6, 3, padding="same", use_bias=not norm, name="one")(image)
    x = layers.BatchNormalization(name="one_norm")(x) if norm else x
    x = skip = layers.ReLU(name="one_act")(x)
    x = layers.MaxPooling2D(2, name="down")(x)
    x = layers.Conv2D(6, 3, padding="same", activation="relu", name="two")(x)
    x = layers.Conv2DTranspose(6, 2, strides=2, name="up")(x)
    x = layers.Concatenate(name="join")([x, skip])
    return layers.Conv2D(2, 1, name="logits")(x)


@pytest.fixture
def model():
    keras.utils.set_random_seed(0)
    image = keras.Input((16, 16, 1), name="image")
    made = keras.Model(image, small(image), name="small")
    random = np.random.default_rng(0)
    made.get_layer("one_norm").set_weights(
        [random.uniform(0.5, 2, 6), random.normal(size=6), random.normal(size=6), random.uniform(0.5, 2, 6)]
    )
    return made


@pytest.fixture
def images():
    return np.random.default_rng(1).normal(size=(4, 16, 16, 1)).astype("float32")


def test_values_are_multiples_of_the_step_and_zero_is_one_of_them():
    x = np.linspace(-3, 9, 1001).astype("float32")
    y = np.asarray(quantization.fake_quantize(x, -1.0, 4.0))
    step = np.float32(5 / 255)
    assert len(np.unique(y)) == 256
    np.testing.assert_allclose(y / step, np.rint(y / step), atol=1e-4)
    inside = (x > -1) & (x < 4)
    assert np.abs(y - x)[inside].max() <= step * 0.501
    assert np.asarray(quantization.fake_quantize(np.zeros(1, "float32"), -1.0, 4.0)) == 0
    np.testing.assert_array_equal(quantization.fake_quantize(x, 0.0, 0.0), x)


def test_gradient_passes_through_the_rounding_and_stops_outside_the_range():
    x = tf.constant([-2.0, -0.5, 0.013, 3.3, 4.5])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = quantization.fake_quantize(x, tf.constant(-1.0), tf.constant(4.0))
    np.testing.assert_array_equal(tape.gradient(y, x), [0, 1, 1, 1, 0])
    kernel = tf.constant([[0.3, -0.011], [2.0, 0.5]])
    with tf.GradientTape() as tape:
        tape.watch(kernel)
        held = quantization.fake_quantize_kernel(kernel, tf.reduce_max(tf.abs(kernel)))
    np.testing.assert_array_equal(tape.gradient(held, kernel), np.ones((2, 2)))
    np.testing.assert_allclose(held, np.rint(kernel * 127 / 2) * 2 / 127, rtol=1e-6)


@pytest.mark.parametrize(
    ("layer", "shape", "weights", "shared"),
    [
        (layers.Conv3D(4, 3), (3, 3, 3, 2, 4), "per-channel", (0, 1, 2, 3)),
        (layers.Conv3D(4, 3), (3, 3, 3, 2, 4), "per-tensor", (0, 1, 2, 3, 4)),
        (layers.DepthwiseConv2D(3), (3, 3, 4, 1), "per-channel", (0, 1)),
        (layers.DepthwiseConv2D(3), (3, 3, 4, 1), "per-tensor", (0, 1, 2, 3)),
        (layers.Dense(5), (4, 5), "per-channel", (0,)),
        # kernel = stride: every tap is a channel of the sub-pixel convolution, every slice a convolution
        (layers.Conv3DTranspose(4, 2, strides=2), (2, 2, 2, 4, 3), "per-channel", (4,)),
        (layers.Conv3DTranspose(4, 2, strides=2), (2, 2, 2, 4, 3), "per-tensor", (1, 2, 3, 4)),
        (layers.Conv2DTranspose(4, 3, strides=1), (3, 3, 4, 3), "per-channel", (0, 1, 3)),
    ],
)
def test_weights_that_share_a_scale(layer, shape, weights, shared):
    kernel = np.random.default_rng(0).normal(size=shape).astype("float32")
    extremes = np.broadcast_to(np.asarray(largest(layer, kernel, weights)), shape)
    np.testing.assert_array_equal(extremes, np.broadcast_to(np.abs(kernel).max(shared, keepdims=True), shape))


def test_taps_a_stride_apart_share_a_scale():
    kernel = np.arange(1.0, 4.0).reshape(3, 1, 1).astype("float32")
    extremes = largest(layers.Conv1DTranspose(1, 3, strides=2), kernel, "per-channel")
    np.testing.assert_array_equal(np.ravel(extremes), [3, 2, 3])


def test_folded_normalisation_and_every_place(model, images):
    prepared = quantization.prepare(model)
    kinds = {layer.name: type(layer).__name__ for layer in prepared.layers}
    assert "one_norm" not in kinds
    assert kinds["one"] == kinds["two"] == kinds["up"] == kinds["logits"] == "FakeQuantizedProduct"
    # what is joined (up, the skip) shares one range, which the skip's first user and the join have too
    assert [name for name, kind in kinds.items() if kind == "FakeQuantize"] == [
        "image_quantized",
        "one_act_quantized",
        "two_quantized",
        "logits_quantized",
    ]
    own = quantization.prepare(model, runtime="onnx")
    names = [layer.name for layer in own.layers if isinstance(layer, quantization.FakeQuantize)]
    assert {"up_quantized", "join_quantized"} <= set(names)
    # only weights are quantized before there are ranges; int8 weights are near float ones
    expected = model(images, training=False).numpy()
    assert 0 < np.abs(prepared(images).numpy() - expected).max() < 0.05 * np.abs(expected).max()
    quantization.calibrate(prepared, [images[:2], images[2:]])
    shared = prepared.get_layer("one_act_quantized")
    parts = keras.Model(model.inputs, [model.get_layer(name).output for name in ("one_act", "up", "logits")])
    act, up, logits = (part.numpy() for part in parts(images, training=False))
    assert float(shared.low) == pytest.approx(min(act.min(), up.min(), 0), rel=1e-4)
    assert float(shared.high) == pytest.approx(max(act.max(), up.max()), rel=1e-4)
    assert float(prepared.get_layer("logits_quantized").high) == pytest.approx(logits.max(), rel=1e-4)


def test_unfolded_normalisation_is_a_product_and_a_sum(images):
    image = keras.Input((16, 16, 1), name="image")
    x = layers.ReLU(name="act")(layers.BatchNormalization(name="norm")(image))
    model = keras.Model(image, layers.Conv2D(2, 1, name="logits")(x), name="pre")
    model.get_layer("norm").set_weights([np.full(1, v, "float32") for v in (2.0, 0.5, 0.1, 4.0)])
    prepared = quantization.prepare(model)
    quantization.calibrate(prepared, [images])
    norm = prepared.get_layer("norm")
    assert isinstance(norm, quantization.FakeQuantizedNormalization)
    scale = 2 / np.sqrt(4 + norm.norm.epsilon)
    assert float(norm.product.high) == pytest.approx(scale * images.max(), rel=1e-4)
    expected = model(images, training=False).numpy()
    assert np.abs(prepared(images).numpy() - expected).max() < 0.05 * np.abs(expected).max()


def test_training_and_back(model, images):
    prepared = quantization.prepare(model, "per-tensor")
    quantization.calibrate(prepared, [images])
    untouched = keras.models.clone_model(model)
    quantization.release(prepared, untouched)
    for own, after in zip(untouched.weights, model.weights, strict=True):
        np.testing.assert_array_equal(own, after, err_msg=own.path)
    before = [weight.numpy() for weight in model.weights]
    prepared.compile(optimizer=keras.optimizers.SGD(0.1), loss=zoo.losses.DiceCE())
    prepared.fit(images, (images[..., 0] > 0).astype("int32"), verbose=0)
    quantization.release(prepared, model)
    changed = {weight.path for weight, b in zip(model.weights, before, strict=True) if not np.array_equal(weight, b)}
    still = {"one_norm/moving_mean", "one_norm/moving_variance"}
    assert {weight.path for weight in model.weights} - changed == still
    with pytest.raises(ZooError, match="holds no layer"):
        quantization.release(prepared, zoo.get("unet", (16, 16, 1), depth=2, width=4))


def test_saved_and_loaded(model, images, tmp_path):
    prepared = quantization.prepare(model, "per-tensor")
    quantization.calibrate(prepared, [images])
    prepared.save(tmp_path / "prepared.keras")
    loaded = keras.saving.load_model(tmp_path / "prepared.keras")
    np.testing.assert_array_equal(loaded(images), prepared(images))
    quantization.release(loaded, model)


def test_nested_models_and_shared_layers(model, images):
    shared = layers.Conv2D(2, 3, padding="same", name="shared")
    image = keras.Input((16, 16, 1), name="image")
    x = shared(model(image))
    outer = keras.Model(image, shared(x), name="outer")
    prepared = quantization.prepare(outer)
    assert isinstance(prepared.get_layer("small.one"), quantization.FakeQuantizedProduct)
    quantization.calibrate(prepared, [images])
    expected = outer(images, training=False).numpy()
    assert np.abs(prepared(images).numpy() - expected).max() < 0.05 * np.abs(expected).max()
    quantization.release(prepared, outer)


def test_refusals(model):
    with pytest.raises(ZooError, match=r"granularity of weights 'per-layer'.*per-channel"):
        quantization.prepare(model, "per-layer")
    with pytest.raises(ZooError, match="unknown runtime"):
        quantization.prepare(model, runtime="onx")
    with pytest.raises(ZooError, match="expected at least one batch, got none"):
        quantization.calibrate(quantization.prepare(model), [])
    image, convolution = keras.Input((8, 8, 2)), layers.Conv2D(2, 1, name="twice")
    x = layers.BatchNormalization(name="b")(convolution(layers.BatchNormalization(name="a")(convolution(image))))
    with pytest.raises(ZooError, match="layer twice: is shared before different normalisations"):
        quantization.prepare(keras.Model(image, x))


def test_entries_of_the_zoo_can_be_prepared_and_released():
    for name in ("mobile_unet3d", "segresnet3d"):
        info = zoo.info(name)
        network = zoo.get(name, (16,) * info.rank + (1,), classes=3)
        prepared = quantization.prepare(network)
        image = np.random.default_rng(0).normal(size=(1, *network.input_shape[1:])).astype("float32")
        quantization.calibrate(prepared, [image])
        a, b = prepared(image).numpy(), network(image, training=False).numpy()
        assert 10 * np.log10(np.sum(b**2) / np.sum((a - b) ** 2)) > 15  # dB
        quantization.release(prepared, network)


def test_formats_and_their_bits():
    assert [quantization.target(name) for name in ("tflite-int8", "onnx-int8", "openvino-int8")] == [
        ("tflite", 8),
        ("onnx", 7),
        ("onnx", 7),
    ]
    assert quantization.target("onnx-int8", 8) == ("onnx", 8)
    with pytest.raises(ZooError, match="int8 format 'tflite-int16'"):
        quantization.target("tflite-int16")
    with pytest.raises(ZooError, match="weights of 6 bits: onnx-int8 has 7 or 8; 0 stands for 7"):
        quantization.target("onnx-int8", 6)


def test_bits_decide_the_steps_of_the_weights(model):
    with pytest.raises(ZooError, match="bits 7: expected one of"):
        quantization.prepare(model, bits=7)
    for bits, steps in ((None, 64), (7, 64), (8, 127)):
        prepared = quantization.prepare(model, runtime="onnx", bits=bits)
        assert prepared.get_layer("one").levels == steps
