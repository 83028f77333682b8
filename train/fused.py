"""Batch normalisation by TensorFlow's fused kernel while training: the same mathematics in less time.

Keras computes the moments and the scaling with separate operations, each a pass over a tensor of the size of a feature
map; TensorFlow differentiates every one of them. The fused kernel (oneDNN on a CPU, cuDNN on a GPU) does it in one.
"""

import keras


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


def fuse(model):
    """A copy of ``model`` for training whose batch normalisations are fused, with weights of its own.

    The weights have the order of the model's, so that ``get_weights`` of one is ``set_weights`` of the other. Backends
    other than TensorFlow get the model itself.
    """
    if keras.backend.backend() != "tensorflow":
        return model

    def swap(layer):
        if type(layer) is not keras.layers.BatchNormalization or layer.axis not in (-1, len(layer.input.shape) - 1):
            return layer.__class__.from_config(layer.get_config())
        return FusedBatchNormalization.from_config(layer.get_config())

    copy = keras.models.clone_model(model, clone_function=swap)
    copy.set_weights(model.get_weights())
    return copy
