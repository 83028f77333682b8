"""Rules for convolutions: a 3D kernel becomes one 2D kernel over depth-shifted copies stacked along channels."""

import keras
import numpy as np
from keras import layers, ops

from export.rewrite import depth
from export.rewrite.graph import RewriteError, rule
from export.rewrite.norm import folded_weights


def activate(layer, x):
    """Apply a layer's own activation, if it has one."""
    activation = getattr(layer, "activation", None)
    if activation in (None, keras.activations.linear):
        return x
    return layers.Activation(activation)(x)


def conv2d(x, kernel, bias, name, emission, strides=(1, 1), padding="valid", dilation=(1, 1), part=""):
    """Emit one Conv2D with the given kernel (kh, kw, in, out) and bias."""

    def make():
        return layers.Conv2D(
            kernel.shape[-1], kernel.shape[:2], strides=strides, padding=padding, dilation_rate=dilation,
            name=f"{name}{part}", dtype="float32",
        )  # fmt: skip

    layer = emission.once((name, part, "conv2d"), make)
    y = layer(x)
    layer.set_weights([kernel, bias])
    return y


@rule(layers.Conv3D, folds_batch_norm=True)
def conv3d(layer, args, kwargs, emission):
    """Conv3D: depth windows stacked along channels, then one Conv2D, so that int8 accumulates once."""
    x = args[0]
    kernel, bias = folded_weights(layer, emission.batch_norm, out_axis=-1)
    groups = layer.groups
    if groups == 1:
        y = _conv3d(x, kernel, bias, layer, emission, "")
    elif kernel.shape[3] == 1:
        y = _depthwise(x, kernel, bias, layer, emission)
    else:
        inputs = ops.split(x, groups, axis=-1)
        kernels, biases = np.split(kernel, groups, axis=-1), np.split(bias, groups)
        parts = [
            _conv3d(part, k, b, layer, emission, f"_group{i}")
            for i, (part, k, b) in enumerate(zip(inputs, kernels, biases, strict=True))
        ]
        y = ops.concatenate(parts, axis=-1)
    return activate(layer, y)


def _conv3d(x, kernel, bias, layer, emission, part):
    kd, kh, kw, inputs, outputs = kernel.shape
    sd, sh, sw = layer.strides
    dd, dh, dw = layer.dilation_rate
    if (kh, kw, sh, sw) == (1, 1, 1, 1) and kd > 1:
        return _along_depth(x, kernel, bias, layer, emission, part)
    stacked = depth.windows(x, kd, sd, dd, layer.padding)
    x = stacked[0] if kd == 1 else ops.concatenate(stacked, axis=-1)
    flat = kernel.transpose(1, 2, 0, 3, 4).reshape(kh, kw, kd * inputs, outputs)
    return conv2d(x, flat, bias, layer.name, emission, (sh, sw), layer.padding, (dh, dw), part)


def _along_depth(x, kernel, bias, layer, emission, part):
    """k×1×1: read (depth, height, width) as an image of depth rows and height × width columns; nothing is copied."""
    size, height, width, channels = x.shape
    if layer.strides[0] > 1:
        stacked = depth.windows(x, kernel.shape[0], layer.strides[0], layer.dilation_rate[0], layer.padding)
        flat = kernel.transpose(1, 2, 0, 3, 4).reshape(1, 1, -1, kernel.shape[-1])
        return conv2d(ops.concatenate(stacked, axis=-1), flat, bias, layer.name, emission, part=part)
    x = ops.reshape(x, (1, size, height * width, channels))
    dilation = (layer.dilation_rate[0], 1)
    y = conv2d(x, kernel[:, 0], bias, layer.name, emission, (1, 1), layer.padding, dilation, part)
    return ops.reshape(y, (y.shape[1], height, width, kernel.shape[-1]))


def _depthwise(x, kernel, bias, layer, emission):
    """groups == channels: one DepthwiseConv2D for each slice of the kernel, then their sum."""
    kd, kh, kw, _, outputs = kernel.shape
    channels = x.shape[-1]
    multiplier = outputs // channels
    sd, sh, sw = layer.strides
    dd, dh, dw = layer.dilation_rate
    if sh != sw:
        raise RewriteError(
            f"layer {layer.name}: strides {layer.strides}; a depthwise layer needs equal height and width"
        )
    flat = kernel.reshape(kd, kh, kw, channels, multiplier)
    if (kh, kw, sh, sw, sd) == (1, 1, 1, 1, 1) and kd > 1:
        size, height, width, _ = x.shape
        rows = ops.reshape(x, (1, size, height * width, channels))
        y = _depthwise2d(rows, flat[:, 0], bias, layer, emission, "", (1, 1), (dd, 1))
        return ops.reshape(y, (y.shape[1], height, width, outputs))
    parts = [
        _depthwise2d(window, flat[i], bias if i == 0 else None, layer, emission, f"_slice{i}", (sh, sw), (dh, dw))
        for i, window in enumerate(depth.windows(x, kd, sd, dd, layer.padding))
    ]
    total = parts[0]
    for part in parts[1:]:
        total = ops.add(total, part)
    return total


def _depthwise2d(x, kernel, bias, layer, emission, part, strides, dilation):
    def make():
        return layers.DepthwiseConv2D(
            kernel.shape[:2], strides=strides, padding=layer.padding, depth_multiplier=kernel.shape[-1],
            dilation_rate=dilation, use_bias=bias is not None, name=f"{layer.name}{part}", dtype="float32",
        )  # fmt: skip

    copy = emission.once((layer.name, part, "depthwise2d"), make)
    y = copy(x)
    copy.set_weights([kernel] if bias is None else [kernel, bias])
    return y


@rule(layers.Conv2D, folds_batch_norm=True)
def conv2d_layer(layer, args, kwargs, emission):
    """Conv2D: kept, with a following batch normalisation folded in; groups become separate convolutions."""
    x = args[0]
    kernel, bias = folded_weights(layer, emission.batch_norm, out_axis=-1)
    settings = (layer.strides, layer.padding, layer.dilation_rate)
    if layer.groups == 1:
        return activate(layer, conv2d(x, kernel, bias, layer.name, emission, *settings))
    if kernel.shape[2] == 1 and layer.strides[0] == layer.strides[1]:
        channels = x.shape[-1]
        flat = kernel.reshape(*kernel.shape[:2], channels, kernel.shape[-1] // channels)
        y = _depthwise2d(x, flat, bias, layer, emission, "", layer.strides, layer.dilation_rate)
        return activate(layer, y)
    inputs = ops.split(x, layer.groups, axis=-1)
    kernels, biases = np.split(kernel, layer.groups, axis=-1), np.split(bias, layer.groups)
    parts = [
        conv2d(part, k, b, layer.name, emission, *settings, part=f"_group{i}")
        for i, (part, k, b) in enumerate(zip(inputs, kernels, biases, strict=True))
    ]
    return activate(layer, ops.concatenate(parts, axis=-1))


@rule(layers.DepthwiseConv2D, folds_batch_norm=True)
def depthwise_conv2d_layer(layer, args, kwargs, emission):
    """DepthwiseConv2D: kept, with a following batch normalisation folded in."""
    kernel, bias = folded_weights(layer, emission.batch_norm, out_axis=(2, 3))
    y = _depthwise2d(args[0], kernel, bias, layer, emission, "", layer.strides, layer.dilation_rate)
    return activate(layer, y)
