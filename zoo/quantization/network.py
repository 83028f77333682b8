"""From a float network to one with fake quantization where the converter quantizes, and back."""

from collections.abc import Iterable

import keras

from zoo.errors import ZooError, unknown
from zoo.internals.keras import flat_layers, input_name
from zoo.quantization.fake import BITS, LARGEST
from zoo.quantization.layers import FakeQuantize, FakeQuantizedNormalization, FakeQuantizedProduct
from zoo.quantization.quantized_tensors import Step, common_scales, fuses, joins, moves, steps
from zoo.quantization.scales import PRODUCTS, check_granularity

RUNTIMES = ("tflite", "onnx")


def prepare(
    model, weights: str = "per-channel", runtime: str = "tflite", quantizer=FakeQuantize, bits: int | None = None
):
    """A copy of a network that computes in float what its int8 artifact computes in integers.

    Weights are symmetric, of as many bits as the runtime's, after the batch normalisation is folded in. Activations
    have 256 levels, one scale and zero point a tensor, and are quantized where the converter does it: the input, each
    product after the activation that is fused with it, each sum; what only moves values is not, and keeps its scale.
    Biases (int32) and what a layer without int8 form computes within itself stay float. ``calibrate`` it before use.

    Args:
        model: functional Keras model, float; it is not changed.
        weights: "per-channel" (of the output) or "per-tensor" scales.
        runtime: "tflite", whose converter gives tensors that are joined one common scale, or "onnx", where each has
            its own and is quantized anew as it is joined; weights have 8 bits in the first and 7 in the second, where
            ``bits`` says nothing else.
        quantizer: layer class for activations: ``FakeQuantize``, or one derived from it that is quicker on a backend.
        bits: of the weights, one of ``fake.BITS`` of the runtime; None for its own.

    Returns:
        A ``keras.Model`` of the same inputs and outputs in float32, with weights of its own; batch normalisations use
        their stored statistics.

    Raises:
        ZooError: the model is no graph of layers, or shares a layer in a way that has no single folded form.
    """
    check_granularity(weights)
    if runtime not in RUNTIMES:
        raise unknown("runtime", runtime, RUNTIMES)
    if bits not in (None, *BITS[runtime]):
        raise ZooError(f"bits {bits}: expected one of {BITS[runtime]} for {runtime}")
    levels = LARGEST[bits or BITS[runtime][0]]
    order = steps(model)
    inputs = [
        keras.Input(batch_shape=tensor.shape, name=input_name(tensor), dtype="float32") for tensor in model.inputs
    ]
    emit = _Emission(weights, runtime, common_scales(order, runtime), quantizer, levels)
    tensors = {id(t): emit.quantized(value, t, value.name) for t, value in zip(model.inputs, inputs, strict=True)}
    for step in order:
        given = [tensors[id(tensor)] for tensor in step.passed]
        outputs = given if step.operation is None else keras.tree.flatten(emit(step, tensors))
        tensors |= {id(tensor): value for tensor, value in zip(step.outputs, outputs, strict=True)}
    outputs = [tensors[id(tensor)] for tensor in model.outputs]
    ends = (each if len(each) > 1 else each[0] for each in (inputs, outputs))
    return keras.Model(*ends, name=f"{model.name}_fake_quantized")


