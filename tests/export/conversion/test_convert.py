"""Small networks in every format, through the device's runtimes, against Keras."""

import keras
import numpy as np
import onnx
import pytest
from export_rewriting import network
from export_running import patches, run
from keras import layers, ops
from onnx import numpy_helper

import export
import zoo
from export.errors import PrecisionError
from export.formats import FORMATS, Format, find_format
from export.rewrite import RewriteError
from medseg.errors import InputError

FLOATS = ["tflite-float32", "tflite-float16", "onnx-float32"]
INTEGERS = [name for name in FORMATS if FORMATS[name].activations == "int8"]
# Processors without VNNI add two products in 16 bits, in ONNX Runtime and OpenVINO: their weights have 7.
LARGEST_WEIGHT = {"tflite": 127, "onnx": 64, "openvino": 64}
SHAPES = {"3D": (4, 8, 8, 2), "2D": (16, 16, 2)}


def u_net(x):
    """Two levels of convolution, normalisation, activation; both kinds of resampling; a gate; logits."""
    rank = len(x.shape) - 2
    convolution, pooling, transposed, mean = (
        getattr(layers, name.format(rank))
        for name in ("Conv{}D", "MaxPooling{}D", "Conv{}DTranspose", "GlobalAveragePooling{}D")
    )

    def block(y, filters):
        y = convolution(filters, 3, padding="same", use_bias=False)(y)
        return layers.ReLU()(layers.BatchNormalization()(y))

    skip = block(x, 8)
    deep = block(pooling(2)(skip), 16)
    up = transposed(8, 2, strides=2)(deep)
    gate = layers.Dense(8, activation="sigmoid")(mean(keepdims=True)(up))
    return convolution(3, 1)(block(layers.Concatenate()([skip, layers.Multiply()([up, gate])]), 8))


@pytest.fixture(scope="module", params=SHAPES)
def source(request):
    """(network, patches, logits of the first by Keras) in 3D and 2D."""
    shape = SHAPES[request.param]
    model, images = network(u_net, shape), patches(shape)
    return model, images, np.asarray(model(images[0][None], training=False))[0]


def rms(values):
    return float(np.sqrt(np.mean(np.square(values))))


@pytest.mark.parametrize("name", FLOATS)
def test_float_formats_equal_keras(source, name, tmp_path):
    model, images, expected = source
    converted = export.convert(model, name)
    logits = run(converted, tmp_path, images[0])
    # float16 keeps 11 bits of every weight
    tolerance = 2**-11 if FORMATS[name].weights == "float16" else 1e-5
    assert logits.dtype == np.float32
    assert np.abs(logits - expected).max() < tolerance * 2 * np.abs(expected).max()
    assert {op.precision for op in converted.operators if op.macs} <= {"float32", "float16"}
    assert converted.input.dtype == converted.output.dtype == "float32"


@pytest.mark.parametrize("name", INTEGERS)
def test_int8_formats_are_within_quantization_error(source, name, tmp_path):
    model, images, expected = source
    converted = export.convert(model, name, calibration=images)
    logits = run(converted, tmp_path, images[0])
    step = (expected.max() - expected.min()) / 255
    # A value rounded to a step is off by step / sqrt(12) in the mean; each operator adds that of its output and that of
    # its weights, and passes on what comes.
    noisy = sum(
        op.kind not in ("Transpose", "Reshape", "RESHAPE", "CONCATENATION", "Concat") for op in converted.operators
    )
    assert rms(logits - expected) < step * np.sqrt(2 * noisy / 12)
    assert np.mean(logits.argmax(-1) == expected.argmax(-1)) > 0.9
    assert all(op.precision == "int8" for op in converted.operators if op.macs)


def test_tflite_int8_is_int8_from_input_to_output(source):
    model, images, _ = source
    converted = export.convert(model, "tflite-int8", calibration=images)
    assert {op.precision for op in converted.operators} == {"int8"}
    for tensor in (converted.input, converted.output):
        assert tensor.dtype == "int8"
        assert tensor.scale > 0


