"""A checked conversion by the runtime that the file is for: LiteRT, ONNX Runtime or OpenVINO."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from export.conversion import operators
from export.conversion.converted import Converted
from export.conversion.onnx_options import at_size, check_sizes, open_axes, opened, refuse_folded
from export.errors import FormatError
from export.formats import Format, find_format
from export.options import ConversionOptions
from export.quantize import quantization
from export.rewrite import Layout, RewriteError, rewrite
from zoo.internals.keras import flat_layers


@dataclass(frozen=True)
class Job:
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


def for_tflite(job: Job) -> Converted:
    """The network in 2D layers, for LiteRT."""
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


def for_onnx(job: Job) -> Converted:
    """For ONNX Runtime: the network's own layers in float; in 2D layers in int8, on request and where it has groups."""
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


def for_openvino(job: Job) -> Converted:
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
    data, listed = converted.SerializeToString(), operators.read_onnx(converted, fused=True)
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


def _fixed(model, patch):
    """The same network with a fixed input shape of batch 1."""
    import keras

    image = keras.Input(batch_shape=(1, *patch, model.inputs[0].shape[-1]), name="image", dtype="float32")
    return keras.Model(image, model(image), name=model.name)


BY_RUNTIME = {"tflite": for_tflite, "onnx": for_onnx, "openvino": for_openvino}
