"""What TensorFlow keeps to itself: parts of the TFLite converter and the names within a checkpoint.

Nothing else in the project touches these interfaces. Each is imported when it is called, since the zoo works without
TensorFlow. ``setup.cfg`` holds TensorFlow below the first version that was not tried;
tests/zoo/internals/test_tensorflow.py names the interface that is missing in a newer one.
"""


def converter_error() -> type[Exception]:
    """The exception of a failed TFLite conversion."""
    from tensorflow.lite.python.convert_phase import ConverterError

    return ConverterError


def with_constants(function):
    """A concrete function whose variables became constants."""
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    return convert_variables_to_constants_v2(function)


def calibrate_only(converter) -> None:
    """Tell a ``tf.lite.TFLiteConverter`` to write ranges and to quantize nothing."""
    converter._experimental_calibrate_only = True


def quantize_int8(calibrated: bytes, per_channel: bool, float_tensors: list[str]) -> bytes:
    """Quantize a calibrated TFLite file to int8, input and output too.

    Args:
        calibrated: with a range for each activation.
        per_channel: a scale for each output channel of the weights, else one for all of them.
        float_tensors: output tensors of the operators that stay float.
    """
    import tensorflow as tf
    from tensorflow.lite.python.convert import mlir_quantize
    from tensorflow.lite.python.util import modify_model_io_type

    quantized = mlir_quantize(calibrated, not per_channel, denylisted_nodes=float_tensors or None)
    return bytes(modify_model_io_type(quantized, tf.int8, tf.int8))


def quantize_int16(data: bytes, patches, allow_float: bool = False) -> bytes:
    """Quantize a float TFLite file to int16 activations and int8 weights, input and output int16 too.

    Args:
        data: float32 TFLite file.
        patches: representative inputs.
        allow_float: operators that have no such form stay float between the others.

    Raises:
        RuntimeError: naming an operator that has no such form.
    """
    import tensorflow as tf
    from tensorflow.lite.python.optimize.calibrator import Calibrator

    representative = ([patch] for patch in patches)
    calibrator = Calibrator(data)
    kinds = (tf.int16, tf.int16, allow_float, tf.int16)  # input, output, activations
    return bytes(calibrator.calibrate_and_quantize(lambda: representative, *kinds))


def object_graph():
    """An empty message for the graph of objects in a checkpoint."""
    from tensorflow.core.protobuf import trackable_object_graph_pb2

    return trackable_object_graph_pb2.TrackableObjectGraph()