@pytest.mark.parametrize("name", INTEGERS)
def test_one_convolution_is_within_the_bound_of_its_rounding(name, tmp_path):
    shape = (4, 8, 8, 2)
    model, images = network(lambda x: layers.Conv3D(3, 3, padding="same")(x), shape), patches(shape, 2)
    kernel = np.asarray(model.layers[-1].kernel, np.float64)

    def convolved(values, weights):
        return np.asarray(ops.conv(values[None], weights, padding="same"))[0]

    expected = np.asarray(model(images[0][None]))[0]
    expected_all = np.asarray(model(np.stack(images)))
    in_step, weight_step = 2 / 255, np.abs(kernel).max((0, 1, 2, 3)) / LARGEST_WEIGHT[FORMATS[name].runtime]
    out_step = max(0, expected_all.max()) / 255 - min(0, expected_all.min()) / 255
    ones = np.ones_like(images[0])
    steps = np.broadcast_to(weight_step, kernel.shape).astype("float32")
    bound = (
        out_step / 2
        + convolved(ones, np.abs(kernel).astype("float32")) * in_step / 2
        + convolved(np.abs(images[0]) + in_step / 2, steps) / 2
        + in_step * weight_step / 2
    )
    logits = run(export.convert(model, name, calibration=images), tmp_path, images[0])
    assert (np.abs(logits - expected) <= bound * (1 + 1e-5)).all()


@pytest.mark.parametrize(("processor", "largest"), [(None, 64), ("x86", 64), ("any", 64), ("amx", 127)])
@pytest.mark.parametrize("name", [name for name in INTEGERS if FORMATS[name].runtime != "tflite"])
def test_no_pair_of_products_saturates_on_a_processor_without_vnni(name, processor, largest):
    """VPMADDUBSW adds two products of uint8 and int8 in 16 bits."""
    shape = SHAPES["2D"]
    model, calibration = network(u_net, shape), patches(shape)
    options = {"processor": processor} if processor else {}
    graph = onnx.load_model_from_string(export.convert(model, name, calibration=calibration, **options).data).graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    quantized = [node.input[0] for node in graph.node if node.op_type == "DequantizeLinear"]
    weights = [constants[name].astype(int) for name in quantized if name in constants and constants[name].ndim == 4]
    assert max(np.abs(values).max() for values in weights) == largest
    assert (2 * 255 * largest < 2**15) == (processor != "amx")


@pytest.mark.parametrize("processor", ["amx", "x86", "any"])
def test_an_average_beside_a_strided_convolution_is_int8(processor, tmp_path):
    """The shortcut of a residual encoder."""

    def build(x):
        x = layers.LeakyReLU(0.01)(layers.Conv3D(16, 3, padding="same")(x))
        deep = layers.Conv3D(32, 3, strides=2, padding="same")(x)
        return layers.Conv3D(2, 1)(layers.Add()([deep, layers.Conv3D(32, 1)(layers.AveragePooling3D(2)(x))]))

    shape = (16, 16, 16, 1)
    model, images = network(build, shape), patches(shape)
    converted = export.convert(model, "tflite-int8", calibration=images, processor=processor)
    assert {operator.precision for operator in converted.operators if operator.macs} == {"int8"}
    expected = np.asarray(model(images[0][None], training=False))[0]
    assert rms(run(converted, tmp_path, images[0]) - expected) < 0.05 * rms(expected)


def test_a_joined_tensor_that_is_padded_beside_its_shortcut_is_int8():
    """The decoder of UNETR: one convolution reads padded columns in pairs of what another one reads as it is."""
    shape = (16, 16, 16, 1)
    model = zoo.get("unetr3d", classes=2, input_shape=shape, width=16, hidden=16, blocks=4, heads=1)
    converted = export.convert(model, "tflite-int8", calibration=patches(shape), processor="amx")
    assert {operator.precision for operator in converted.operators if operator.macs} == {"int8"}


OPERATORS = {
    "gelu": lambda x: layers.Activation("gelu")(x),
    "silu": lambda x: layers.Activation("silu")(x),
    "elu": lambda x: layers.ELU()(x),
    "hard_silu": lambda x: layers.Activation("hard_silu")(x),
    "leaky": lambda x: layers.LeakyReLU(0.01)(x),
    "prelu": lambda x: layers.PReLU(shared_axes=(1, 2, 3))(x),
    "group": lambda x: layers.GroupNormalization(2)(x),
    "instance": lambda x: layers.GroupNormalization(-1)(x),
    "layer": lambda x: layers.LayerNormalization()(x),
    "norm alone": lambda x: layers.ReLU()(layers.BatchNormalization()(layers.ReLU()(x))),
    "softmax": lambda x: layers.Softmax()(x),
    "nearest": lambda x: layers.UpSampling3D((1, 2, 2))(x),
    "average": lambda x: layers.AveragePooling3D(3, strides=1, padding="same")(x),
    "transposed": lambda x: layers.Conv3DTranspose(3, (3, 4, 3), strides=(2, 2, 1), padding="same")(x),
    "strided": lambda x: layers.Conv3D(3, (2, 3, 3), strides=2, padding="same")(x),
    "dilated": lambda x: layers.Conv3D(3, 3, dilation_rate=(1, 2, 2), padding="same")(x),
    "groups": lambda x: layers.Conv3D(4, 3, groups=2, padding="same")(x),
    "depthwise": lambda x: layers.Conv3D(8, 3, groups=4, padding="same")(x),
    "attention": lambda x: layers.Reshape(x.shape[1:])(
        layers.MultiHeadAttention(2, 2)(*[layers.Reshape((-1, x.shape[-1]))(x)] * 2)
    ),
}


