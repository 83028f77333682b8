"""Fake quantization against the integers of the runtimes, and what fine-tuning by it recovers."""

import flatbuffers
import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from export_running import run as run_artifact
from keras import layers

from export.conversion.convert import convert
from export.errors import FormatError
from export.rewrite.blocks import choice
from export.source.fine_tuned import weight_bits
from zoo import quantization

RANGE = (-0.83, 2.71)


def litert_round_trip(x, scale, zero):
    """``x`` through LiteRT's QUANTIZE (int8) and DEQUANTIZE."""
    model, graph = schema.ModelT(), schema.SubGraphT()
    model.version, model.subgraphs, model.buffers = 3, [graph], [schema.BufferT()]
    model.operatorCodes, graph.tensors, graph.operators = [], [], []
    kinds = schema.TensorType.FLOAT32, schema.TensorType.INT8, schema.TensorType.FLOAT32
    for number, kind in enumerate(kinds):
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.buffer, tensor.type = f"t{number}", list(x.shape), 0, kind
        if kind == schema.TensorType.INT8:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale, tensor.quantization.zeroPoint = [scale], [zero]
        graph.tensors.append(tensor)
    for number, name in enumerate(("QUANTIZE", "DEQUANTIZE")):
        code, operator = schema.OperatorCodeT(), schema.OperatorT()
        code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, name)
        code.version = 2
        model.operatorCodes.append(code)
        operator.opcodeIndex, operator.inputs, operator.outputs = number, [number], [number + 1]
        graph.operators.append(operator)
    graph.inputs, graph.outputs = [0], [2]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    interpreter = Interpreter(model_content=bytes(builder.Output()), num_threads=1)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def onnx_round_trip(x, scale, zero):
    """``x`` through ONNX Runtime's QuantizeLinear (uint8) and DequantizeLinear."""
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    constants = [
        numpy_helper.from_array(np.float32(scale), "scale"),
        numpy_helper.from_array(np.uint8(zero), "zero"),
    ]
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["y"]),
    ]
    ends = [[helper.make_tensor_value_info(name, TensorProto.FLOAT, x.shape)] for name in "xy"]
    graph = helper.make_graph(nodes, "g", *ends, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})[0]


def test_activations_are_what_both_runtimes_hold_bit_for_bit():
    x = np.random.default_rng(0).normal(0.5, 1.5, (17, 9, 25)).astype("float32")
    low, high = map(np.float32, RANGE)
    scale = (high - low) / np.float32(255)
    zero = int(np.rint(-low / scale))
    quantized = np.asarray(quantization.fake_quantize(x, low, high))
    np.testing.assert_array_equal(quantized, litert_round_trip(x, float(scale), zero - 128))
    np.testing.assert_array_equal(quantized, onnx_round_trip(x, scale, zero))
    assert len(np.unique(quantized)) > 200


def unet(image):
    x = layers.Conv3D(8, 3, padding="same", use_bias=False, name="one")(image)
    x = layers.BatchNormalization(name="one_norm")(x)
    x = skip = layers.ReLU(name="one_act")(x)
    x = layers.MaxPooling3D(2, name="down")(x)
    x = layers.Conv3D(16, (3, 1, 1), padding="same", activation="relu", name="two")(x)
    x = layers.Conv3DTranspose(8, 2, strides=2, name="up")(x)
    x = layers.Add(name="add")([x, skip])
    return layers.Conv3D(3, 1, name="logits")(x)


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(1)
    image = keras.Input((8, 8, 8, 1), name="image")
    model = keras.Model(image, unet(image), name="small")
    random = np.random.default_rng(0)
    for layer in model.layers:
        if layer.weights and isinstance(layer, layers.Conv3D | layers.Conv3DTranspose):
            layer.set_weights([w if w.ndim > 1 else random.normal(0, 0.1, w.shape) for w in layer.get_weights()])
    return model


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(2).normal(size=(6, 8, 8, 8, 1)).astype("float32")


