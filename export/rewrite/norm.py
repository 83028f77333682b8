"""Batch normalisation: folded into the layer before it, or kept as one multiplication and addition."""

import keras
import numpy as np
from keras import layers, ops

from export.rewrite.graph import rule


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


def folded_weights(layer, batch_norm, out_axis) -> tuple[np.ndarray, np.ndarray]:
    """Kernel and bias of a convolution with the batch normalisation after it multiplied in.

    Args:
        layer: a layer with ``kernel`` and, if ``use_bias``, ``bias``.
        batch_norm: the layer that follows, or None.
        out_axis: axis (or axes) of the kernel that run over output channels.

    Returns:
        (kernel, bias) as float32; the bias is zeros if the layer has none.
    """
    kernel = np.asarray(ops.convert_to_numpy(layer.kernel), np.float64)
    axes = [axis % kernel.ndim for axis in (out_axis if isinstance(out_axis, tuple) else (out_axis,))]
    channel_shape = [size if axis in axes else 1 for axis, size in enumerate(kernel.shape)]
    outputs = int(np.prod(channel_shape))
    bias = np.zeros(outputs)
    if layer.use_bias:
        bias = np.asarray(ops.convert_to_numpy(layer.bias), np.float64)
    if batch_norm is not None:
        scale, shift = scale_and_shift(batch_norm)
        kernel = kernel * scale.reshape(channel_shape)
        bias = bias * scale + shift
    return kernel.astype(np.float32), bias.astype(np.float32)


@rule(layers.BatchNormalization)
def batch_normalization(layer, args, kwargs, emission):
    """A batch normalisation that nothing before it can take up: one multiplication and one addition a channel."""
    x = args[0]
    axis = layer.axis % emission.rank
    scale, shift = scale_and_shift(layer)
    if emission.rank == 5:
        axis -= 1
    shape = [1] * len(x.shape)
    shape[axis] = -1
    scale, shift = (keras.ops.convert_to_tensor(v.reshape(shape).astype(np.float32)) for v in (scale, shift))
    return ops.add(ops.multiply(x, scale), shift)
