"""Transformer over the patches of an image."""

import keras
from keras import layers


@keras.saving.register_keras_serializable(package="medseg")
class PositionEmbedding(layers.Layer):
    """A learnt vector added to each token.

    Call: (batch, tokens, channels) -> the same shape; the number of tokens is fixed when built.
    """

    def build(self, input_shape):
        start = keras.initializers.TruncatedNormal(stddev=0.02)
        self.embedding = self.add_weight(shape=input_shape[1:], initializer=start, name="embedding")

    def call(self, inputs):
        return inputs + self.embedding

    def compute_output_shape(self, input_shape):
        return input_shape


def transformer_block(x, *, heads: int, mlp: int, dropout: float = 0.0, name: str):
    """Self-attention and two dense layers, each after a normalisation and around it the way past.

    Vaswani et al., NeurIPS 2017, arXiv:1706.03762; Dosovitskiy et al., ICLR 2021, arXiv:2010.11929.

    Args:
        x: (batch, tokens, channels).
        heads: of attention; they divide the channels.
        mlp: width of the inner dense layer.
        dropout: share of values dropped while training.
        name: prefix of the layers' names.

    Returns:
        The shape of ``x``.
    """
    channels = x.shape[-1]
    y = layers.LayerNormalization(epsilon=1e-5, name=f"{name}_attention_norm")(x)
    attention = layers.MultiHeadAttention(heads, channels // heads, dropout=dropout, name=f"{name}_attention")
    x = layers.Add(name=f"{name}_attention_add")([x, attention(y, y)])
    y = layers.LayerNormalization(epsilon=1e-5, name=f"{name}_mlp_norm")(x)
    y = layers.Dense(mlp, activation="gelu", name=f"{name}_mlp_0")(y)
    y = layers.Dense(channels, name=f"{name}_mlp_1")(y)
    if dropout:
        y = layers.Dropout(dropout, name=f"{name}_drop")(y)
    return layers.Add(name=f"{name}_mlp_add")([x, y])
