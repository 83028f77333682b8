"""What can be chosen of an ONNX file: its opset, and whether batch and spatial axes are dynamic."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from export.errors import FormatError
from export.formats import find_format

# Below 13 weights cannot be quantized per channel; tf2onnx writes none above 18.
OPSETS = range(13, 19)
TOLERANCE = {"float32": 1e-3, "float16": 0.02, "int8": 0.3}


@dataclass(frozen=True)
class OnnxOptions:
    """Of an ONNX file.

    Attributes:
        opset: version of ONNX's operators.
        dynamic: batch and spatial axes may have any size that the network takes.
    """

    opset: int = 17
    dynamic: bool = False


def check_options(formats: Sequence[str], opset: int | None, dynamic: bool) -> None:
    """Require options of ONNX files only where there are some, and an opset that can be written.

    Args:
        formats: names of all formats asked for.
        opset: None for the usual one.
        dynamic: whether dynamic axes are asked for.

    Raises:
        FormatError: otherwise.
    """
    asked = [name for name, given in (("opset", opset is not None), ("dynamic", dynamic)) if given]
    if asked and not any(find_format(name).runtime == "onnx" for name in formats):
        raise FormatError(f"{asked[0]}: holds for ONNX files, not for {', '.join(formats)}; leave it out")
    if opset is not None and opset not in OPSETS:
        raise FormatError(f"opset {opset}: expected {OPSETS[0]} to {OPSETS[-1]}")


def refuse_folded(format: str) -> None:
    """Say why a rewritten 3D network has no dynamic axes.

    Raises:
        FormatError: always.
    """
    raise FormatError(
        f"dynamic: {format} of a 3D network is rewritten into 2D layers, with depth as the batch and sizes that are "
        "fixed; dynamic are all ONNX formats of 2D networks, and onnx-float32 and onnx-float16 of 3D networks without "
        "grouped convolutions"
    )


def opened(model, format: str):
    """The same layers behind an input of any size.

    Args:
        model: functional Keras model.
        format: for the message.

    Raises:
        FormatError: if the network depends on the size of its input.
    """
    import keras

    shape = model.inputs[0].shape
    try:
        image = keras.Input((*(None,) * (len(shape) - 2), shape[-1]), name="image", dtype="float32")
        return keras.models.clone_model(model, image, clone_function=lambda layer: layer)
    except (ValueError, TypeError) as error:
        raise _depends(model, format, error) from None


def _depends(model, format, error):
    first = (str(error).strip() or type(error).__name__).splitlines()[0]
    return FormatError(f"dynamic: {format}: {model.name} depends on the size of its input ({first}); leave it out")


def open_axes(converted, rank: int):
    """Name batch and spatial axes of an ONNX model, in place, so that they may have any size.

    A 2D integer file is made at one size; what is left of that in it are reshapes that move a channel axis of 1.

    Args:
        converted: ``onnx.ModelProto`` of layout (batch, *spatial, channels).
        rank: spatial axes.

    Returns:
        The same model.
    """
    graph = converted.graph
    _transpose_instead(graph)
    del graph.value_info[:]
    names = ("batch", *("depth", "height", "width")[-rank:])
    for value in (*graph.input, *graph.output):
        for dimension, name in zip(value.type.tensor_type.shape.dim, names, strict=False):
            dimension.dim_param = name
    return converted


def _transpose_instead(graph):
    """A reshape from (n, h, w, 1) to (n, 1, h, w) or back as the transposition that it is; it names h and w."""
    from onnx import helper, numpy_helper

    constants = {i.name: numpy_helper.to_array(i) for i in graph.initializer}
    for node in graph.node:
        target = constants.get(node.input[1]) if node.op_type == "Reshape" else None
        if target is None or len(target) != 4 or np.count_nonzero(target > 1) != 2:
            continue
        perm = (0, 3, 1, 2) if target[1] == 1 else (0, 2, 3, 1)
        node.CopyFrom(helper.make_node("Transpose", [node.input[0]], list(node.output), node.name, perm=perm))


def at_size(converted, patch: Sequence[int]):
    """A copy of a dynamic model with its shapes fixed at one size, to count its operations.

    Args:
        converted: ``onnx.ModelProto``.
        patch: spatial size.
    """
    fixed = type(converted)()
    fixed.CopyFrom(converted)
    for value in (fixed.graph.input[0], fixed.graph.output[0]):
        for dimension, size in zip(value.type.tensor_type.shape.dim, (1, *patch), strict=False):
            dimension.dim_value = size
    return fixed


def check_sizes(converted, network, patch: Sequence[int], format: str, sample: np.ndarray | None = None) -> None:
    """Run a dynamic model at other sizes and compare with the network.

    Args:
        converted: ``onnx.ModelProto``.
        network: Keras model of open input.
        patch: a size that the network takes, voxels.
        format: for message and tolerance.
        sample: a real patch (*patch, channels); random numbers where there is none.

    Raises:
        FormatError: if it does not run or does not agree.
    """
    from export.quantize.onnx_tensor_values import session

    channels = network.inputs[0].shape[-1]
    if sample is None:
        sample = np.random.default_rng(0).standard_normal((*patch, channels), np.float32)
    sizes = [np.stack([sample, sample[::-1]])]
    sizes += [np.concatenate([sample, np.flip(sample, axis)], axis)[None] for axis in range(len(patch))]
    try:
        running = session(converted, fused=True)
        for image in sizes:
            (result,) = running.run(None, {running.get_inputs()[0].name: image})
            expected = np.asarray(network(image, training=False))
            if result.shape != expected.shape:
                raise ValueError(f"at {image.shape} it gives {result.shape} instead of {expected.shape}")
            error = float(np.std(result - expected) / max(float(np.std(expected)), 1e-12))
            if not error < TOLERANCE[format.rpartition("-")[2]]:
                raise ValueError(f"at {image.shape} it is off by {error:.3f} of the logits' deviation")
    except Exception as error:  # onnxruntime's own errors share no base class but Exception
        raise _depends(network, format, error) from None
