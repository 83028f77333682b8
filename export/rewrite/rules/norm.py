"""Batch normalisation: folded into the layer before it, or kept as one multiplication and addition; others in float."""

import keras
import numpy as np
from keras import layers, ops

from export.rewrite.registry import rule


def scale_and_shift(batch_norm) -> tuple[np.ndarray, np.ndarray]:
    """Per-channel (scale, shift) of a batch normalisation at inference, in float64."""
    mean = np.asarray(ops.convert_to_numpy(batch_norm.moving_mean), np.float64)
    variance = np.asarray(ops.convert_to_numpy(batch_norm.moving_variance), np.float64)
    scale = 1.0 / np.sqrt(variance + batch_norm.epsilon)
    if batch_norm.scale:
        scale = scale * ops.convert_to_numpy(batch_norm.gamma)
    shift = -mean * scale
    if batch_norm.center:
        shift = shift + ops.convert_to_numpy(batch_norm.beta)
    return scale, shift


def folded_weights(layer, batch_norm, out_axis, kernel=None) -> tuple[np.ndarray, np.ndarray]:
    """Kernel and bias of a convolution with the batch normalisation after it multiplied in.

    Args:
        layer: a layer with ``kernel`` and, if it has ``use_bias`` and that is set, ``bias``.
        batch_norm: the layer that follows, or None.
        out_axis: axis (or axes) of the kernel that run over output channels.
        kernel: instead of ``layer.kernel``.

    Returns:
        (kernel, bias) as float32; the bias is zeros if the layer has none.
    """
    kernel = np.asarray(ops.convert_to_numpy(layer.kernel if kernel is None else kernel), np.float64)
    axes = [axis % kernel.ndim for axis in (out_axis if isinstance(out_axis, tuple) else (out_axis,))]
    channel_shape = [size if axis in axes else 1 for axis, size in enumerate(kernel.shape)]
    outputs = int(np.prod(channel_shape))
    bias = np.zeros(outputs)
    if getattr(layer, "use_bias", False):
        bias = np.asarray(ops.convert_to_numpy(layer.bias), np.float64)
    if batch_norm is not None:
        scale, shift = scale_and_shift(batch_norm)
        kernel = kernel * scale.reshape(channel_shape)
        bias = bias * scale + shift
    return kernel.astype(np.float32), bias.astype(np.float32)


def along(x, values, axes):
    """``values`` (sizes of ``axes``) as float32 that broadcasts along those axes of ``x``."""
    shape = [x.shape[axis] if axis in axes else 1 for axis in range(len(x.shape))]
    return np.asarray(ops.convert_to_numpy(values), np.float32).reshape(shape)


@rule(layers.BatchNormalization)
def batch_normalization(layer, args, kwargs, emission):
    """A batch normalisation that nothing before it can take up: one multiplication and one addition a channel."""
    x = args[0]
    axes = [emission.axis(layer.axis)]
    scale, shift = scale_and_shift(layer)
    return ops.add(ops.multiply(x, along(x, scale, axes)), along(x, shift, axes))


@rule(layers.GroupNormalization)
def group_normalization(layer, args, kwargs, emission):
    """GroupNormalization, with as many groups as channels instance normalisation: in float, on the patch alone."""
    x = args[0]
    axis = emission.axis(layer.axis)
    centred = ops.subtract(x, _group_mean(x, axis, layer.groups))
    variance = _group_mean(ops.square(centred), axis, layer.groups)
    return _scaled(layer, centred, variance, [axis])


def _group_mean(x, axis, groups):
    """Mean of each group of ``axis`` over all else, broadcast to (1, .., channels, .., 1)."""
    mean = ops.mean(x, axis=[a for a in range(len(x.shape)) if a != axis], keepdims=True)
    channels = x.shape[axis]
    if groups == channels:
        return mean
    grouped = ops.mean(ops.reshape(mean, (groups, channels // groups)), axis=1, keepdims=True)
    return ops.reshape(ops.tile(grouped, (1, channels // groups)), mean.shape)


def _scaled(layer, centred, variance, axes):
    y = ops.multiply(centred, ops.rsqrt(ops.add(variance, layer.epsilon)))
    if layer.gamma is not None:
        y = ops.multiply(y, along(y, layer.gamma, axes))
    return y if layer.beta is None else ops.add(y, along(y, layer.beta, axes))


@rule(layers.LayerNormalization)
def layer_normalization(layer, args, kwargs, emission):
    """LayerNormalization along any axes."""
    if layer.rms_scaling:
        return emission.inlined()
    x = args[0]
    axes = sorted(emission.axis(axis) for axis in layer.axis)
    centred = ops.subtract(x, ops.mean(x, axis=axes, keepdims=True))
    return _scaled(layer, centred, ops.mean(ops.square(centred), axis=axes, keepdims=True), axes)


@rule(layers.Normalization)
def normalization(layer, args, kwargs, emission):
    """Normalization with fixed or adapted statistics: one multiplication and one addition."""
    mean, variance = (np.asarray(ops.convert_to_numpy(v), np.float64) for v in (layer.mean, layer.variance))
    deviation = np.maximum(np.sqrt(variance), keras.config.epsilon())
    scale, shift = (deviation, mean) if layer.invert else (1 / deviation, -mean / deviation)
    if emission.rank == 5:
        scale, shift = scale[0], shift[0]
    return ops.add(ops.multiply(args[0], scale.astype(np.float32)), shift.astype(np.float32))
