"""A border of zeros, as a layer."""

import keras
from keras import layers, ops


@keras.saving.register_keras_serializable(package="medseg")
class ZeroBorder(layers.Layer):
    """Zeros before and after along each spatial axis, in 2D and 3D.

    It is not ``ZeroPadding3D``: TensorFlow on a CPU merges a padding and the "same" convolution that follows it into
    one operation of the wrong size.

    Args:
        padding: (before, after) of each spatial axis.

    Call: (batch, *spatial, channels) -> (batch, *(spatial + before + after), channels).
    """

    def __init__(self, padding, **kwargs):
        super().__init__(**kwargs)
        self.padding = tuple((int(before), int(after)) for before, after in padding)

    def call(self, inputs):
        x = inputs
        for axis, widths in enumerate(self.padding, start=1):
            before, after = (_zeros(x, axis, width) for width in widths)
            x = ops.concatenate([part for part in (before, x, after) if part is not None], axis=axis)
        return x

    def compute_output_shape(self, input_shape):
        batch, *spatial, channels = input_shape
        sizes = [None if s is None else s + sum(p) for s, p in zip(spatial, self.padding, strict=True)]
        return (batch, *sizes, channels)

    def get_config(self):
        return {**super().get_config(), "padding": self.padding}


def _zeros(x, axis, width):
    if not width:
        return None
    shape = list(ops.shape(x))
    shape[axis] = width
    return ops.zeros(shape, dtype=x.dtype)
