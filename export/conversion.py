"""Any Keras segmentation network to the bytes of a model file, with its precision read back and checked."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge.manifest import Tensor
from export import calibrate, operators
from export.formats import Format, find_format
from export.operators import Operator
from export.rewrite import Form, RewriteError, rewrite


@dataclass(frozen=True)
class Converted:
    """A model file in memory.

    Attributes:
        format: its format.
        data: the bytes of the file.
        input: its input tensor.
        output: its output tensor.
        folded: depth is the batch axis of both (rewritten 3D network).
        operators: read back from ``data``.
    """

    format: Format
    data: bytes
    input: Tensor
    output: Tensor
    folded: bool
    operators: list[Operator]


def convert(
    model, format: str, patch: Sequence[int] | None = None, calibration: Sequence[np.ndarray] = ()
) -> Converted:
    """Convert a Keras segmentation network.

    Args:
        model: functional Keras model with one input (batch, *spatial, channels) and one output of logits.
        format: a format's name, see ``export.formats``.
        patch: spatial size that the file will take; by default the model's own, if that is fixed.
        calibration: representative patches (*patch, channels), prepared as in training; for int8 formats.

    Returns:
        The converted model; for an int8 format every convolution in it is int8.

    Raises:
        FormatError: unknown format.
        RewriteError: no patch is given and the model has none, the network does not take it, it has several inputs or
            outputs, or a layer that cannot be rewritten.
        PrecisionError: int8 was asked for and some convolution is not, or the runtime lacks an operation.
        InputError: calibration patches of the wrong shape, or none.
    """
    chosen = find_format(format)
    _check_ends(model)
    patch = _patch(model, patch)
    _check_fits(model, patch)
    channels = model.inputs[0].shape[-1]
    if chosen.quantized:
        calibration = calibrate.check_patches(calibration, (*patch, channels))
    make = _to_tflite if chosen.runtime == "tflite" else _to_onnx
    converted = make(model, chosen, patch, calibration)
    if chosen.quantized:
        operators.check_integer(converted.operators, chosen.name)
    return converted


def _to_tflite(model, chosen, patch, calibration):
    from export import tflite

    folded = len(patch) == 3
    flat = rewrite(model, patch)
    data = tflite.to_tflite(flat, chosen, [_carried(p, folded) for p in calibration])
    return Converted(chosen, data, *tflite.tensors(data), folded, operators.read_tflite(data))


def _to_onnx(model, chosen, patch, calibration):
    from export import onnx

    if not chosen.quantized:
        converted, folded = onnx.to_onnx(_fixed(model, patch)), False
    else:
        folded = len(patch) == 3
        flat = rewrite(model, patch, Form(subpixel=True))
        converted = onnx.quantize(onnx.to_onnx(flat), [_carried(p, folded) for p in calibration])
        operators.check_runtime_integer(converted)
    return Converted(
        chosen, converted.SerializeToString(), *onnx.tensors(converted), folded, operators.read_onnx(converted)
    )


def _carried(patch, folded):
    return patch if folded else patch[None]


def _patch(model, patch):
    if patch is None:
        patch = model.inputs[0].shape[1:-1]
        if None in patch:
            raise RewriteError(f"{model.name}: its input shape {model.inputs[0].shape} is open; give patch=(...)")
    return tuple(int(n) for n in patch)


def _fixed(model, patch):
    """The same network with a fixed input shape of batch 1."""
    import keras

    image = keras.Input(batch_shape=(1, *patch, model.inputs[0].shape[-1]), name="image", dtype="float32")
    return keras.Model(image, model(image), name=model.name)


def _check_fits(model, patch):
    """Build the network on the patch symbolically: a patch that its strides do not divide fails here, in words."""
    try:
        _fixed(model, patch)
    except ValueError as error:
        first = str(error).strip().splitlines()[0]
        raise RewriteError(
            f"{model.name} does not take patch {patch} ({first}); use sizes that its strides divide"
        ) from None


def _check_ends(model):
    inputs, outputs = (getattr(model, name, None) or [] for name in ("inputs", "outputs"))
    if not inputs:
        raise RewriteError(
            f"{model.name}: found a {type(model).__name__} without an input shape; accepted is a functional "
            "keras.Model: with image = keras.Input((*patch, channels)) give keras.Model(image, model(image))"
        )
    if len(inputs) != 1:
        raise RewriteError(f"{model.name}: found {len(inputs)} inputs; accepted is one, the image")
    if len(outputs) != 1:
        raise RewriteError(
            f"{model.name}: found {len(outputs)} outputs; accepted is one, the logits: give "
            "keras.Model(model.inputs, model.outputs[0])"
        )
