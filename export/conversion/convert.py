"""Any Keras segmentation network to the bytes of a model file, with its precision read back and checked."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from export.conversion import operators
from export.conversion.converted import Converted
from export.conversion.layer_errors import LayerError
from export.conversion.runtimes import BY_RUNTIME, Job
from export.device.processor import matrix_unit, this_processor
from export.errors import FormatError
from export.formats import Format, find_format
from export.options import ConversionOptions, conversion_options
from export.quantize import calibration as calibrate
from export.rewrite import Layout, RewriteError, check_fit, check_weights


def convert(
    model,
    format: str,
    patch: Sequence[int] | None = None,
    calibration: Sequence[np.ndarray] = (),
    **options,
) -> Converted:
    """Convert a Keras segmentation network.

    Args:
        model: functional Keras model with one input (batch, *spatial, channels) and one output of logits.
        format: a format's name, see ``export.formats``.
        patch: spatial size that the file will take; by default the model's own, if that is fixed.
        calibration: representative patches (*patch, channels), prepared as in training; for integer formats.
        options: attributes of ``export.options.ConversionOptions``: method, float_layers, equalise, weights, npu,
            layout, opset, dynamic, processor, overlapping.

    Returns:
        The converted model; for an integer format every convolution in it is integer, but for ``float_layers``.

    Raises:
        UsageError: unknown option.
        FormatError: unknown format, method or layout, float layers in a format that has none, an opset or dynamic axes
            that the format cannot have.
        RewriteError: no patch is given and the model has none, the network does not take it, it has several inputs or
            outputs, or a layer that cannot be rewritten.
        PrecisionError: an integer format was asked for and some convolution is not, or the runtime lacks an operation.
        InputError: calibration patches of the wrong shape, or none; weights that are no numbers.
    """
    return convert_checked(model, find_format(format), patch, calibration, conversion_options(format, **options))


def convert_checked(
    model, chosen: Format, patch: Sequence[int] | None, calibration: Sequence[np.ndarray], options: ConversionOptions
) -> Converted:
    """``convert`` with options that were checked already, see there."""
    _check_ends(model)
    check_weights(model)
    patch = _patch(model, patch)
    if options.layout is not None and len(patch) != 3:
        raise FormatError(
            f"layout {options.layout}: holds for 3D networks, {model.name} takes {len(patch)} axes; leave it out"
        )
    check_fit(model, patch)
    channels = model.inputs[0].shape[-1]
    if chosen.quantized:
        calibration = calibrate.check_patches(calibration, (*patch, channels))
    # XNNPACK's int8 transposed convolution is the slower one; NPUs lack depth to space.
    rewritten = chosen.activations == "int8" and chosen.runtime != "openvino"
    subpixel = rewritten and not (options.npu and chosen.runtime == "tflite")
    blocks = subpixel and len(patch) == 3 and options.layout in (None, "batch")
    processor = (options.processor or this_processor()) if blocks else ""
    layout = Layout(subpixel, options.layout or "batch", matrix_unit(processor, chosen.runtime) if blocks else None)
    job = Job(model, chosen, patch, tuple(calibration), options, layout)
    converted = BY_RUNTIME[chosen.runtime](job)
    converted = dataclasses.replace(
        converted,
        npu=options.npu,
        processor=processor,
        weights=options.weights,
        folded=converted.folded and layout.fold == "batch",
        layout=layout.fold if converted.folded and layout.fold != "batch" else "",
    )
    if chosen.quantized:
        precision = "int8" if chosen.activations == "int8" else "int16x8"
        operators.check_integer(converted.operators, chosen.name, precision, options.float_layers)
    return converted


def layer_errors(model, format: str, patch=None, calibration=(), method: str = "minmax") -> list[LayerError]:
    """Errors of every convolution and matrix product of a network as an int8 file, worst first.

    Args:
        model: functional Keras model.
        format: "tflite-int8" or "onnx-int8".
        patch: spatial size of the input, voxels; by default the model's own.
        calibration: representative patches (*patch, channels); the errors are measured on the first few of them.
        method: calibration method, see ``export.quantize.ranges``.

    Raises:
        FormatError: if the format is not int8.
        RewriteError, PrecisionError, InputError: as ``export.convert``.
    """
    if find_format(format).activations != "int8":
        raise FormatError(
            f"format {format!r}: has no quantized layers to compare; expected one of tflite-int8, onnx-int8"
        )
    return list(convert(model, format, patch, calibration, method=method).layer_errors)


def _patch(model, patch):
    if patch is None:
        patch = model.inputs[0].shape[1:-1]
        if None in patch:
            raise RewriteError(f"{model.name}: its input shape {model.inputs[0].shape} is open; give patch=(...)")
    return tuple(int(n) for n in patch)


def _check_ends(model):
    inputs, outputs = (getattr(model, name, None) or [] for name in ("inputs", "outputs"))
    if not inputs:
        raise RewriteError(
            f"{model.name}: expected a functional keras.Model, got a {type(model).__name__} without an input shape; "
            "with image = keras.Input((*patch, channels)) give keras.Model(image, model(image))"
        )
    if len(inputs) != 1:
        raise RewriteError(f"{model.name}: expected one input, the image, got {len(inputs)}; give a model of one")
    if len(outputs) != 1:
        raise RewriteError(
            f"{model.name}: expected one output, the logits, got {len(outputs)}; give "
            "keras.Model(model.inputs, model.outputs[0])"
        )
