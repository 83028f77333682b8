"""A rewritten Keras model to a TFLite (LiteRT) file."""

import contextlib
import logging
import os
import re
import warnings

import numpy as np

from edge.manifest import Tensor
from export.errors import PrecisionError
from export.formats import Format
from zoo.internals.tensorflow import converter_error, with_constants


def to_tflite(model, chosen: Format) -> bytes:
    """Convert a model of fixed shape; for integer activations see ``export.quantize.tflite_int8``.

    Args:
        model: Keras model with one input of fixed shape.
        chosen: a TFLite format with float activations.

    Returns:
        The TFLite flatbuffer.

    Raises:
        PrecisionError: if the model holds operations that TFLite does not have.
    """
    import tensorflow as tf

    with quiet():
        converter = tf.lite.TFLiteConverter.from_concrete_functions([frozen(model)])
        if chosen.weights == "float16":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.target_spec.supported_types = [tf.float16]
        if chosen.weights == "int8":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        try:
            return converter.convert()
        except converter_error() as error:
            raise PrecisionError(f"{chosen.name}: {failure(str(error))}") from None


def failure(message: str) -> str:
    """The converter's pages of MLIR in one line: the operations that it has no kernel for, or its first error."""
    foreign = sorted(set(re.findall(r"'tf\.(\w+)' op is neither a custom op nor a flex op", message)))
    if foreign:
        return f"operations that TFLite does not have: {', '.join(foreign)}; replace these layers, or export ONNX"
    first = re.search(r"error: (.*)", message)
    return f"the TFLite converter failed ({first.group(1) if first else message.strip().splitlines()[0]})"


def frozen(model):
    """The model as one graph of constants; the converter would otherwise lose the variables' values."""
    import tensorflow as tf

    spec = tf.TensorSpec(model.inputs[0].shape, tf.float32, name="image")
    function = tf.function(lambda image: model(image, training=False)).get_concrete_function(spec)
    return with_constants(function)


def tensors(data: bytes) -> tuple[Tensor, Tensor]:
    """Input and output tensor of a TFLite file."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=data, num_threads=1)
    return tuple(
        _tensor(details) for details in (interpreter.get_input_details()[0], interpreter.get_output_details()[0])
    )


def _tensor(details) -> Tensor:
    scale, zero_point = details["quantization"]
    shape = tuple(int(n) for n in details["shape"])
    return Tensor(details["name"], shape, np.dtype(details["dtype"]).name, float(scale), int(zero_point))


@contextlib.contextmanager
def quiet():
    """Keep the converters' own progress lines and warnings, which a user cannot act on, off the terminal."""
    before = {name: logging.getLogger(name).level for name in ("tensorflow", "tf2onnx", "absl", "root")}
    for name in before:
        logging.getLogger(name).setLevel(logging.ERROR)
    sink = os.open(os.devnull, os.O_WRONLY)
    saved = os.dup(2)
    try:
        os.dup2(sink, 2)  # the C++ converter writes to the descriptor, past sys.stderr
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(sink)
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)
