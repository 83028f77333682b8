"""Rules for convolutions: a 3D kernel becomes one 2D kernel over depth-shifted copies stacked along channels."""

from dataclasses import dataclass

import keras
import numpy as np
from keras import layers, ops

from export.rewrite.emission import Emission, whole
from export.rewrite.registry import rule
from export.rewrite.rules import depth
from export.rewrite.rules.norm import folded_weights
from zoo.internals.keras import nn as operations


@dataclass(frozen=True)
class Window:
    """How a convolution's kernel steps over its input, per axis.

    Attributes:
        strides: voxels from one output to the next.
        dilation: voxels from one tap to the next.
        padding: "same" or "valid".
    """

    strides: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: str

    @property
    def plane(self) -> "Window":
        """The same without depth."""
        return Window(self.strides[1:], self.dilation[1:], self.padding)


@dataclass(frozen=True)
class Place:
    """Where emitted layers belong: the source layer or operation, and the emission that it is in."""

    layer: object
    emission: Emission
    part: str = ""

    def at(self, part: str) -> "Place":
        """The same for one of several emitted layers."""
        return Place(self.layer, self.emission, f"{self.part}{part}")

    def once(self, kind: str, make):
        """The emitted layer, made on its first use."""
        return self.emission.once((self.layer, kind, self.part), make)


def window_of(layer) -> Window:
    """The ``Window`` of a Keras convolution layer."""
    return Window(tuple(layer.strides), tuple(layer.dilation_rate), layer.padding)


def activate(layer, x):
    """Apply a layer's own activation, if it has one."""
    activation = getattr(layer, "activation", None)
    if activation in (None, keras.activations.linear):
        return x
    return layers.Activation(activation)(x)


def conv2d(x, kernel, bias, place: Place, window: Window):
    """Emit one Conv2D with the given kernel (kh, kw, in, out) and bias."""

    def make():
        return layers.Conv2D(
            kernel.shape[-1], kernel.shape[:2], strides=window.strides, padding=window.padding,
            dilation_rate=window.dilation, dtype="float32",
        )  # fmt: skip

    layer = place.once("conv2d", make)
    y = layer(x)
    layer.set_weights([kernel, bias])
    return y


ONE = Window((1, 1), (1, 1), "valid")


@rule(layers.Conv3D, folds_batch_norm=True)
def conv3d_layer(layer, args, kwargs, emission):
    """Conv3D: depth windows stacked along channels, then one Conv2D, so that int8 accumulates once."""
    kernel, bias = folded_weights(layer, emission.batch_norm, out_axis=-1)
    return activate(layer, conv3d(args[0], kernel, bias, Place(layer, emission), window_of(layer)))


@rule(layers.Conv2D, folds_batch_norm=True)
def conv2d_layer(layer, args, kwargs, emission):
    """Conv2D: kept, with a following batch normalisation folded in; groups become separate convolutions."""
    kernel, bias = folded_weights(layer, emission.batch_norm, out_axis=-1)
    return activate(layer, _grouped(args[0], kernel, bias, Place(layer, emission), window_of(layer), conv2d))


@rule(layers.DepthwiseConv2D, folds_batch_norm=True)
def depthwise_conv2d_layer(layer, args, kwargs, emission):
    """DepthwiseConv2D: kept, with a following batch normalisation folded in."""
    kernel, bias = folded_weights(layer, emission.batch_norm, out_axis=(2, 3))
    return activate(layer, depthwise2d(args[0], kernel, bias, Place(layer, emission), window_of(layer)))


@rule(layers.SeparableConv2D, folds_batch_norm=True)
def separable_conv2d_layer(layer, args, kwargs, emission):
    """SeparableConv2D: its two halves, with a following batch normalisation folded into the second."""
    place = Place(layer, emission)
    kernel = ops.convert_to_numpy(layer.depthwise_kernel)
    x = depthwise2d(args[0], kernel, None, place.at("depthwise"), window_of(layer))
    kernel, bias = folded_weights(layer, emission.batch_norm, out_axis=-1, kernel=layer.pointwise_kernel)
    return activate(layer, conv2d(x, kernel, bias, place.at("pointwise"), ONE))


@rule(operations.Conv)
def conv_operation(operation, args, kwargs, emission):
    """keras.ops.conv with a constant kernel."""
    x, kernel = args
    if keras.backend.is_keras_tensor(kernel):
        raise ValueError("its kernel is computed from the input; expected a constant one")
    if emission.rank != 5:
        return whole(operation, args, kwargs, emission)
    kernel = np.asarray(ops.convert_to_numpy(kernel), np.float32)
    strides, dilation = (
        (n,) * 3 if isinstance(n, int) else tuple(n) for n in (operation.strides, operation.dilation_rate)
    )
    window = Window(strides, dilation, operation.padding)
    return conv3d(x, kernel, np.zeros(kernel.shape[-1], np.float32), Place(operation, emission), window)