@pytest.mark.parametrize("weights", ["per-channel", "per-tensor"])
@pytest.mark.parametrize(
    ("name", "processor", "share"),
    # ONNX made slice by slice is modelled less closely than with several slices at once, as is native 3D in OpenVINO.
    [
        ("tflite-int8", "any", 0.25),
        ("tflite-int8", "amx", 0.25),
        ("onnx-int8", "x86", 0.25),
        ("onnx-int8", "any", 0.5),
        ("onnx-int8", "amx", 0.25),
        ("openvino-int8", "any", 0.5),
    ],
)
def test_network_computes_what_its_artifact_does(
    network, images, tmp_path, monkeypatch, name, processor, share, weights
):
    for limit, value in {"MACS_PER_GAIN": 0, "GAIN_PER_WEIGHT": 1000}.items():  # or it would be made slice by slice
        monkeypatch.setattr(choice, limit, value)
    runtime, bits = quantization.target(name, weight_bits(name, processor))
    prepared = quantization.prepare(network, weights, runtime, bits=bits)
    quantization.calibrate(prepared, [images])
    options = {"method": "minmax", "weights": weights, "processor": processor}
    converted = convert(network, name, (8, 8, 8), list(images), **options)
    assert converted.weights == weights
    logits = prepared.get_layer("logits_quantized")
    step = (float(logits.high) - float(logits.low)) / 255
    if runtime == "tflite":
        assert converted.output.scale == pytest.approx(step, rel=1e-4)
    answers = np.stack([run_artifact(converted, tmp_path, image) for image in images])
    if name == "openvino-int8":  # gives its logits as float, which the prepared network rounds
        answers = np.asarray(quantization.fake_quantize(answers, logits.low, logits.high))
    aware, plain = (np.abs(answers - m.predict(images, verbose=0)) / step for m in (prepared, network))
    assert aware.max() < 2.5  # steps
    assert np.mean(aware) < share * np.mean(plain)


def test_per_tensor_weights_have_one_scale(network, images):
    counts = {}
    for weights in ("per-channel", "per-tensor"):
        data = convert(network, "tflite-int8", (8, 8, 8), list(images), weights=weights).data
        details = Interpreter(model_content=data).get_tensor_details()
        counts[weights] = max(len(tensor["quantization_parameters"]["scales"]) for tensor in details)
    assert counts["per-tensor"] == 1 < counts["per-channel"]
    with pytest.raises(FormatError, match="per-tensor: hold for int8 formats, not for tflite-float32"):
        convert(network, "tflite-float32", (8, 8, 8), weights="per-tensor")
    with pytest.raises(FormatError, match="weights 'per-layer': expected one of per-channel, per-tensor"):
        convert(network, "tflite-int8", (8, 8, 8), list(images), weights="per-layer")


def test_fine_tuning_recovers_what_int8_lost(tmp_path):
    """Channels spread so far apart that one scale a tensor is too coarse; the network finds bright spots."""
    keras.utils.set_random_seed(0)
    random = np.random.default_rng(0)
    images = random.normal(size=(48, 16, 16, 1)).astype("float32")
    smooth = sum(np.roll(images, (i, j), (1, 2)) for i in (-1, 0, 1) for j in (-1, 0, 1))
    truth = (smooth[..., 0] > 2).astype("int32")
    image = keras.Input((16, 16, 1), name="image")
    x = layers.Conv2D(8, 3, padding="same", activation="relu", name="one")(image)
    x = layers.Conv2D(8, 3, padding="same", activation="relu", name="two")(x)
    model = keras.Model(image, layers.Conv2D(2, 1, name="logits")(x), name="spots")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.Adam(1e-2), loss=loss)
    model.fit(images, truth, epochs=25, batch_size=16, verbose=0)
    factors = 2.0 ** np.linspace(-5, 5, 8)
    first, second = model.get_layer("one"), model.get_layer("two")
    first.set_weights([w * factors for w in first.get_weights()])
    kernel, bias = second.get_weights()
    second.set_weights([kernel / factors[:, None], bias])

    def right(network):
        """Share of pixels that the int8 artifact gives their true class; the float network's."""
        converted = convert(network, "tflite-int8", (16, 16), list(images[:8]), weights="per-tensor")
        classes = np.stack([run_artifact(converted, tmp_path, image) for image in images[:8]]).argmax(-1)
        return np.mean(classes == truth[:8]), np.mean(network.predict(images[:8], verbose=0).argmax(-1) == truth[:8])

    plain, before = right(model)
    prepared = quantization.prepare(model, "per-tensor")
    quantization.calibrate(prepared, [images])
    prepared.compile(optimizer=keras.optimizers.Adam(5e-3), loss=loss)
    for _ in range(3):
        prepared.fit(images, truth, epochs=10, batch_size=16, verbose=0)
        quantization.calibrate(prepared, [images])
    tuned, _ = right(quantization.release(prepared, keras.models.clone_model(model)))
    assert before - plain > 0.05
    assert tuned > (before + plain) / 2
