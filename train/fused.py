"""Layers that stand in for Keras' own while training with TensorFlow: the same mathematics in less time.

Keras computes the moments and the scaling of batch normalisation with separate operations, each a pass over a tensor
of the size of a feature map, and TensorFlow differentiates every one; the fused kernel (oneDNN on a CPU, cuDNN on a
GPU) does it in one. TensorFlow's ReLU of bfloat16 on a CPU converts to float32 and back; on the bits it is a maximum
of integers.
"""

import keras

from zoo.quantization import FakeQuantize


@keras.saving.register_keras_serializable(package="medseg")
class FusedBatchNormalization(keras.layers.BatchNormalization):
    """``keras.layers.BatchNormalization`` over the last axis of (B, *spatial, C), same arguments, variables and result.

    In inference, and wherever the fused kernel cannot serve, it is its parent.
    """

    def call(self, inputs, training=None, mask=None):
        fusible = training and self.trainable and mask is None and self.scale and self.center
        if not fusible or len(inputs.shape) not in (4, 5):
            return super().call(inputs, training=training, mask=mask)
        import tensorflow as tf

        shape = tf.shape(inputs)
        channels = inputs.shape[-1]
        flat = tf.reshape(inputs, (shape[0], -1, shape[-2], channels))
        result, mean, variance, *_ = tf.compat.v1.nn.fused_batch_norm(
            flat,
            tf.cast(self.gamma, tf.float32),
            tf.cast(self.beta, tf.float32),
            epsilon=self.epsilon,
            is_training=True,
        )
        # The kernel returns the unbiased variance; Keras averages the biased one.
        count = tf.cast(tf.reduce_prod(shape[:-1]), variance.dtype)
        variance = variance * (count - 1.0) / count
        kept = self.momentum
        self.moving_mean.assign(self.moving_mean * kept + tf.cast(mean, self.moving_mean.dtype) * (1.0 - kept))
        self.moving_variance.assign(
            self.moving_variance * kept + tf.cast(variance, self.moving_variance.dtype) * (1.0 - kept)
        )
        return tf.reshape(result, shape)


@keras.saving.register_keras_serializable(package="medseg")
class IntegerRelu(keras.layers.Layer):
    """ReLU of bfloat16 as a maximum of 16-bit integers: equal to ``tf.nn.relu`` for every normal number.

    The sign bit of a float is that of the integer with the same bits, and non-negative floats are ordered as theirs.
    A NaN may become 0, so whoever trains with this checks the weights as well as the loss.
    """

    def call(self, inputs):
        import tensorflow as tf

        if inputs.dtype != tf.bfloat16:
            return tf.nn.relu(inputs)

        @tf.custom_gradient
        def relu(x):
            y = tf.bitcast(tf.maximum(tf.bitcast(x, tf.int16), tf.zeros((), tf.int16)), tf.bfloat16)
            return y, lambda upstream: tf.raw_ops.ReluGrad(gradients=upstream, features=y)

        return relu(inputs)


class FusedFakeQuantize(FakeQuantize):
    """``zoo.quantization.FakeQuantize`` by TensorFlow's kernel: one pass over a feature map instead of eight."""

    def held(self, inputs):
        import tensorflow as tf

        low, high = tf.convert_to_tensor(self.low), tf.convert_to_tensor(self.high)

        @tf.custom_gradient
        def quantized(x):
            def straight_through(upstream):
                return tf.quantization.fake_quant_with_min_max_vars_gradient(upstream, x, low, high)[0]

            return tf.quantization.fake_quant_with_min_max_vars(x, low, high), straight_through

        return quantized(inputs)


def fuse(model, synchronized: bool = False):
    """A copy of ``model`` for training, its batch normalisations and (in bfloat16, without a GPU) ReLUs replaced.

    Its weights are its own and have the order of the model's, so that ``get_weights`` of one is ``set_weights`` of the
    other. Backends other than TensorFlow get the model itself.

    Args:
        model: the network.
        synchronized: batch normalisation takes the statistics of the batches of all devices, in Keras' own operations.
    """
    if keras.backend.backend() != "tensorflow":
        return model
    import tensorflow as tf

    on_cpu = not tf.config.list_physical_devices("GPU")

    def swap(layer):
        config = layer.get_config()
        if type(layer) is keras.layers.BatchNormalization and layer.axis in (-1, len(layer.input.shape) - 1):
            if synchronized:
                return keras.layers.BatchNormalization.from_config(config | {"synchronized": True})
            return FusedBatchNormalization.from_config(config)
        if on_cpu and layer.compute_dtype == "bfloat16" and _is_relu(layer):
            return IntegerRelu(name=layer.name, dtype=layer.dtype_policy)
        return layer.__class__.from_config(config)

    copy = keras.models.clone_model(model, clone_function=swap)
    copy.set_weights(model.get_weights())
    return copy


def compiled(loss):
    """``loss`` as a function that XLA compiles: one pass over the logits instead of one for every operation.

    Args:
        loss: a Keras loss, of (labels, logits).

    Returns:
        A function of the same arguments and result; the loss itself on backends other than TensorFlow.
    """
    if keras.backend.backend() != "tensorflow":
        return loss
    import tensorflow as tf

    def call(y_true, y_pred):
        return loss(y_true, y_pred)

    return tf.function(call, jit_compile=True)


def _is_relu(layer):
    if type(layer) is keras.layers.ReLU:
        return layer.max_value is None and not layer.negative_slope and not layer.threshold
    return type(layer) is keras.layers.Activation and layer.activation is keras.activations.relu
