"""Any Keras segmentation network to the bytes of a model file, with its precision read back and checked."""

import dataclasses
import functools
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from edge.manifest import Tensor
from export.conversion import operators
from export.conversion.layer_errors import LayerError
from export.conversion.onnx_options import (
    OnnxOptions,
    at_size,
    check_options,
    check_sizes,
    open_axes,
    opened,
    refuse_folded,
)
from export.conversion.operators import Operator
from export.device.processor import check_processor, matrix_unit, this_processor
from export.errors import FormatError
from export.formats import Format, find_format
from export.quantize import calibration as calibrate
from export.quantize import quantization
from export.quantize.ranges import check_method
from export.rewrite import Form, RewriteError, check_fit, rewrite
from export.rewrite.layouts import check_form


@dataclass(frozen=True)
class Converted:
    """A model file in memory.

    Attributes:
        format: its format.
        data: the bytes of the file.
        input: its input tensor.
        output: its output tensor.
        folded: depth is the batch axis of both (rewritten 3D network).
        form: of a 3D network rewritten with batch 1, "height" or "channels"; else empty.
        operators: read back from ``data``.
        method: calibration method of an int8 file.
        agreement: share of the voxels of calibration patches that keep the float network's class, by method tried.
        layer_errors: of an int8 file, worst first.
        float_layers: names of those layers of an int8 file that stayed float, as was asked.
        equalised: channels of an int8 file whose scale was moved between layers, as was asked.
        npu: made of operators that NPUs have.
        weights: scales of the weights of an int8 file.
        processor: that an int8 file is made for, see ``export.device.processor``; else empty.
        opset: of an ONNX file.
        dynamic: batch and spatial axes of an ONNX file may have any size.
    """

    format: Format
    data: bytes
    input: Tensor
    output: Tensor
    folded: bool
    operators: list[Operator]
    form: str = ""
    method: str = ""
    agreement: dict[str, float] = field(default_factory=dict)
    layer_errors: tuple[LayerError, ...] = ()
    float_layers: tuple[str, ...] = ()
    equalised: int = 0
    npu: bool = False
    weights: str = "per-channel"
    processor: str = ""
    opset: int = 0
    dynamic: bool = False


