"""Between the levels: down and up, in 2D and 3D."""

import keras
from keras import layers, ops

from zoo.blocks.conv import convolve, ranked
from zoo.blocks.stages import per_axis
from zoo.errors import unknown


def reduce(x, style, strides, *, kind: str = "max", filters: int | None = None, name: str):
    """Reduce the spatial sizes.

    Args:
        x: (batch, *spatial, channels).
        style: the network's ``Style``.
        strides: per axis.
        kind: "max", "average" or "strided" (a convolution whose kernel is the stride).
        filters: output channels of "strided"; as many as come in if None.
        name: of the layer.

    Returns:
        (batch, *spatial / strides, channels or filters).
    """
    if all(s == 1 for s in strides):
        return x
    if kind == "strided":
        return convolve(x, filters or x.shape[-1], style, kernel=strides, strides=strides, name=name)
    if kind not in ("max", "average"):
        raise unknown("downsample", kind, ("max", "average", "strided"))
    return ranked(style, "MaxPooling" if kind == "max" else "AveragePooling")(strides, name=name)(x)


def enlarge(x, filters: int, style, strides, *, name: str):
    """Enlarge the spatial sizes and set the channels.

    "transposed" is a transposed convolution whose kernel is the stride; "nearest" and "linear" resample after a
    convolution with a kernel of 1.

    Args:
        x: (batch, *spatial, channels).
        filters: output channels.
        style: the network's ``Style``.
        strides: per axis.
        name: prefix of the layers' names.

    Returns:
        (batch, *spatial * strides, filters).
    """
    if style.upsample == "transposed":
        layer = ranked(style, "ConvTranspose")
        # Kernel = stride: every output voxel has exactly one input voxel, so the fan-in is the input channels.
        start = keras.initializers.RandomNormal(stddev=(2.0 / x.shape[-1]) ** 0.5)
        return layer(filters, strides, strides=strides, kernel_initializer=start, name=f"{name}_conv")(x)
    x = convolve(x, filters, style, kernel=1, name=f"{name}_conv")
    return stretch(x, style, strides, linear=style.upsample == "linear", name=f"{name}_resize")


def stretch(x, style, strides, *, linear: bool, name: str):
    """Resample (batch, *spatial, channels) to ``strides`` times the size, without weights."""
    if all(s == 1 for s in strides):
        return x
    if not linear:
        return ranked(style, "UpSampling")(strides, name=name)(x)
    if style.rank == 2:
        return layers.UpSampling2D(strides, interpolation="bilinear", name=name)(x)
    return LinearUpSampling3D(strides, name=name)(x)


@keras.saving.register_keras_serializable(package="medseg")
class LinearUpSampling3D(layers.Layer):
    """Trilinear enlargement by whole factors, voxel centres aligned and edges repeated, as in ``UpSampling2D``.

    Args:
        size: factor or factor per axis.

    Call: (batch, *spatial, channels) -> (batch, *spatial * size, channels).
    """

    def __init__(self, size=2, **kwargs):
        super().__init__(**kwargs)
        self.size = per_axis("size", size, 3)

    def call(self, inputs):
        x = inputs
        for axis, factor in enumerate(self.size, start=1):
            if factor > 1:
                x = _enlarge_axis(x, axis, factor)
        return x

    def compute_output_shape(self, input_shape):
        batch, *spatial, channels = input_shape
        sizes = [None if s is None else s * f for s, f in zip(spatial, self.size, strict=True)]
        return (batch, *sizes, channels)

    def get_config(self):
        return {**super().get_config(), "size": self.size}


def _enlarge_axis(x, axis, factor):
    """Linear interpolation along one axis: each voxel gives ``factor`` voxels, mixed with one neighbour."""
    first = ops.take(x, [0], axis=axis)
    head = tuple(slice(None) for _ in range(axis))
    last = x[(*head, slice(-1, None))]
    before = ops.concatenate([first, x[(*head, slice(None, -1))]], axis=axis)
    after = ops.concatenate([x[(*head, slice(1, None))], last], axis=axis)
    parts = []
    for part in range(factor):
        offset = (part + 0.5) / factor - 0.5
        neighbour = before if offset < 0 else after
        parts.append((1 - abs(offset)) * x + abs(offset) * neighbour)
    shape = list(ops.shape(x))
    shape[axis] = shape[axis] * factor
    return ops.reshape(ops.stack(parts, axis=axis + 1), shape)
