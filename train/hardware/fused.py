"""What a network and its loss become while TensorFlow trains them, so that a step takes less time."""

import keras

from zoo.internals.keras import uses


def fuse(model, synchronized: bool = False):
    """A copy of ``model`` for training, made of the layers of ``train.hardware.fused_layers`` where they serve.

    These are batch normalisations, on a CPU with the ReLUs that follow them, and in bfloat16 on a CPU other ReLUs and
    transposed convolutions. Its weights are its own and have the order of the model's, so that ``get_weights`` of one
    is ``set_weights`` of the other. Backends other than TensorFlow get the model itself.

    Args:
        model: the network.
        synchronized: batch normalisation takes the statistics of the batches of all devices, in Keras' own operations.
    """
    if keras.backend.backend() != "tensorflow":
        return model
    import tensorflow as tf

    from train.hardware import fused_layers as fused

    on_cpu = not tf.config.list_physical_devices("GPU")
    pairs = {}
    if on_cpu and not synchronized:
        relus = {layer: relu for layer in model.layers if (relu := _relu_after(layer, model)) is not None}
        pairs = {a.name: b.name for a, b in relus.items() if fused.has_normalized_relu(a.compute_dtype)}
    absorbed = set(pairs.values())

    def swap(layer):
        config = layer.get_config()
        if _is_normalization(layer):
            if synchronized:
                return keras.layers.BatchNormalization.from_config(config | {"synchronized": True})
            return fused.FusedBatchNormalization.from_config(config | {"rectified": layer.name in pairs})
        if layer.name in absorbed:
            return keras.layers.Activation("linear", name=layer.name, dtype=layer.dtype_policy)
        if on_cpu and layer.compute_dtype == "bfloat16":
            if _is_relu(layer):
                return fused.IntegerRelu(name=layer.name, dtype=layer.dtype_policy)
            if type(layer) in fused.FUSED_BIAS and _adds_bias(layer):
                return fused.FUSED_BIAS[type(layer)].from_config(config)
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


def _is_normalization(layer) -> bool:
    return type(layer) is keras.layers.BatchNormalization and layer.axis in (-1, len(layer.input.shape) - 1)


def _relu_after(layer, model):
    """The ReLU that is all that a batch normalisation of ``model`` feeds, or None."""
    calls, takers = uses(layer)
    if not _is_normalization(layer) or len(calls) != 1 or len(takers) != 1:
        return None
    after = takers[0].operation
    is_called_once = after in model.layers and len(uses(after)[0]) == 1
    seen = any(layer.output is output for output in model.outputs)
    takes = layer.output.shape[-1] % 4 == 0  # the kernel's own condition
    return after if is_called_once and takes and not seen and _is_relu(after) else None


def _is_relu(layer) -> bool:
    if type(layer) is keras.layers.ReLU:
        return layer.max_value is None and not layer.negative_slope and not layer.threshold
    return type(layer) is keras.layers.Activation and layer.activation is keras.activations.relu


def _adds_bias(layer) -> bool:
    return layer.use_bias and layer.data_format == "channels_last" and layer.output.shape[-2] is not None