class _Emission:
    """Emits steps; keeps what it made by the source layer, so that a shared layer stays one.

    Args:
        weights: granularity of the scales.
        runtime: as for ``prepare``.
        scales: from ``common_scales``.
        quantizer: as for ``prepare``.
        levels: largest integer that a weight becomes.
    """

    def __init__(self, weights, runtime, scales, quantizer, levels):
        self.levels = levels
        self.quantizer = quantizer
        self.weights = weights
        self.runtime = runtime
        self.scales = scales
        self.quantizers = {}
        self.made = {}
        self.names = set()

    def __call__(self, step: Step, tensors):
        args, kwargs = step.node.arguments.fill_in(tensors)
        kwargs = {key: value for key, value in kwargs.items() if value is not None}
        layer = step.operation
        outputs = (self._layer(step) if isinstance(layer, keras.Layer) else layer)(*args, **kwargs)
        if isinstance(layer, keras.Layer):
            _copy(step, self.made[id(layer)])
        activation = getattr(layer, "activation", None) if isinstance(layer, PRODUCTS) else None
        if activation not in (None, keras.activations.linear):
            if not fuses(activation):
                outputs = self.quantized(outputs, None, f"{step.path}_product")
            outputs = keras.layers.Activation(activation, name=self._free(f"{step.path}_activation"))(outputs)
        elif moves(layer) or step.fused or (self.runtime == "tflite" and joins(layer)):
            return outputs
        flat = zip(keras.tree.flatten(outputs), step.outputs, strict=True)
        return [self.quantized(y, source, step.path) for y, source in flat]

    def _layer(self, step):
        layer = step.operation
        if id(layer) not in self.made:
            name = self._free(step.path)
            if isinstance(layer, PRODUCTS):
                norm = None if step.norm is None else _cloned(step.norm)
                self.made[id(layer)] = FakeQuantizedProduct(
                    _cloned(layer, activation=None),
                    norm,
                    self.weights,
                    self.levels,
                    name=name,
                    dtype="float32",
                )
            elif _is_frozen_norm(layer):
                self.made[id(layer)] = FakeQuantizedNormalization(_cloned(layer), name=name, dtype="float32")
            else:
                self.made[id(layer)] = _cloned(layer, name=name)
        return self.made[id(layer)]

    def quantized(self, y, source, path):
        """Fake quantization of ``y``, by the layer that all tensors of the scale of ``source`` share."""
        if not keras.backend.is_float_dtype(y.dtype):
            return y
        scale = object() if source is None else self.scales.get(id(source), id(source))
        if scale not in self.quantizers:
            self.quantizers[scale] = self.quantizer(name=self._free(f"{path}_quantized"), dtype="float32")
        return self.quantizers[scale](y)

    def _free(self, base):
        number, candidate = 1, base
        while candidate in self.names:
            number += 1
            candidate = f"{base}_{number}"
        self.names.add(candidate)
        return candidate


def calibrate(prepared, batches: Iterable) -> None:
    """Measure the ranges of the activations: their extremes on ``batches``, computed in float.

    Args:
        prepared: from ``prepare``.
        batches: inputs as the network takes them, (batch, *spatial, channels).

    Raises:
        ZooError: if there are none.
    """
    parts = [layer for layer in flat_layers(prepared, include_self=False) if hasattr(layer, "observe")]
    for part in parts:
        part.observe()
    count = 0
    try:
        for batch in batches:
            prepared(batch, training=False)
            count += 1
        if not count:
            raise ZooError("calibration: expected at least one batch, got none")
    finally:
        for part in parts:
            part.settle()


def release(prepared, model):
    """Put the weights of a fine-tuned network into the plain float network that it was prepared from.

    Args:
        prepared: from ``prepare``, or loaded from a file.
        model: of the same architecture, changed in place.

    Returns:
        ``model``.

    Raises:
        ZooError: if the two do not belong together.
    """
    for step in steps(model):
        layer = step.operation
        if not isinstance(layer, keras.Layer) or not layer.weights:
            continue
        try:
            trained = prepared.get_layer(step.path)
        except ValueError:
            raise ZooError(f"{prepared.name}: holds no layer {step.path}; it was not made from {model.name}") from None
        for own, source in _pairs(step, trained):
            own.set_weights(source.get_weights())
    return model


def _copy(step, made):
    for own, source in _pairs(step, made):
        source.set_weights(own.get_weights())


def _pairs(step, made):
    """(layer of the plain network, its counterpart) of a step: the normalisation folded into it too."""
    if isinstance(made, FakeQuantizedProduct):
        yield step.operation, made.layer
        if step.norm is not None:
            yield step.norm, made.norm
    elif isinstance(made, FakeQuantizedNormalization):
        yield step.operation, made.norm
    else:
        yield step.operation, made


def _is_frozen_norm(layer):
    return type(layer) is keras.layers.BatchNormalization and layer.axis in (-1, len(layer.input.shape) - 1)


def _cloned(layer, **changes):
    config = layer.get_config()
    return type(layer).from_config({**config, "dtype": "float32", **{k: v for k, v in changes.items() if k in config}})