def convert(
    model,
    format: str,
    patch: Sequence[int] | None = None,
    calibration: Sequence[np.ndarray] = (),
    *,
    method: str = "minmax",
    float_layers: int = 0,
    equalise: bool = False,
    weights: str = "per-channel",
    npu: bool = False,
    form: str | None = None,
    opset: int | None = None,
    dynamic: bool = False,
    processor: str | None = None,
    overlapping: bool = False,
) -> Converted:
    """Convert a Keras segmentation network.

    Args:
        model: functional Keras model with one input (batch, *spatial, channels) and one output of logits.
        format: a format's name, see ``export.formats``.
        patch: spatial size that the file will take; by default the model's own, if that is fixed.
        calibration: representative patches (*patch, channels), prepared as in training; for integer formats.
        method: calibration of int8, see ``export.quantize.ranges``; "auto" tries all and keeps what agrees best.
        float_layers: number of layers of an int8 file, those of largest error, that stay float.
        equalise: move scales between the layers of an int8 file before it is quantized, see
            ``export.quantize.equalisation``; helps where the channels of a tensor have unequal ranges, above all with
            one scale for all weights.
        weights: scales of the weights of an int8 file: "per-channel" (of the output), or "per-tensor" for NPUs that
            know no others.
        npu: keep an int8 TFLite file to operators that NPUs have; a processor is faster without that.
        form: what a 3D network is rewritten into: "batch" (depth as the batch), or with batch 1, as many accelerators
            want it, "height" (depth folded into height) or "channels" (width folded into channels); by default what is
            quickest on processors.
        opset: of an ONNX file, 13 to 18; by default 17.
        dynamic: batch and spatial axes of an ONNX file take any size that the network does, ``patch`` being one of
            them; not those of a 3D network that is rewritten, as int8 is.
        processor: that an int8 file is made for: "amx", "x86" or "any", see ``export.device.processor``; by default
            the kind of this machine. It runs everywhere, but is quickest there.
        overlapping: the logits are of regions, each found where its own is above 0, by which "auto" compares methods.

    Returns:
        The converted model; for an integer format every convolution in it is integer, but for ``float_layers``.

    Raises:
        FormatError: unknown format, method or form, float layers in a format that has none, an opset or dynamic axes
            that the format cannot have.
        RewriteError: no patch is given and the model has none, the network does not take it, it has several inputs or
            outputs, or a layer that cannot be rewritten.
        PrecisionError: an integer format was asked for and some convolution is not, or the runtime lacks an operation.
        InputError: calibration patches of the wrong shape, or none.
    """
    chosen = find_format(format)
    check_method(method)
    check_form(form)
    check_processor(processor)
    for what, asked in (("float layers", float_layers), ("equalise", equalise)):
        if asked and chosen.activations != "int8":
            raise FormatError(f"format {chosen.name}: {what} holds for int8 formats; leave it out")
    quantization.check_weights(weights, [chosen.name])
    check_options([chosen.name], opset, dynamic)
    options = OnnxOptions(opset or OnnxOptions.opset, dynamic)
    _check_ends(model)
    patch = _patch(model, patch)
    if form is not None and len(patch) != 3:
        raise FormatError(f"form {form}: holds for 3D networks, {model.name} takes {len(patch)} axes; leave it out")
    check_fit(model, patch)
    channels = model.inputs[0].shape[-1]
    if chosen.quantized:
        calibration = calibrate.check_patches(calibration, (*patch, channels))
    # XNNPACK's int8 transposed convolution is the slower form; NPUs lack depth to space.
    rewritten = chosen.activations == "int8" and chosen.runtime != "openvino"
    subpixel = rewritten and not (npu and chosen.runtime == "tflite")
    blocks = subpixel and len(patch) == 3 and form in (None, "batch")
    processor = (processor or this_processor()) if blocks else ""
    quantize = functools.partial(
        quantization.quantize, method=method, classes=model.outputs[0].shape[-1], overlapping=overlapping
    )
    given = Form(subpixel, form or "batch", matrix_unit(processor, chosen.runtime) if blocks else None)
    if chosen.runtime == "openvino":
        _check_native(model, chosen, form, equalise, dynamic)
        converted = _to_openvino(model, chosen, patch, calibration, quantize, float_layers, weights, options.opset)
    elif chosen.runtime == "tflite":
        converted = _to_tflite(model, chosen, patch, calibration, quantize, float_layers, given, weights, equalise)
    else:
        native = form is None and chosen.activations != "int8" and not _has_groups(model)
        if dynamic and not native and len(patch) == 3:
            refuse_folded(chosen.name)
        converted = _to_onnx(
            model, chosen, patch, calibration, quantize, float_layers, given, native, weights, equalise, options
        )
    converted = dataclasses.replace(
        converted,
        npu=npu,
        processor=processor,
        weights=weights,
        folded=converted.folded and given.fold == "batch",
        form=given.fold if converted.folded and given.fold != "batch" else "",
    )
    if chosen.quantized:
        precision = "int8" if chosen.activations == "int8" else "int16x8"
        operators.check_integer(converted.operators, chosen.name, precision, float_layers)
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
        raise FormatError(f"format {format!r}: has no quantized layers to compare; accepted are tflite-int8, onnx-int8")
    return list(convert(model, format, patch, calibration, method=method).layer_errors)


