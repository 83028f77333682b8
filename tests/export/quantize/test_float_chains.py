"""Every activation of Keras in TFLite of 8 and 16 bits keeps the classes; which operators stay float for that."""

import inspect

import keras
import numpy as np
import pytest
from keras import layers

from export.conversion.convert import convert
from export.errors import PrecisionError
from export.quantize import tflite_int8
from export.quantize.float_chains import lossy_chains

# A gate halves the channels and a threshold takes its limits: neither is a function of one tensor.
NOT_ALONE = {"glu", "threshold"}
SHAPE = (16, 20)


def activations():
    """Names of Keras' activations, one for each function."""
    names = {function: name for name, function in inspect.getmembers(keras.activations, inspect.isfunction)}
    return sorted(set(names.values()) - {"get", "serialize", "deserialize"} - NOT_ALONE)


def blocks(seed):
    """Intensities 0, 1 and 3 in blocks of 4 × 4 pixels, slightly noisy, and their classes."""
    random = np.random.default_rng(seed)
    classes = random.integers(0, 3, (SHAPE[0] // 4, SHAPE[1] // 4)).repeat(4, 0).repeat(4, 1)
    noise = random.normal(0, 0.05, SHAPE)
    return (np.array([0.0, 1.0, 3.0])[classes] + noise).astype("float32")[..., None], classes


def grading(activation):
    """A network of two convolutions with the activation, whose last one is fitted to tell the intensities apart."""
    keras.utils.set_random_seed(4)
    image = keras.Input((*SHAPE, 1))
    deviation = 0.2 if activation == "exponential" else 0.7  # else it overflows
    wide, narrow = (keras.initializers.RandomNormal(stddev=d) for d in (deviation, 0.3 * deviation))
    x = layers.Activation(activation)(layers.Conv2D(12, 1, kernel_initializer=wide, bias_initializer=wide)(image))
    x = layers.Conv2D(12, 1, activation=activation, kernel_initializer=narrow)(x)
    model = keras.Model(image, layers.Conv2D(3, 1, name="logits")(x))
    images, classes = zip(*(blocks(seed) for seed in range(4)), strict=True)
    features = keras.Model(image, x).predict(np.stack(images), verbose=0).reshape(-1, 12)
    # Least squares held to small weights, since large ones of both signs would ask for more than 8 bits.
    mean, spread = features.mean(0), features.std(0).max()
    design = (features - mean) / spread
    targets = np.eye(3)[np.concatenate([c.ravel() for c in classes])]
    held = design.T @ design + 0.005 * len(design) * np.eye(12)
    kernel = np.linalg.solve(held, design.T @ (targets - targets.mean(0))) / spread
    model.get_layer("logits").set_weights([kernel.reshape(1, 1, 12, 3), targets.mean(0) - mean @ kernel])
    return model


@pytest.mark.parametrize("activation", activations())
def test_integers_keep_the_classes_of_every_activation(activation):
    model, patches = grading(activation), [blocks(seed)[0] for seed in range(4)]
    expected = model.predict(np.stack(patches), verbose=0)
    assert len(np.unique(expected.argmax(-1))) > 1
    for kind, precision in (("tflite-int8", "int8"), ("tflite-int16", "int16x8")):
        converted = convert(model, kind, SHAPE, patches)
        logits = np.concatenate(list(tflite_int8.logits(converted.data, [patch[None] for patch in patches])))
        assert np.mean(logits.argmax(-1) == expected.argmax(-1)) >= 0.99
        assert {operator.precision for operator in converted.operators if operator.macs} == {precision}


def test_int16_keeps_small_values_beside_large_ones():
    """The exponential within mish reaches e¹⁵ here: 16 bits of that know nothing below 100."""
    image = keras.Input((*SHAPE, 1))
    ones = keras.initializers.Constant(1.0)  # the kernel as well as the bias: TFLite stores them once
    x = layers.Conv2D(1, 1, kernel_initializer=ones, bias_initializer=ones, activation="mish")(image)
    model = keras.Model(image, layers.Conv2D(2, 1, kernel_initializer=ones, bias_initializer=ones)(x))
    patch = np.linspace(-3, 14, 320, dtype=np.float32).reshape(*SHAPE, 1)
    converted = convert(model, "tflite-int16", SHAPE, [patch])
    (logits,) = tflite_int8.logits(converted.data, [patch[None]])
    np.testing.assert_allclose(logits, model.predict(patch[None], verbose=0), atol=0.05)


def test_a_chain_that_starts_at_the_image_and_is_read_half_way():
    image = keras.Input((*SHAPE, 1))
    whole, inner = (layers.Activation(name)(image) for name in ("mish", "softplus"))
    kernel = keras.initializers.RandomNormal(seed=0)
    model = keras.Model(image, layers.Conv2D(3, 1, kernel_initializer=kernel)(layers.Concatenate()([whole, inner])))
    patch = blocks(0)[0]
    converted = convert(model, "tflite-int16", SHAPE, [patch])
    (logits,) = tflite_int8.logits(converted.data, [patch[None]])
    expected = model.predict(patch[None], verbose=0)
    np.testing.assert_allclose(logits, expected, atol=0.02 * np.ptp(expected))


def test_what_npus_take_stays_int8():
    converted = convert(grading("mish"), "tflite-int8", SHAPE, [blocks(0)[0]], npu=True)
    assert {operator.precision for operator in converted.operators} == {"int8"}
    with pytest.raises(PrecisionError, match=r"tflite-int16: .*'ELU'"):
        convert(grading("elu"), "tflite-int16", SHAPE, [blocks(0)[0]], npu=True)


@pytest.mark.parametrize("name", ["celu", "mish"])
def test_onnx_has_them_too(name):
    import onnxruntime

    model, image = grading(name), blocks(7)[0][None]
    session = onnxruntime.InferenceSession(convert(model, "onnx-float32", SHAPE).data)
    (logits,) = session.run(None, {session.get_inputs()[0].name: image})
    np.testing.assert_allclose(logits, model.predict(image, verbose=0), atol=1e-3)


def chains(operators, shapes=None, constants=()):
    """Chains of operators given as (kind, inputs, output)."""
    kinds = [kind for kind, *_ in operators]
    shapes = dict.fromkeys(range(20), (1, 4, 4, 2)) | dict.fromkeys(constants, ()) | (shapes or {})
    return lossy_chains(kinds, [(inputs, [output]) for _, inputs, output in operators], shapes, set(constants))


MISH = [("EXP", [0], 1), ("ADD", [1, 9], 2), ("LOG", [2], 3), ("TANH", [3], 4), ("MUL", [0, 4], 5)]


def test_a_chain_is_a_function_of_one_tensor():
    (chain,) = chains([*MISH, ("CONV_2D", [5, 10, 11], 6)], constants=(9, 10, 11))
    assert (chain.origin, chain.outputs) == (0, (1, 2, 3, 4, 5))
    assert chain.inner == (1, 2, 3, 4)
    (chain,) = chains([*MISH, ("CONV_2D", [3, 10, 11], 6)], constants=(9, 10, 11))
    assert chain.inner == (1, 2, 4)


def test_what_is_exact_enough_or_no_function_of_one_tensor_stays_int8():
    assert chains([("LOGISTIC", [0], 1), ("MUL", [0, 1], 2)]) == []  # swish
    assert chains([("EXP", [0], 1)]) == []  # has a table of its own
    assert chains([("EXP", [0], 1), ("ADD", [1, 9], 2)], {9: (2,)}, (9,)) == []  # a number a channel
    assert chains([("EXP", [0], 1), ("DIV", [1, 7], 2)]) == []  # of two tensors
    assert chains([("ADD", [0, 9], 1), ("RSQRT", [1], 2)], constants=(9,)) == []  # of a normalisation
