"""Convolutions of each channel on its own, and the light blocks made of them."""

import math

import keras
from keras import initializers, layers, ops

from zoo.blocks.conv import activate, conv_norm_act, drop, normalise
from zoo.blocks.stages import per_axis
from zoo.errors import ZooError


@keras.saving.register_keras_serializable(package="medseg")
class DepthwiseConv3D(layers.Layer):
    """A 3D convolution of each channel on its own, "same" padding, stride 1, no bias.

    It is computed as one 2D depthwise convolution per slice of the kernel, on depth-shifted copies whose depth lies in
    the batch: on a CPU this is two orders of magnitude quicker than ``Conv3D`` with as many groups as channels.

    Args:
        kernel_size: odd size or sizes per axis.

    Call: (batch, depth, height, width, channels) -> the same shape.
    """

    def __init__(self, kernel_size=3, **kwargs):
        super().__init__(**kwargs)
        self.kernel_size = per_axis("kernel_size", kernel_size, 3)
        if any(size % 2 == 0 for size in self.kernel_size):
            raise ZooError(f"kernel_size={self.kernel_size}; expected odd sizes")

    def build(self, input_shape):
        # The fan-in of a channel is its own kernel.
        start = initializers.RandomNormal(stddev=(2.0 / math.prod(self.kernel_size)) ** 0.5)
        self.kernel = self.add_weight(shape=(*self.kernel_size, input_shape[-1], 1), initializer=start, name="kernel")

    def call(self, inputs):
        batch, depth, height, width, channels = ops.shape(inputs)
        reach = self.kernel_size[0] // 2
        x = ops.pad(inputs, [(0, 0), (reach, reach), (0, 0), (0, 0), (0, 0)]) if reach else inputs
        total = None
        for slice_ in range(self.kernel_size[0]):
            part = x[:, slice_ : slice_ + depth] if reach else x
            part = ops.reshape(part, (-1, height, width, channels))
            part = ops.depthwise_conv(part, self.kernel[slice_], strides=1, padding="same", data_format="channels_last")
            total = part if total is None else total + part
        return ops.reshape(total, (batch, depth, height, width, channels))

    def compute_output_shape(self, input_shape):
        return input_shape

    def macs(self, input_shape):
        """Multiply-accumulate operations for an input (batch, *spatial, channels)."""
        return math.prod(input_shape[1:]) * math.prod(self.kernel_size)

    def get_config(self):
        return {**super().get_config(), "kernel_size": self.kernel_size}


def depthwise_norm_act(x, style, *, kernel, name: str):
    """Depthwise convolution within the slices, normalisation, activation; the shape of ``x`` out.

    Args:
        x: (batch, *spatial, channels).
        style: the network's ``Style``.
        kernel: size per axis; in 3D the first axis, depth, is not looked along.
        name: prefix of the layers' names.
    """
    if style.rank == 2:
        # The fan-in of a channel is its own kernel; Keras would count all channels.
        start = initializers.RandomNormal(stddev=(2.0 / math.prod(kernel)) ** 0.5)
        layer = layers.DepthwiseConv2D(
            kernel, padding="same", use_bias=False, depthwise_initializer=start, name=f"{name}_depthwise"
        )
    else:
        layer = DepthwiseConv3D((1, *kernel[1:]), name=f"{name}_depthwise")
    x = layer(x)
    x = normalise(x, style, name=f"{name}_depthwise_norm")
    return activate(x, style, name=f"{name}_depthwise_act")


def light_block(x, filters: int, style, *, kernel, expansion: int, name: str):
    """A convolution in two steps: within each channel, then across channels.

    In 3D the first step is within the slices and the second also across slices, (depth, 1, 1): the device runs both
    as quick 2D convolutions. Qiu et al., ICCV 2017, arXiv:1711.10305 (pseudo-3D).

    Args:
        x: (batch, *spatial, channels).
        filters: output channels.
        style: the network's ``Style``.
        kernel: size per axis.
        expansion: 1 for a separable convolution (Howard et al. 2017, arXiv:1704.04861); more for an inverted residual
            of so many times the channels (Sandler et al., CVPR 2018, arXiv:1801.04381).
        name: prefix of the layers' names.

    Returns:
        (batch, *spatial, filters).
    """
    source = x
    if expansion > 1:
        x = conv_norm_act(x, expansion * source.shape[-1], style, kernel=1, name=f"{name}_expand")
    x = depthwise_norm_act(x, style, kernel=kernel, name=name)
    across = 1 if style.rank == 2 else (kernel[0], 1, 1)
    activation = None if expansion == 1 else "linear"
    x = conv_norm_act(x, filters, style, kernel=across, activation=activation, name=f"{name}_point")
    if expansion > 1 and source.shape[-1] == filters:
        x = layers.Add(name=f"{name}_add")([source, x])
    return drop(x, style, name=f"{name}_drop")
