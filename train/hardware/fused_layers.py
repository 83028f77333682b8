"""Layers that stand in for Keras' own while training with TensorFlow: the same mathematics in less time.

Keras computes the moments and the scaling of batch normalisation with separate operations, each a pass over a tensor
of the size of a feature map, and TensorFlow differentiates every one; the fused kernel (oneDNN on a CPU, cuDNN on a
GPU) does it in one. oneDNN's also applies a ReLU that follows, and adds the bias of a transposed convolution quicker
than TensorFlow's own operation. TensorFlow's ReLU of bfloat16 on a CPU converts to float32 and back; on the bits it is
a maximum of integers.
"""

import functools

import keras
import tensorflow as tf
from keras import ops

from zoo.quantization import FakeQuantize


@keras.saving.register_keras_serializable(package="medseg")
class FusedBatchNormalization(keras.layers.BatchNormalization):
    """``keras.layers.BatchNormalization`` over the last axis of (B, *spatial, C), same variables and result.

    In inference, and wherever the fused kernel cannot serve, it is its parent.

    Args:
        rectified: apply a ReLU as well.
        **options: of its parent.
    """

    def __init__(self, rectified: bool = False, **options):
        super().__init__(**options)
        self.rectified = rectified

    def call(self, inputs, training=None, mask=None):
        fusible = training and self.trainable and mask is None and self.scale and self.center
        if not fusible or len(inputs.shape) not in (4, 5):
            result = super().call(inputs, training=training, mask=mask)
            return tf.nn.relu(result) if self.rectified else result
        shape = tf.shape(inputs)
        flat = _as_image(inputs)
        scale, offset = tf.cast(self.gamma, tf.float32), tf.cast(self.beta, tf.float32)
        if self.rectified:
            result, mean, variance = normalized_relu(flat, scale, offset, self.epsilon)
        else:
            normalized = tf.compat.v1.nn.fused_batch_norm
            result, mean, variance, *_ = normalized(flat, scale, offset, epsilon=self.epsilon, is_training=True)
        # The kernel returns the unbiased variance; Keras averages the biased one.
        count = tf.cast(tf.reduce_prod(shape[:-1]), variance.dtype)
        variance = variance * (count - 1.0) / count
        kept = self.momentum
        self.moving_mean.assign(self.moving_mean * kept + tf.cast(mean, self.moving_mean.dtype) * (1.0 - kept))
        self.moving_variance.assign(
            self.moving_variance * kept + tf.cast(variance, self.moving_variance.dtype) * (1.0 - kept)
        )
        return tf.reshape(result, shape)

    def get_config(self):
        return {**super().get_config(), "rectified": self.rectified}


def _as_image(values):
    """(B, *spatial, C) as (B, H, W, C), which the kernel takes."""
    return tf.reshape(values, (tf.shape(values)[0], -1, *values.shape[-2:]))


def normalized_relu(image, scale, offset, epsilon: float):
    """Batch normalisation and ReLU in one pass of oneDNN.

    TensorFlow makes this operation only for inference, from a normalisation and a ReLU side by side; its gradient here
    is that of the two.

    Args:
        image: (B, H, W, C), C a multiple of 4.
        scale, offset: (C,) float32.
        epsilon: added to the variance.

    Returns:
        The result (B, H, W, C), the batch's mean (C,) and its unbiased variance (C,).
    """

    @tf.custom_gradient
    def fused(x, gamma, beta):
        # No tape may look inside, where it would find no gradient.
        inside = (tf.stop_gradient(tensor) for tensor in (x, gamma, beta))
        result, mean, variance, *reserved = _normalized_relu(*inside, epsilon)

        def gradients(upstream, *_):
            return tf.raw_ops.FusedBatchNormGradV3(
                y_backprop=tf.raw_ops.ReluGrad(gradients=upstream, features=result),
                x=x,
                scale=gamma,
                reserve_space_1=reserved[0],
                reserve_space_2=reserved[1],
                reserve_space_3=tf.zeros(0),
                epsilon=epsilon,
                is_training=True,
            )[:3]

        return (result, mean, variance), gradients

    return fused(image, scale, offset)


@tf.function(autograph=False)
def _normalized_relu(image, scale, offset, epsilon: float):
    """The operation, which has no function of its own in TensorFlow and exists in graphs only."""
    value = tf.compat.v1.AttrValue
    attributes = {
        "T": value(type=image.dtype.as_datatype_enum),
        "U": value(type=tf.float32.as_datatype_enum),
        "epsilon": value(f=epsilon),
        "exponential_avg_factor": value(f=1.0),
        "data_format": value(s=b"NHWC"),
        "is_training": value(b=True),
        "activation_mode": value(s=b"Relu"),
        "num_side_inputs": value(i=0),
    }
    graph = tf.compat.v1.get_default_graph()
    none = tf.zeros(0)
    given = [image, scale, offset, none, none]
    kinds = [image.dtype] + [tf.float32] * 5
    return graph.create_op("_FusedBatchNormEx", given, kinds, attrs=attributes, name="normalized_relu").outputs


