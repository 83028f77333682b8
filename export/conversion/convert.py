"""Any Keras segmentation network to the bytes of a model file, with its precision read back and checked."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edge.manifest import Tensor
from export.conversion import operators
from export.conversion.layer_errors import LayerError
from export.conversion.onnx_options import at_size, check_sizes, open_axes, opened, refuse_folded
from export.conversion.operators import Operator
from export.device.processor import matrix_unit, this_processor
from export.errors import FormatError
from export.formats import Format, find_format
from export.options import ConversionOptions, conversion_options
from export.quantize import calibration as calibrate
from export.quantize import quantization
from export.rewrite import Layout, RewriteError, check_fit, check_weights, rewrite
from zoo.internals.keras import flat_layers


@dataclass(frozen=True)
class Converted:
    """A model file in memory.

    Attributes:
        format: its format.
        data: the bytes of the file.
        input: its input tensor.
        output: its output tensor.
        folded: depth is the batch axis of both (rewritten 3D network).
        layout: of a 3D network rewritten with batch 1, "height" or "channels"; else empty.
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
    layout: str = ""
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
    job = _Job(model, chosen, patch, tuple(calibration), options, layout)
    converted = {"openvino": _to_openvino, "tflite": _to_tflite, "onnx": _to_onnx}[chosen.runtime](job)
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


@dataclass(frozen=True)
class _Job:
    """One conversion: a network, what it becomes, and the patches (*patch, channels) that it is calibrated with."""

    model: Any
    format: Format
    patch: tuple[int, ...]
    calibration: tuple[np.ndarray, ...]
    options: ConversionOptions
    layout: Layout

    def rewritten(self):
        """The rewritten network, how many of its channels were given another scale, and patches that fit it."""
        flat, moved = rewrite(self.model, self.patch, self.layout), 0
        if self.options.equalise:
            from export.quantize import equalisation

            moved = equalisation.equalise(flat)
        return flat, moved, [p.reshape(flat.inputs[0].shape) for p in self.calibration]

    def weight_options(self) -> tuple[str, int]:
        """The scales of an int8 file's weights and their bits: every processor with AMX has VNNI, others may not."""
        return self.options.weights, 8 if self.options.processor == "amx" else 7

    def quantize(self, network, patches):
        """A calibrated network in int8."""
        options = self.options
        classes = self.model.outputs[0].shape[-1]
        return quantization.quantize(
            network, patches, options.method, options.float_layers, classes, options.overlapping
        )


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


def _to_tflite(job):
    from export.conversion import tflite
    from export.quantize import tflite_int16

    flat, moved, patches = job.rewritten()
    how = {}
    if job.format.activations == "int8":
        # Only for NPUs are transposed convolutions kept.
        network = quantization.TFLiteNetwork(
            flat, patches, job.options.weights, sparse=job.layout.unit is not None, npu=not job.layout.subpixel
        )
        quantized = job.quantize(network, patches)
        data, how = quantized.model, _how(quantized) | {"equalised": moved}
    elif job.format.activations == "int16":
        plain = tflite.to_tflite(flat, find_format("tflite-float32"))
        data = tflite_int16.quantize(plain, patches, npu=job.options.npu)
    else:
        data = tflite.to_tflite(flat, job.format)
    folded = len(job.patch) == 3
    return Converted(job.format, data, *tflite.tensors(data), folded, operators.read_tflite(data), **how)


def _to_onnx(job):
    from export.conversion import onnx

    model, patch, name, options = job.model, job.patch, job.format.name, job.options.onnx
    native = job.options.layout is None and job.format.activations != "int8" and not _has_groups(model)
    if options.dynamic and not native and len(patch) == 3:
        refuse_folded(name)
    how = {}
    if job.format.activations == "int8":
        flat, moved, patches = job.rewritten()
        prepared = onnx.to_onnx(flat, options.opset, options.dynamic)
        quantized = job.quantize(quantization.OnnxNetwork(prepared, patches, *job.weight_options()), patches)
        converted, how = quantized.model, _how(quantized) | {"equalised": moved}
        operators.check_runtime_integer(converted, job.options.float_layers)
    else:
        if native:
            network = opened(model, name) if options.dynamic else _fixed(model, patch)
        else:
            network = rewrite(model, patch, job.layout)
        converted = onnx.to_onnx(network, options.opset, options.dynamic)
        if job.format.weights == "float16":
            converted = onnx.to_float16(converted)
    sized = converted
    if options.dynamic:
        open_axes(converted, len(patch))
        check_sizes(converted, opened(model, name), patch, name, next(iter(job.calibration), None))
        sized = at_size(converted, patch)
    how |= {"opset": options.opset, "dynamic": options.dynamic}
    folded = not native and len(patch) == 3
    data = converted.SerializeToString()
    return Converted(job.format, data, *onnx.tensors(sized), folded, operators.read_onnx(sized), **how)


def _to_openvino(job):
    """The network with its own layers: OpenVINO has kernels for 3D convolutions, which the rewrite would only slow."""
    from export.conversion import onnx
    from export.conversion import openvino as openvino_file

    _check_native(job)
    opset, how = job.options.onnx.opset, {}
    converted = onnx.to_onnx(_fixed(job.model, job.patch), opset)
    if job.format.activations == "int8":
        patches = [p[None] for p in job.calibration]
        quantized = job.quantize(quantization.OpenVinoNetwork(converted, patches, *job.weight_options()), patches)
        converted, how = quantized.model, _how(quantized)
        openvino_file.check_integer(converted, job.options.float_layers)
    data, listed = converted.SerializeToString(), operators.read_onnx(converted)
    return Converted(job.format, data, *onnx.tensors(converted), False, listed, opset=opset, **how)


def _check_native(job):
    for option in ("layout", "equalise", "dynamic"):
        if getattr(job.options, option):
            raise FormatError(f"format {job.format.name}: keeps the network's own layers; leave {option} out")
    if _has_groups(job.model):
        raise RewriteError(
            f"{job.model.name}: has convolutions in groups, which cannot be converted with 3D layers of its own; "
            "expected none for an OpenVINO format, export onnx-int8 or tflite-int8"
        )


def _has_groups(model) -> bool:
    """Whether a convolution has groups: TensorFlow runs those by XLA, of which tf2onnx knows nothing."""
    layers = flat_layers(model, include_self=False)
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
