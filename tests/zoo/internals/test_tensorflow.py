"""Each private interface of TensorFlow that the project uses is there and does what it did: a newer one fails here."""

import numpy as np
import pytest

from zoo.internals import tensorflow as internals


@pytest.fixture(scope="module")
def function():
    import tensorflow as tf

    class Row(tf.Module):
        def __init__(self):
            super().__init__()
            self.weight = tf.Variable(np.linspace(-1, 1, 12, dtype="float32").reshape(3, 4))

        @tf.function(input_signature=[tf.TensorSpec((1, 3), tf.float32)])
        def __call__(self, row):
            return tf.nn.relu(row @ self.weight)

    module = Row()
    yield module.__call__.get_concrete_function()
    del module  # its variable must live as long as the function


def converter(function):
    import tensorflow as tf

    return tf.lite.TFLiteConverter.from_concrete_functions([internals.with_constants(function)])


def run(data, row):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=data)
    interpreter.allocate_tensors()
    entry, result = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    scale, zero = entry["quantization"]
    stored = np.round(row / scale + zero).astype(entry["dtype"]) if scale else row
    interpreter.set_tensor(entry["index"], stored)
    interpreter.invoke()
    values = interpreter.get_tensor(result["index"])
    scale, zero = result["quantization"]
    return entry["dtype"], (values.astype(float) - zero) * scale if scale else values


ROW = np.array([[0.5, -0.25, 1.0]], "float32")


def expected():
    return np.maximum(ROW @ np.linspace(-1, 1, 12).reshape(3, 4), 0)


def test_variables_become_constants(function):
    assert function.captured_inputs
    assert not internals.with_constants(function).captured_inputs
    np.testing.assert_allclose(run(converter(function).convert(), ROW)[1], expected(), atol=1e-6)


@pytest.mark.parametrize("per_channel", [True, False])
def test_calibrated_files_become_int8(function, per_channel):
    import tensorflow as tf

    calibrated = converter(function)
    calibrated.optimizations = [tf.lite.Optimize.DEFAULT]
    calibrated.representative_dataset = lambda: iter([[ROW], [-ROW]])
    internals.calibrate_only(calibrated)
    data = bytes(calibrated.convert())
    assert run(data, ROW)[0] == np.float32, "calibration alone quantizes nothing"
    kind, values = run(internals.quantize_int8(data, per_channel, []), ROW)
    assert kind == np.int8
    np.testing.assert_allclose(values, expected(), atol=0.05)


def test_float_files_become_int16(function):
    kind, values = run(internals.quantize_int16(converter(function).convert(), [ROW, -ROW]), ROW)
    assert kind == np.int16
    np.testing.assert_allclose(values, expected(), atol=0.02)


def test_a_failed_conversion_raises_the_error_that_is_caught():
    import tensorflow as tf

    spec = tf.TensorSpec((1, 4), tf.float32)
    foreign = tf.function(lambda row: tf.linalg.det(tf.reshape(row, (1, 2, 2)))).get_concrete_function(spec)
    with pytest.raises(internals.converter_error(), match="MatrixDeterminant"):
        converter(foreign).convert()


def test_the_graph_of_objects_in_a_checkpoint_is_read(tmp_path):
    import tensorflow as tf

    prefix = tf.train.Checkpoint(part=tf.Variable(1.0)).save(str(tmp_path / "point"))
    graph = internals.object_graph()
    graph.ParseFromString(tf.train.load_checkpoint(prefix).get_tensor("_CHECKPOINTABLE_OBJECT_GRAPH"))
    assert "part" in {child.local_name for child in graph.nodes[0].children}
