"""Layers that compute with what int8 would hold, on any Keras backend."""

import keras
from keras import layers, ops

from zoo.quantization.fake import LARGEST, fake_quantize, fake_quantize_kernel
from zoo.quantization.scales import check_granularity, largest, output_axes


@keras.saving.register_keras_serializable(package="medseg")
class FakeQuantize(layers.Layer):
    """An activation as int8 would hold it, within a range that ``calibrate`` measures; as it is before that.

    Call: tensor -> the same shape.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seen = None

    def build(self, input_shape):
        self.low = self.add_weight(shape=(), initializer="zeros", trainable=False, name="low")
        self.high = self.add_weight(shape=(), initializer="zeros", trainable=False, name="high")

    def call(self, inputs):
        if self.seen is not None:
            values = ops.convert_to_numpy(inputs)
            self.seen = (min(self.seen[0], float(values.min())), max(self.seen[1], float(values.max())))
            return inputs
        return self.held(inputs)

    def held(self, inputs):
        """``inputs`` as int8 would hold them."""
        return fake_quantize(inputs, self.low, self.high)

    def compute_output_shape(self, input_shape):
        return input_shape

    def observe(self) -> None:
        """From now on pass values through and remember their extremes."""
        self.seen = (0.0, 0.0)

    def settle(self) -> None:
        """Take the extremes seen as the range; zero is in it."""
        low, high = self.seen
        self.low.assign(low)
        self.high.assign(high)
        self.seen = None


@keras.saving.register_keras_serializable(package="medseg")
class FakeQuantizedProduct(layers.Layer):
    """A convolution or matrix product with int8 weights, the batch normalisation after it folded in.

    The normalisation uses its stored statistics; its scale and shift are trained on.

    Args:
        layer: the float layer, without activation; see ``scales.PRODUCTS``.
        norm: the batch normalisation that follows it, or None.
        weights: "per-channel" (of the output) or "per-tensor" scales.
        levels: largest integer that a weight becomes, see ``fake.LARGEST``.

    Call: as the layer's.
    """

    def __init__(self, layer, norm=None, weights: str = "per-channel", levels: int = LARGEST[8], **kwargs):
        super().__init__(**kwargs)
        check_granularity(weights)
        self.layer = layer
        self.norm = norm
        self.weights_kind = weights
        self.levels = levels
        self.observing = False

    def build(self, input_shape):
        if not self.layer.built:
            self.layer.build(input_shape)
        if self.norm is not None and not self.norm.built:
            self.norm.build(self.layer.compute_output_shape(input_shape))

    def call(self, inputs):
        kernel, bias = self._folded()
        if not self.observing:
            kernel = fake_quantize_kernel(kernel, largest(self.layer, kernel, self.weights_kind), self.levels)
        own = getattr(self.layer, "bias", None)
        values = [(self.layer.kernel, kernel)] + ([(own, bias)] if own is not None else [])
        # The layer computes as ever, but reads other values from its variables.
        with keras.StatelessScope(state_mapping=values):
            y = self.layer.call(inputs)
        return y if own is not None or bias is None else y + bias

    def _folded(self):
        kernel = ops.convert_to_tensor(self.layer.kernel)
        bias = getattr(self.layer, "bias", None)
        if self.norm is None:
            return kernel, None if bias is None else ops.convert_to_tensor(bias)
        scale, shift = scale_and_shift(self.norm)
        axes = {axis % len(kernel.shape) for axis in output_axes(self.layer)}
        shape = [n if axis in axes else 1 for axis, n in enumerate(kernel.shape)]
        return kernel * ops.reshape(scale, shape), shift if bias is None else bias * scale + shift

    def observe(self) -> None:
        """From now on compute with the float weights."""
        self.observing = True

    def settle(self) -> None:
        """Compute with int8 weights again."""
        self.observing = False

    def compute_output_shape(self, input_shape):
        return self.layer.compute_output_shape(input_shape)

    def get_config(self):
        saved = {name: _saved(getattr(self, name)) for name in ("layer", "norm")}
        return {**super().get_config(), **saved, "weights": self.weights_kind, "levels": self.levels}

    @classmethod
    def from_config(cls, config):
        return cls(**{**config, **{name: _restored(config[name]) for name in ("layer", "norm")}})


@keras.saving.register_keras_serializable(package="medseg")
class FakeQuantizedNormalization(layers.Layer):
    """A batch normalisation that no layer before it takes up: one int8 multiplication and one int8 addition.

    It uses its stored statistics; its scale and shift are trained on.

    Args:
        norm: ``keras.layers.BatchNormalization`` over the last axis.

    Call: tensor -> the same shape; the sum is not quantized here, since an activation may be fused with it.
    """

    def __init__(self, norm, **kwargs):
        super().__init__(**kwargs)
        self.norm = norm
        self.product = FakeQuantize(name="product", dtype="float32")
        self.observing = False

    def build(self, input_shape):
        if not self.norm.built:
            self.norm.build(input_shape)
        self.product.build(input_shape)

    def call(self, inputs):
        scale, shift = scale_and_shift(self.norm)
        if not self.observing:
            scale, shift = _constant(scale), _constant(shift)
        return self.product(inputs * scale) + shift

    def observe(self) -> None:
        """From now on compute with float constants."""
        self.observing = True

    def settle(self) -> None:
        """Compute with int8 constants again."""
        self.observing = False

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "norm": _saved(self.norm)}

    @classmethod
    def from_config(cls, config):
        return cls(**{**config, "norm": _restored(config["norm"])})


def scale_and_shift(norm):
    """Per-channel (scale, shift) of a batch normalisation with its stored statistics."""
    scale = ops.rsqrt(norm.moving_variance + norm.epsilon)
    if norm.scale:
        scale = scale * norm.gamma
    shift = -norm.moving_mean * scale
    return scale, shift + norm.beta if norm.center else shift


def _constant(values):
    """A small constant tensor as int8 holds it."""
    low, high = (ops.stop_gradient(end) for end in (ops.min(values), ops.max(values)))
    return fake_quantize(values, ops.minimum(low, 0.0), ops.maximum(high, 0.0))


def _saved(layer):
    return None if layer is None else keras.saving.serialize_keras_object(layer)


def _restored(layer):
    return keras.saving.deserialize_keras_object(layer) if isinstance(layer, dict) else layer
