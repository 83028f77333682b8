"""A Keras model to a float ONNX file, by tf2onnx."""

import numpy as np

from edge.manifest import Tensor
from export.conversion.release_memory import give_back
from export.conversion.tflite import quiet
from export.errors import PrecisionError

OPSET = 17


def to_onnx(model, opset: int = OPSET, dynamic: bool = False):
    """Convert a Keras model to a float32 ONNX model (tf2onnx); its input is called "image".

    Args:
        model: of fixed shape, or of an open one with ``dynamic``.
        opset: version of ONNX's operators.
        dynamic: no operator may hold the model's sizes, since its axes are opened afterwards.

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
            function, input_signature=(spec,), opset=opset, custom_op_handlers=_handlers(dynamic)
        )
    _check_operators(converted)
    give_back()
    return converted


def _erfc(context, node, name, arguments):
    """TensorFlow's GELU is made of erfc, which ONNX lacks: 1 - erf(x)."""
    _replace_by_difference(context, node, name, "Erf", from_one=True)


def _expm1(context, node, name, arguments):
    """TensorFlow's ELU variants are made of exp(x) - 1 in one, which ONNX lacks."""
    _replace_by_difference(context, node, name, "Exp", from_one=False)


def _replace_by_difference(context, node, name, operator, from_one):
    """Replace a node by 1 - operator(x), or by operator(x) - 1."""
    shape, dtype = context.get_shape(node.output[0]), context.get_dtype(node.output[0])
    context.remove_node(node.name)
    value = context.make_node(operator, [node.input[0]], shapes=[shape], dtypes=[dtype])
    unity = context.make_const(f"{name}_one", np.ones((), np.float32))
    terms = [unity.output[0], value.output[0]] if from_one else [value.output[0], unity.output[0]]
    context.make_node("Sub", terms, outputs=[node.output[0]], shapes=[shape], dtypes=[dtype])


def _depth_to_space(context, node, name, arguments):
    """By one transposition that moves runs of channels: ONNX's own operator wants channels first."""
    block, source = node.get_attr_int("block_size"), node.input[0]
    outputs, given = list(node.output), context.get_shape(source)
    dtype, shape = context.get_dtype(outputs[0]), context.get_shape(outputs[0])
    context.remove_node(node.name)
    if -1 in given:
        x = context.make_node("Transpose", [source], attr={"perm": [0, 3, 1, 2]}).output
        x = context.make_node("DepthToSpace", x, attr={"blocksize": block}).output
        context.make_node("Transpose", x, attr={"perm": [0, 2, 3, 1]}, outputs=outputs, shapes=[shape], dtypes=[dtype])
        return
    count, height, width, channels = given
    read = np.array([count * height, width, block, channels // block], np.int64)
    x = context.make_node("Reshape", [source, context.make_const(f"{name}_read", read).output[0]]).output
    x = context.make_node("Transpose", x, attr={"perm": [0, 2, 1, 3]}).output
    written = context.make_const(f"{name}_written", np.array(shape, np.int64)).output
    context.make_node("Reshape", [*x, *written], outputs=outputs, shapes=[shape], dtypes=[dtype])


def _handlers(dynamic):
    handlers = {"Erfc": (_erfc, []), "Expm1": (_expm1, [])}
    return handlers if dynamic else handlers | {"DepthToSpace": (_depth_to_space, [])}


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


def to_float16(model):
    """A float32 ONNX model with weights and arithmetic in float16; its input and output stay float32.

    Args:
        model: ``onnx.ModelProto``.
    """
    from onnxruntime.quantization.onnx_model import ONNXModel
    from onnxruntime.transformers.float16 import convert_float_to_float16

    with quiet():
        converted = ONNXModel(convert_float_to_float16(model, keep_io_types=True, op_block_list=["Resize"]))
        converted.topological_sort()  # its casts are appended behind what reads them, which ONNX does not allow
    return converted.model


def tensors(model) -> tuple[Tensor, Tensor]:
    """Input and output tensor of an ONNX model."""
    return tuple(_tensor(value) for value in (model.graph.input[0], model.graph.output[0]))


def _tensor(value) -> Tensor:
    import onnx

    kind = value.type.tensor_type
    shape = tuple(int(d.dim_value) for d in kind.shape.dim)
    if 0 in shape:
        raise PrecisionError(f"tensor {value.name}: expected fixed dimensions, got shape {shape}; give a patch")
    return Tensor(value.name, shape, np.dtype(onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type)).name)
