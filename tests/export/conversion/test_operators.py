"""What a model file holds, read back: operators, precision, multiply-accumulates."""

import keras
import numpy as np
import pytest
from export_rewriting import network
from export_running import patches
from keras import layers

import export
from export.conversion.operators import Operator, check_integer, count, integer_share, read_tflite
from export.errors import PrecisionError

SHAPE = (4, 6, 8, 2)
VOXELS = 4 * 6 * 8

# (layer, multiply-accumulates): output voxels × taps × channels in × channels out
PRODUCTS = {
    "3×3×3": (lambda x: layers.Conv3D(5, 3, padding="same")(x), VOXELS * 27 * 2 * 5),
    "1×1×1": (lambda x: layers.Conv3D(5, 1)(x), VOXELS * 2 * 5),
    "3×1×1": (lambda x: layers.Conv3D(5, (3, 1, 1), padding="same")(x), VOXELS * 3 * 2 * 5),
    "strided": (lambda x: layers.Conv3D(5, 2, strides=2)(x), VOXELS // 8 * 8 * 2 * 5),
    "transposed": (lambda x: layers.Conv3DTranspose(5, 2, strides=2)(x), VOXELS * 8 * 2 * 5),
    "depthwise": (lambda x: layers.Conv3D(2, (1, 3, 3), padding="same", groups=2)(x), VOXELS * 9 * 2),
    "dense": (lambda x: layers.Dense(5)(x), VOXELS * 2 * 5),
}


@pytest.mark.parametrize("name", ["tflite-float32", "tflite-int8", "onnx-float32", "onnx-int8"])
@pytest.mark.parametrize("kind", PRODUCTS)
def test_multiply_accumulates(kind, name):
    build, expected = PRODUCTS[kind]
    # Slice by slice, as the network computes: several slices at once multiply zeros too.
    converted = export.convert(network(build, SHAPE), name, calibration=patches(SHAPE, 2), processor="any")
    assert sum(op.macs for op in converted.operators) == expected
    precision = "int8" if name.endswith("int8") else "float32"
    assert {op.precision for op in converted.operators if op.macs} == {precision}
    assert integer_share(converted.operators) == float(precision == "int8")


def foreign(function, *, flex):
    """A TFLite file of one TensorFlow function, with TensorFlow's or custom operators for what TFLite lacks."""
    import tensorflow as tf

    concrete = tf.function(function).get_concrete_function(tf.TensorSpec((1, 4), tf.float32))
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete])
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    if flex:
        converter.target_spec.supported_ops.append(tf.lite.OpsSet.SELECT_TF_OPS)
    converter.allow_custom_ops = not flex
    return converter.convert()


@pytest.mark.parametrize(("flex", "name"), [(True, "FlexTan"), (False, "Tan")])
def test_foreign_operators_are_refused_by_name(flex, name):
    import tensorflow as tf

    data = foreign(lambda x: tf.math.tan(x) + tf.math.tan(x * 2), flex=flex)
    with pytest.raises(PrecisionError, match=rf"stock LiteRT does not have: {name} \(.*\), {name} \("):
        read_tflite(data)


def operator(name, precision, macs, kind="CONV_2D"):
    return Operator(kind, name, precision, macs)


def test_integer_share_and_count():
    operators = [
        operator("a", "int8", 300),
        operator("b", "float32", 100),
        operator("c", "int8", 0, "PAD"),
        operator("d", "int8", 0, "PAD"),
    ]
    assert integer_share(operators) == 0.75
    assert integer_share([]) == 0.0
    assert count(operators) == {"CONV_2D": {"float32": 1, "int8": 1}, "PAD": {"int8": 2}}


def test_float_products_are_named():
    check_integer([operator("a", "int8", 1), operator("softmax", "float32", 0, "SOFTMAX")], "tflite-int8")
    with pytest.raises(PrecisionError, match=r"tflite-int8: expected int8, got b \(CONV_2D, float32\); export"):
        check_integer([operator("a", "int8", 1), operator("b", "float32", 1)], "tflite-int8")
    with pytest.raises(PrecisionError, match="got no convolution at all"):
        check_integer([operator("a", "int8", 0, "PAD")], "onnx-int8")
    many = [operator(f"layer{n}", "mixed float32+int8", 1) for n in range(11)]
    with pytest.raises(PrecisionError, match=r"layer7 .* and 3 more"):
        check_integer(many, "tflite-int8")


@pytest.mark.parametrize("name", ["tflite-int8", "onnx-int8"])
def test_a_network_without_any_product_is_no_int8_network(name):
    model = network(lambda x: layers.MaxPooling3D(2)(x), SHAPE)
    with pytest.raises(PrecisionError, match=f"{name}: expected int8, got no convolution at all"):
        export.convert(model, name, calibration=patches(SHAPE, 2))


def test_a_convolution_that_onnx_runtime_would_run_in_float_is_named():
    import onnx

    from export.conversion.operators import check_runtime_integer, read_onnx

    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Conv", ["image", "kernel"], ["result"], name="logits")],
        "float",
        [onnx.helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, (1, 2, 5, 5))],
        [onnx.helper.make_tensor_value_info("result", onnx.TensorProto.FLOAT, (1, 3, 3, 3))],
        [onnx.numpy_helper.from_array(np.ones((3, 2, 3, 3), np.float32), "kernel")],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    with pytest.raises(PrecisionError, match=r"would run in float: logits \(Conv\)"):
        check_runtime_integer(model)
    (operator,) = read_onnx(model)
    assert operator == Operator("Conv", "logits", "float32", 3 * 3 * 3 * 2 * 9)


def test_operators_carry_the_layers_names():
    def build(x):
        x = layers.Conv3D(4, 3, padding="same", name="encoder")(x)
        return layers.Conv3D(2, 1, name="head")(keras.layers.ReLU()(x))

    for name in ("tflite-int8", "onnx-int8"):
        converted = export.convert(network(build, SHAPE), name, calibration=patches(SHAPE, 2))
        first, _ = [op.name for op in converted.operators if op.macs]
        assert "encoder" in first
