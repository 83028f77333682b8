"""An int8 network: ranges by the calibration that measures best, errors by layer, float where that is allowed."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from export.conversion import layer_errors as layers
from export.conversion import openvino as openvino_file
from export.conversion.layer_errors import LayerError
from export.errors import FormatError
from export.formats import find_format
from export.quantize import onnx_int8 as onnx_integer
from export.quantize import tflite_int8 as tflite_integer
from export.quantize.float_chains import float_chains
from export.quantize.native import float_graph, integer_graph, joins
from export.quantize.ranges import METHODS, check_method

# Both are a matter of minutes: the agreement of methods differs in the third digit at most, errors by decibels.
AGREEMENT_PATCHES = 12
ERROR_PATCHES = 4
WEIGHTS = ("per-channel", "per-tensor")


def check_weights(weights: str, formats: Sequence[str] = ("tflite-int8",)) -> None:
    """Require a granularity of the scales of weights, and "per-tensor" only where there is an int8 format.

    Raises:
        FormatError: for another, or if no format is int8.
    """
    if weights not in WEIGHTS:
        raise FormatError(f"weights {weights!r}: expected one of {', '.join(WEIGHTS)}")
    if weights == "per-tensor" and not any(find_format(name).activations == "int8" for name in formats):
        raise FormatError(f"weights per-tensor: hold for int8 formats, not for {', '.join(formats)}; leave that out")


@dataclass(frozen=True)
class Quantized:
    """An int8 network and how it came about.

    Attributes:
        model: bytes of a TFLite file, or ``onnx.ModelProto``.
        method: which calibration method gave its ranges.
        agreement: share of the voxels of calibration patches whose class is the float network's, by method tried.
        layer_errors: worst first.
        float_layers: names of those that stay float.
    """

    model: Any
    method: str
    agreement: dict[str, float]
    layer_errors: tuple[LayerError, ...]
    float_layers: tuple[str, ...] = ()


class TFLiteNetwork:
    """A calibrated TFLite network.

    Args:
        model: rewritten Keras model.
        patches: representative inputs.
        weights: one of ``WEIGHTS``.
        sparse: kernels of many zeros are stored without them.
        npu: every operator is quantized, also in a chain that needs float (``float_chains``).
    """

    def __init__(self, model, patches: Sequence[np.ndarray], weights="per-channel", sparse=False, npu=False):
        self.per_channel = weights == "per-channel"
        self.sparse = sparse
        self.calibrated = tflite_integer.calibrate(model, patches[0])
        self.histograms, self.logits = tflite_integer.histograms(self.calibrated, patches)
        self.chains = () if npu else tuple(float_chains(self.calibrated))

    def quantize(self, method: str, float_layers: Sequence[str] = ()) -> bytes:
        """The int8 file with the ranges of ``method``."""
        ranged = tflite_integer.with_ranges(self.calibrated, self.histograms, method)
        return tflite_integer.quantize(ranged, float_layers, self.per_channel, self.sparse, self.chains)

    def run(self, quantized, patches):
        """Its logits, patch by patch."""
        return tflite_integer.logits(quantized, patches)

    def paired(self, quantized, patches):
        """Values of every layer, float and quantized."""
        return tflite_integer.paired(self.calibrated, quantized, patches)


class OnnxNetwork:
    """A prepared ONNX network.

    Args:
        model: float ``onnx.ModelProto``.
        patches: representative inputs.
        weights: one of ``WEIGHTS``.
        weight_bits: 7, or 8 for processors with VNNI alone; for OpenVINO those with AMX.
    """

    def __init__(self, model, patches: Sequence[np.ndarray], weights: str = "per-channel", weight_bits: int = 7):
        self.per_channel = weights == "per-channel"
        self.weight_bits = weight_bits
        self.prepared = self._prepare(model)
        self.histograms, self.logits = onnx_integer.histograms(self.prepared, patches)

    def quantize(self, method: str, float_layers: Sequence[str] = ()):
        """The QDQ model with the ranges of ``method``."""
        return self._quantized(method, float_layers)

    def run(self, quantized, patches):
        """Its logits, patch by patch."""
        return onnx_integer.logits(quantized, patches)

    def paired(self, quantized, patches):
        """Values of every layer, float and quantized."""
        return onnx_integer.paired(self.prepared, quantized, patches)

    def _prepare(self, model):
        return onnx_integer.prepare(model)

    def _quantized(self, method, float_layers, **options):
        arguments = (self.prepared, self.histograms, method, float_layers, self.per_channel)
        return onnx_integer.quantize(*arguments, weight_bits=self.weight_bits, **options)


class OpenVinoNetwork(OnnxNetwork):
    """A prepared ONNX network with its own 3D layers, quantized for OpenVINO; arguments as for ``OnnxNetwork``."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        joins.fit(self.prepared, self.histograms)

    def quantize(self, method: str, float_layers: Sequence[str] = ()):
        """The QDQ model with the ranges of ``method``, settled for OpenVINO, which fuses data movement itself."""
        join = functools.partial(joins.shared, self.prepared)
        quantized = self._quantized(method, float_layers, movement=False, join=join)
        return integer_graph.settle(quantized, self.prepared, signed=self.weight_bits == 8)

    def run(self, quantized, patches):
        """Its logits on OpenVINO, patch by patch."""
        return openvino_file.logits(quantized, patches)

    def _prepare(self, model):
        return float_graph.fuller(super()._prepare(model))


def quantize(
    network,
    patches: Sequence[np.ndarray],
    method: str = "auto",
    float_layers: int = 0,
    classes: int | None = None,
    overlapping: bool = False,
) -> Quantized:
    """Quantize a calibrated network.

    Args:
        network: ``TFLiteNetwork``, ``OnnxNetwork`` or ``OpenVinoNetwork``.
        patches: what it was calibrated with.
        method: one of ``ranges.METHODS``, or "auto": the one whose classes agree best with the float network's on
            ``patches``; the first of them where they agree alike.
        float_layers: number of layers that stay float, those of largest error.
        classes: of the logits, where their last axis holds more than those.
        overlapping: the logits are of regions, each found where its own is above 0.

    Raises:
        FormatError: for an unknown method.
    """
    check_method(method)
    made = {name: network.quantize(name) for name in (METHODS if method == "auto" else (method,))}
    classes_of = functools.partial(_found, classes=classes, overlapping=overlapping)
    picks = np.unique(np.linspace(0, len(patches) - 1, min(AGREEMENT_PATCHES, len(patches))).round().astype(int))
    measured = {name: _agreement(network, model, patches, picks, classes_of) for name, model in made.items()}
    best = max(made, key=measured.get)
    few = [patches[i] for i in picks[:: max(1, len(picks) // ERROR_PATCHES)]]
    errors = layers.ratios(network.paired(made[best], few))
    if not float_layers:
        return Quantized(made[best], best, measured, errors)
    names = tuple(error.name for error in errors[:float_layers])
    model = network.quantize(best, names)
    measured[f"{best}, {len(names)} layers float"] = _agreement(network, model, patches, picks, classes_of)
    return Quantized(model, best, measured, layers.ratios(network.paired(model, few)), names)


def _agreement(network, model, patches, picks, classes_of) -> float:
    outputs = network.run(model, [patches[i] for i in picks])
    same = [
        np.mean(classes_of(output) == classes_of(network.logits[i])) for i, output in zip(picks, outputs, strict=True)
    ]
    return float(np.mean(same))


def _found(logits, classes, overlapping):
    """The class of every voxel, or which regions it lies in."""
    logits = logits.reshape(-1, classes or logits.shape[-1])
    return logits > 0 if overlapping else logits.argmax(-1)