@functools.cache
def has_normalized_relu(kind: str) -> bool:
    """Whether ``normalized_relu`` works with this TensorFlow on this processor, which may lack bfloat16 kernels.

    Args:
        kind: type of the image, such as "bfloat16".
    """
    image = tf.cast(tf.reshape(tf.range(-8.0, 8.0), (1, 2, 2, 4)), kind)
    ones, zeros = tf.ones(4), tf.zeros(4)
    try:
        result = normalized_relu(image, ones, zeros, 1e-3)[0]
    except (tf.errors.OpError, RuntimeError, ValueError):  # no kernel, no such operation, or another form of it
        return False
    expected = tf.nn.relu(tf.compat.v1.nn.fused_batch_norm(image, ones, zeros, epsilon=1e-3, is_training=True)[0])
    return bool(tf.reduce_all(tf.abs(result - expected) < 0.01))


@keras.saving.register_keras_serializable(package="medseg")
class IntegerRelu(keras.layers.Layer):
    """ReLU of bfloat16 as a maximum of 16-bit integers: equal to ``tf.nn.relu`` for every normal number.

    The sign bit of a float is that of the integer with the same bits, and non-negative floats are ordered as theirs.
    A NaN may become 0, so whoever trains with this checks the weights as well as the loss.
    """

    def call(self, inputs):
        if inputs.dtype != tf.bfloat16:
            return tf.nn.relu(inputs)

        @tf.custom_gradient
        def relu(x):
            y = tf.bitcast(tf.maximum(tf.bitcast(x, tf.int16), tf.zeros((), tf.int16)), tf.bfloat16)
            return y, lambda upstream: tf.raw_ops.ReluGrad(gradients=upstream, features=y)

        return relu(inputs)


class _FusedBias:
    """A transposed convolution that adds its bias by ``add_bias``; to be mixed into the layers of Keras."""

    def call(self, inputs):
        outputs = ops.conv_transpose(
            inputs,
            self.kernel,
            strides=list(self.strides),
            padding=self.padding,
            output_padding=self.output_padding,
            data_format=self.data_format,
            dilation_rate=self.dilation_rate,
        )
        return self.activation(add_bias(outputs, tf.cast(self.bias, outputs.dtype)))


@keras.saving.register_keras_serializable(package="medseg")
class FusedBiasConv2DTranspose(_FusedBias, keras.layers.Conv2DTranspose):
    """``keras.layers.Conv2DTranspose``, same arguments, variables and result."""


@keras.saving.register_keras_serializable(package="medseg")
class FusedBiasConv3DTranspose(_FusedBias, keras.layers.Conv3DTranspose):
    """``keras.layers.Conv3DTranspose``, same arguments, variables and result."""


FUSED_BIAS = {
    keras.layers.Conv2DTranspose: FusedBiasConv2DTranspose,
    keras.layers.Conv3DTranspose: FusedBiasConv3DTranspose,
}


def add_bias(values, bias):
    """``values + bias`` as a batch normalisation of mean 0 and variance 1, which oneDNN does in a quarter of the time.

    The gradient of the bias is a product of matrices, whose sums are float32.

    Args:
        values: (B, *spatial, C), the last spatial size known.
        bias: (C,), of the same type.
    """
    columns, channels = values.shape[-2:]

    @tf.custom_gradient
    def added(x, b):
        zeros, ones = tf.zeros(channels), tf.ones(channels)
        shifted = tf.raw_ops.FusedBatchNormV3(
            x=_as_image(x),
            scale=ones,
            offset=tf.cast(b, tf.float32),
            mean=zeros,
            variance=ones,
            epsilon=0.0,
            is_training=False,
        )

        def gradients(upstream):
            rows = tf.reshape(upstream, (-1, columns * channels))
            sums = tf.matmul(tf.ones((1, tf.shape(rows)[0]), rows.dtype), rows)
            summed = tf.reduce_sum(tf.cast(tf.reshape(sums, (columns, channels)), tf.float32), 0)
            return upstream, tf.cast(summed, b.dtype)

        return tf.reshape(shifted.y, tf.shape(x)), gradients

    return added(values, bias)


class FusedFakeQuantize(FakeQuantize):
    """``zoo.quantization.FakeQuantize`` by TensorFlow's kernel: one pass over a feature map instead of eight."""

    def held(self, inputs):
        low, high = tf.convert_to_tensor(self.low), tf.convert_to_tensor(self.high)

        @tf.custom_gradient
        def quantized(x):
            def straight_through(upstream):
                return tf.quantization.fake_quant_with_min_max_vars_gradient(upstream, x, low, high)[0]

            return tf.quantization.fake_quant_with_min_max_vars(x, low, high), straight_through

        return quantized(inputs)