def conv3d(x, kernel, bias, place: Place, window: Window):
    """A 3D convolution of a folded feature map, kernel (kd, kh, kw, in / groups, out)."""
    return _grouped(x, kernel, bias, place, window, _conv3d)


def _grouped(x, kernel, bias, place, window, convolve):
    """A convolution of as many groups as the kernel lacks input channels."""
    groups = x.shape[-1] // kernel.shape[-2]
    if groups == 1:
        return convolve(x, kernel, bias, place, window)
    plane = window.strides[-2:]
    if kernel.shape[-2] == 1 and plane[0] == plane[1]:
        multiplied = kernel.reshape(*kernel.shape[:-2], groups, -1)
        return (depthwise2d if kernel.ndim == 4 else depthwise3d)(x, multiplied, bias, place, window)
    parts = [
        convolve(part, k, b, place.at(f"group{i}"), window)
        for i, (part, k, b) in enumerate(
            zip(ops.split(x, groups, axis=-1), np.split(kernel, groups, -1), np.split(bias, groups), strict=True)
        )
    ]
    return ops.concatenate(parts, axis=-1)


def _conv3d(x, kernel, bias, place, window):
    kd, kh, kw, _, outputs = kernel.shape
    if (kh, kw, *window.strides) == (1, 1, 1, 1, 1) and kd > 1:
        return _along_depth(x, outputs, lambda rows: conv2d(rows, kernel[:, 0], bias, place, _depth_only(window)))
    reached = _reached(x, kd, window)
    if not reached:
        return _conv3d(x, np.zeros_like(kernel[:1]), bias, place.at("zero"), window)
    stacked = [piece for _, piece in reached]
    x = stacked[0] if len(stacked) == 1 else ops.concatenate(stacked, axis=-1)
    flat = np.concatenate([kernel[i] for i, _ in reached], axis=2)
    return conv2d(x, flat, bias, place.at(_which(reached, kd)), window.plane)


def _reached(x, kernel, window):
    """(kernel index, depth-shifted copy) of each slice of a kernel that sees any slice of the feature map.

    None does where two taps of a "same" window step over a feature map that is thinner than their distance.
    """
    pieces = enumerate(depth.windows(x, kernel, window.strides[0], window.dilation[0], window.padding))
    return [(i, piece) for i, piece in pieces if piece is not None]


def _which(reached, kernel) -> str:
    """Names a kernel's part: a layer shared by feature maps of different depth may use different slices of it."""
    return "" if len(reached) == kernel else "slices" + "-".join(str(i) for i, _ in reached)


def _depth_only(window: Window) -> Window:
    return Window((1, 1), (window.dilation[0], 1), window.padding)


def _along_depth(x, outputs, convolve):
    """k×1×1: read (depth, height, width) as an image of depth rows and height × width columns; nothing is copied."""
    size, height, width, channels = x.shape
    y = convolve(ops.reshape(x, (1, size, height * width, channels)))
    return ops.reshape(y, (y.shape[1], height, width, outputs))


def depthwise3d(x, kernel, bias, place, window):
    """One DepthwiseConv2D for each slice of a kernel (kd, kh, kw, in, multiplier), then their sum."""
    kd, kh, kw, inputs, multiplier = kernel.shape
    if (kh, kw, *window.strides) == (1, 1, 1, 1, 1) and kd > 1:
        return _along_depth(
            x, inputs * multiplier, lambda rows: depthwise2d(rows, kernel[:, 0], bias, place, _depth_only(window))
        )
    reached = _reached(x, kd, window)
    if not reached:
        return depthwise3d(x, np.zeros_like(kernel[:1]), bias, place.at("zero"), window)
    total = None
    for i, piece in reached:
        added = bias if total is None else None
        # the part says whether it holds the bias: a layer shared by other depths may begin with another slice
        part = depthwise2d(piece, kernel[i], added, place.at(f"slice{i}{'' if total is None else '+'}"), window.plane)
        total = part if total is None else ops.add(total, part)
    return total


def depthwise2d(x, kernel, bias, place, window):
    def make():
        return layers.DepthwiseConv2D(
            kernel.shape[:2], strides=window.strides, padding=window.padding, depth_multiplier=kernel.shape[-1],
            dilation_rate=window.dilation, use_bias=bias is not None, dtype="float32",
        )  # fmt: skip

    layer = place.once("depthwise2d", make)
    y = layer(x)
    layer.set_weights([kernel] if bias is None else [kernel, bias])
    return y