@pytest.mark.parametrize("kind", OPERATORS)
def test_operators_in_both_runtimes(kind, tmp_path):
    shape = (2, 4, 6, 2)

    def build(x):
        return layers.Conv3D(2, 1)(OPERATORS[kind](layers.Conv3D(4, 1)(x)))

    model, images = network(build, shape), patches(shape)
    expected = np.asarray(model(images[0][None], training=False))[0]
    for name in ("tflite-float32", "onnx-float32"):
        logits = run(export.convert(model, name), tmp_path, images[0])
        assert np.abs(logits - expected).max() < 1e-5 * max(1, np.abs(expected).max())


@pytest.mark.parametrize("name", ["tflite-float32", "tflite-int8", "onnx-float32", "onnx-int8"])
def test_operations_that_a_runtime_lacks_are_named_in_one_line(name):
    def build(x):
        return layers.Conv3D(2, 1)(ops.erfinv(ops.tanh(layers.Conv3D(2, 1)(x))))

    model = network(build, SHAPES["3D"])
    with pytest.raises(PrecisionError, match=r"operations that (TFLite|ONNX) does not have: .*Erfinv") as caught:
        export.convert(model, name, calibration=patches(SHAPES["3D"], 1))
    assert "\n" not in str(caught.value)


def test_an_open_shape_needs_a_patch(tmp_path):
    model = network(u_net, (None, None, None, 2))
    with pytest.raises(RewriteError, match=r"its input shape .* is open; give patch"):
        export.convert(model, "tflite-float32")
    assert export.convert(model, "tflite-float32", (2, 4, 6)).input.shape == (2, 4, 6, 2)


def test_a_patch_that_strides_do_not_divide():
    with pytest.raises(RewriteError, match=r"does not take patch \(4, 7, 8\) .*; use \(4, 8, 8\)"):
        export.convert(network(u_net, (None, None, None, 2)), "tflite-float32", (4, 7, 8))


def test_models_of_other_ends():
    image = keras.Input(SHAPES["2D"])
    second_image = keras.Input(SHAPES["2D"])
    two_out = keras.Model(image, [layers.ReLU()(image), layers.Conv2D(2, 1)(image)])
    with pytest.raises(RewriteError, match="expected one output, the logits, got 2"):
        export.convert(two_out, "onnx-float32")
    with pytest.raises(RewriteError, match="expected one input, the image, got 2"):
        export.convert(keras.Model([image, second_image], image + second_image), "tflite-float32")
    with pytest.raises(RewriteError, match="got a Sequential without an input shape"):
        export.convert(keras.Sequential([layers.Conv2D(2, 1)]), "tflite-float32")


@pytest.mark.parametrize(
    ("calibration", "message"),
    [
        ([], "expected at least one patch for int8"),
        ([np.zeros((4, 8, 8, 1))], r"patch 0 has shape \(4, 8, 8, 1\); expected \(4, 8, 8, 2\)"),
        ([np.zeros((4, 8, 8, 2)), np.full((4, 8, 8, 2), np.nan)], "patch 1 holds NaN or infinite values"),
        ([np.full((4, 8, 8, 2), np.inf)], "patch 0 holds NaN or infinite values"),
    ],
)
@pytest.mark.parametrize("name", INTEGERS)
def test_calibration_that_cannot_be_used(name, calibration, message):
    with pytest.raises(InputError, match=message):
        export.convert(network(u_net, SHAPES["3D"]), name, calibration=calibration)


def test_formats_by_name():
    assert find_format("onnx-int8") == FORMATS["onnx-int8"]
    assert isinstance(FORMATS["tflite-int8"], Format)
    with pytest.raises(export.errors.FormatError, match=r"did you mean onnx-float32\?"):
        find_format("onnx-float")
    with pytest.raises(export.errors.FormatError, match="'gguf' is unknown: expected one of"):
        export.convert(None, "gguf")
