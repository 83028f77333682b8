"""A Keras model to an ONNX file: float by tf2onnx, int8 by ONNX Runtime's static quantization (QDQ)."""

import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from edge.manifest import Tensor
from export.errors import PrecisionError
from export.integer import movement_in_integers
from export.tflite import quiet

OPSET = 17


def to_onnx(model, opset: int = OPSET):
    """Convert a Keras model of fixed shape to a float32 ONNX model (tf2onnx); its input is called "image".

    Returns:
        ``onnx.ModelProto``.

    Raises:
        PrecisionError: if the model holds operations that ONNX does not have.
    """
    import tensorflow as tf
    import tf2onnx

    with quiet():
        spec = tf.TensorSpec(model.inputs[0].shape, tf.float32, name="image")
        function = tf.function(lambda image: model(image, training=False))
        converted, _ = tf2onnx.convert.from_function(
            function, input_signature=(spec,), opset=opset, custom_op_handlers={"Erfc": (_erfc, [])}
        )
    _check_operators(converted)
    return converted


def _erfc(context, node, name, arguments):
    """TensorFlow's GELU is made of erfc, which ONNX lacks: 1 - erf(x)."""
    shape, dtype = context.get_shape(node.output[0]), context.get_dtype(node.output[0])
    context.remove_node(node.name)
    error = context.make_node("Erf", [node.input[0]], shapes=[shape], dtypes=[dtype])
    one = context.make_const(f"{name}_one", np.ones((), np.float32))
    context.make_node("Sub", [one.output[0], error.output[0]], outputs=[node.output[0]], shapes=[shape], dtypes=[dtype])


def _check_operators(model):
    """Refuse operations that tf2onnx left as TensorFlow's; it only logs them."""
    import onnx

    versions = {i.domain: i.version for i in model.opset_import}
    foreign = sorted(
        f"{node.op_type} ({node.name})"
        for node in model.graph.node
        if not onnx.defs.has(node.op_type, versions.get(node.domain, 1), node.domain)
    )
    if foreign:
        raise PrecisionError(
            f"operations that ONNX does not have: {', '.join(foreign[:8])}; replace these layers, or export TFLite"
        )


def quantize(model, calibration: Iterable[np.ndarray]):
    """Quantize a float ONNX model to int8 weights per channel and uint8 activations, as QDQ.

    Unsigned activations are what x86 dot-product instructions (VNNI) take without a correction.

    Args:
        model: float32 ``onnx.ModelProto`` with one input.
        calibration: representative inputs of its shape.

    Returns:
        ``onnx.ModelProto`` with float32 input and output.
    """
    import onnx
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory() as folder, quiet():
        source, prepared, result = (str(Path(folder) / f"{name}.onnx") for name in ("float", "prepared", "int8"))
        onnx.save(model, source)
        quant_pre_process(source, prepared, skip_symbolic_shape=True)
        quantize_static(
            prepared,
            result,
            _reader(model.graph.input[0].name, calibration),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
        )
        return movement_in_integers(onnx.load(result))


def _reader(name, calibration):
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):
        def __init__(self):
            self.patches = iter(calibration)

        def get_next(self):
            patch = next(self.patches, None)
            return None if patch is None else {name: np.asarray(patch, np.float32)}

    return Reader()


def tensors(model) -> tuple[Tensor, Tensor]:
    """Input and output tensor of an ONNX model."""
    return tuple(_tensor(value) for value in (model.graph.input[0], model.graph.output[0]))


def _tensor(value) -> Tensor:
    import onnx

    kind = value.type.tensor_type
    shape = tuple(int(d.dim_value) for d in kind.shape.dim)
    if 0 in shape:
        raise PrecisionError(f"tensor {value.name}: found shape {shape}; every dimension must be fixed")
    return Tensor(value.name, shape, np.dtype(onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type)).name)