def _to_tflite(model, chosen, patch, calibration, quantize, float_layers, form, weights, equalise):
    from export.conversion import tflite
    from export.quantize import tflite_int8 as tflite_integer

    flat, moved = _rewritten(model, patch, form, equalise)
    patches = [p.reshape(flat.inputs[0].shape) for p in calibration]
    how = {}
    if chosen.activations == "int8":
        # Only for NPUs are transposed convolutions kept.
        network = quantization.TFLiteNetwork(
            flat, patches, weights, sparse=form.unit is not None, npu=not form.subpixel
        )
        quantized = quantize(network, patches, float_layers=float_layers)
        data, how = quantized.model, _how(quantized) | {"equalised": moved}
    elif chosen.activations == "int16":
        data = tflite_integer.quantize_int16(tflite.to_tflite(flat, find_format("tflite-float32")), patches)
    else:
        data = tflite.to_tflite(flat, chosen)
    return Converted(chosen, data, *tflite.tensors(data), len(patch) == 3, operators.read_tflite(data), **how)


def _to_onnx(model, chosen, patch, calibration, quantize, float_layers, form, native, weights, equalise, options):
    from export.conversion import onnx

    how = {}
    if chosen.activations == "int8":
        flat, moved = _rewritten(model, patch, form, equalise)
        patches = [p.reshape(flat.inputs[0].shape) for p in calibration]
        network = quantization.OnnxNetwork(onnx.to_onnx(flat, options.opset, options.dynamic), patches, weights)
        quantized = quantize(network, patches, float_layers=float_layers)
        converted, how = quantized.model, _how(quantized) | {"equalised": moved}
        operators.check_runtime_integer(converted, float_layers)
    else:
        if native:
            network = opened(model, chosen.name) if options.dynamic else _fixed(model, patch)
        else:
            network = rewrite(model, patch, form)
        converted = onnx.to_onnx(network, options.opset, options.dynamic)
        if chosen.weights == "float16":
            converted = onnx.to_float16(converted)
    sized = converted
    if options.dynamic:
        open_axes(converted, len(patch))
        check_sizes(converted, opened(model, chosen.name), patch, chosen.name, next(iter(calibration), None))
        sized = at_size(converted, patch)
    how |= {"opset": options.opset, "dynamic": options.dynamic}
    folded = not native and len(patch) == 3
    return Converted(
        chosen, converted.SerializeToString(), *onnx.tensors(sized), folded, operators.read_onnx(sized), **how
    )


def _to_openvino(model, chosen, patch, calibration, quantize, float_layers, weights, opset):
    """The network with its own layers: OpenVINO has kernels for 3D convolutions, which the rewrite would only slow."""
    from export.conversion import onnx
    from export.conversion import openvino as openvino_file

    converted, how = onnx.to_onnx(_fixed(model, patch), opset), {}
    if chosen.activations == "int8":
        patches = [p[None] for p in calibration]
        network = quantization.OpenVinoNetwork(converted, patches, weights)
        quantized = quantize(network, patches, float_layers=float_layers)
        converted, how = quantized.model, _how(quantized)
        openvino_file.check_integer(converted, float_layers)
    content, found = converted.SerializeToString(), operators.read_onnx(converted)
    return Converted(chosen, content, *onnx.tensors(converted), False, found, opset=opset, **how)


def _check_native(model, chosen, form, equalise, dynamic):
    for option, asked in (("form", form), ("equalise", equalise), ("dynamic", dynamic)):
        if asked:
            raise FormatError(f"format {chosen.name}: keeps the network's own layers; leave {option} out")
    if _has_groups(model):
        raise RewriteError(
            f"{model.name}: has convolutions in groups, which cannot be converted with 3D layers of its own; expected "
            "none for an OpenVINO format, export onnx-int8 or tflite-int8"
        )


def _rewritten(model, patch, form, equalise):
    """The rewritten network, and how many of its channels were given another scale."""
    flat = rewrite(model, patch, form)
    if not equalise:
        return flat, 0
    from export.quantize import equalisation

    return flat, equalisation.equalise(flat)


def _has_groups(model) -> bool:
    """Whether a convolution has groups: TensorFlow runs those by XLA, of which tf2onnx knows nothing."""
    layers = model._flatten_layers(include_self=False)
    return any(hasattr(layer, "kernel_size") and getattr(layer, "groups", 1) > 1 for layer in layers)


def _how(quantized):
    return {name: getattr(quantized, name) for name in ("method", "agreement", "layer_errors", "float_layers")}


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
