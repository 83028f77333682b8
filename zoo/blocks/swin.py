"""Attention within shifted windows, in 2D and 3D."""

import itertools
import math

import keras
import numpy as np
from keras import layers, ops


@keras.saving.register_keras_serializable(package="medseg")
class SwinBlock(layers.Layer):
    """Attention within windows, then two dense layers, each after a normalisation and around it the way past.

    Liu et al., ICCV 2021, arXiv:2103.14030. Sizes are fixed when built; they are padded to whole windows inside.

    Args:
        heads: of attention; they divide the channels.
        window: size of a window along each spatial axis; an axis that is shorter is one window.
        shifted: shift the windows by half their size.
        ratio: width of the inner dense layer over the channels.

    Call: (batch, *spatial, channels) -> the same shape.
    """

    def __init__(self, heads: int, window: int = 7, shifted: bool = False, ratio: float = 4.0, **kwargs):
        super().__init__(**kwargs)
        self.heads = heads
        self.window = window
        self.shifted = shifted
        self.ratio = ratio

    def build(self, input_shape):
        channels = input_shape[-1]
        policy = self.dtype_policy
        rank = len(input_shape) - 2
        self.attention_norm = layers.LayerNormalization(epsilon=1e-5, dtype=policy, name="attention_norm")
        self.qkv = layers.Dense(3 * channels, dtype=policy, name="qkv")
        self.project = layers.Dense(channels, dtype=policy, name="project")
        self.mlp_norm = layers.LayerNormalization(epsilon=1e-5, dtype=policy, name="mlp_norm")
        self.mlp_in = layers.Dense(int(self.ratio * channels), activation="gelu", dtype=policy, name="mlp_in")
        self.mlp_out = layers.Dense(channels, dtype=policy, name="mlp_out")
        for layer in (self.attention_norm, self.qkv, self.project, self.mlp_norm, self.mlp_in):
            layer.build((None, channels))
        self.mlp_out.build((None, int(self.ratio * channels)))
        start = keras.initializers.TruncatedNormal(stddev=0.02)
        offsets = (2 * self.window - 1) ** rank
        self.relative_bias = self.add_weight((offsets, self.heads), initializer=start, name="relative_bias")

    def call(self, inputs):
        x = inputs + self._attend(self.attention_norm(inputs))
        return x + self.mlp_out(self.mlp_in(self.mlp_norm(x)))

    def _attend(self, x):
        size, channels = tuple(x.shape[1:-1]), x.shape[-1]
        window, shift, padded = self._grid(size)
        rank = len(size)
        axes = tuple(range(1, rank + 1))
        x = ops.pad(x, [(0, 0), *((0, p - s) for p, s in zip(padded, size, strict=True)), (0, 0)])
        if any(shift):
            x = ops.roll(x, [-s for s in shift], axis=axes)
        # (batch, n0, w0, n1, w1, ..., channels) -> (batch, windows, tokens, channels)
        counts = [p // w for p, w in zip(padded, window, strict=True)]
        split = [n for pair in zip(counts, window, strict=True) for n in pair]
        order = (0, *range(1, 2 * rank, 2), *range(2, 2 * rank + 1, 2), 2 * rank + 1)
        windows, tokens = math.prod(counts), math.prod(window)
        x = ops.transpose(ops.reshape(x, (-1, *split, channels)), order)
        x = self._attention(ops.reshape(x, (-1, windows, tokens, channels)), window, shift, padded)
        x = ops.transpose(ops.reshape(x, (-1, *counts, *window, channels)), np.argsort(order).tolist())
        x = ops.reshape(x, (-1, *padded, channels))
        if any(shift):
            x = ops.roll(x, list(shift), axis=axes)
        return x[(slice(None), *(slice(0, s) for s in size))]

    def _attention(self, x, window, shift, padded):
        """Attention within (batch, windows, tokens, channels)."""
        windows, tokens, channels = x.shape[1:]
        depth = channels // self.heads
        qkv = ops.reshape(self.qkv(x), (-1, windows, tokens, 3, self.heads, depth))
        query, key, value = (qkv[..., i, :, :] for i in range(3))
        scores = ops.einsum("bwqhd,bwkhd->bwhqk", query, key) * depth**-0.5
        index = _relative_index(window, self.window)
        bias = ops.reshape(ops.take(self.relative_bias, index.ravel(), axis=0), (tokens, tokens, self.heads))
        scores = scores + ops.cast(ops.transpose(bias, (2, 0, 1)), scores.dtype)
        if any(shift):
            scores = scores + ops.cast(_mask(window, shift, padded)[None, :, None], scores.dtype)
        x = ops.einsum("bwhqk,bwkhd->bwqhd", ops.softmax(scores, axis=-1), value)
        return self.project(ops.reshape(x, (-1, windows, tokens, channels)))

    def _grid(self, size):
        """Window, shift and padded size along each axis."""
        window = tuple(min(self.window, s) for s in size)
        shift = tuple(w // 2 if self.shifted and s > w else 0 for w, s in zip(window, size, strict=True))
        padded = tuple(-(-s // w) * w for w, s in zip(window, size, strict=True))
        return window, shift, padded

    def compute_output_shape(self, input_shape):
        return input_shape

    def macs(self, input_shape):
        """Multiply-accumulate operations for an input (batch, *spatial, channels)."""
        size, channels = input_shape[1:-1], input_shape[-1]
        window, _, padded = self._grid(size)
        attention = math.prod(padded) * (4 * channels**2 + 2 * math.prod(window) * channels)
        return attention + math.prod(size) * 2 * channels * int(self.ratio * channels)

    def get_config(self):
        settings = {"heads": self.heads, "window": self.window, "shifted": self.shifted, "ratio": self.ratio}
        return {**super().get_config(), **settings}


@keras.saving.register_keras_serializable(package="medseg")
class PatchMerging(layers.Layer):
    """Join the voxels of each 2x2(x2) block, normalise, and project to twice the channels.

    Liu et al., ICCV 2021, arXiv:2103.14030.

    Call: (batch, *spatial, channels) -> (batch, *spatial / 2, 2 * channels); sizes are even.
    """

    def build(self, input_shape):
        channels, rank = input_shape[-1], len(input_shape) - 2
        self.norm = layers.LayerNormalization(epsilon=1e-5, dtype=self.dtype_policy, name="norm")
        self.project = layers.Dense(2 * channels, use_bias=False, dtype=self.dtype_policy, name="project")
        self.norm.build((None, 2**rank * channels))
        self.project.build((None, 2**rank * channels))

    def call(self, inputs):
        rank = len(inputs.shape) - 2
        parts = [
            inputs[(slice(None), *(slice(start, None, 2) for start in starts))]
            for starts in itertools.product((0, 1), repeat=rank)
        ]
        return self.project(self.norm(ops.concatenate(parts, axis=-1)))

    def compute_output_shape(self, input_shape):
        batch, *spatial, channels = input_shape
        return (batch, *(s // 2 for s in spatial), 2 * channels)

    def macs(self, input_shape):
        """Multiply-accumulate operations for an input (batch, *spatial, channels)."""
        return math.prod(s // 2 for s in input_shape[1:-1]) * math.prod(self.project.kernel.shape)


def _relative_index(window, largest):
    """For each pair of tokens of a window the row of the bias table, (tokens, tokens)."""
    places = np.stack(np.meshgrid(*map(np.arange, window), indexing="ij"), -1).reshape(-1, len(window))
    offsets = places[:, None] - places[None] + largest - 1
    return np.ravel_multi_index(tuple(np.moveaxis(offsets, -1, 0)), (2 * largest - 1,) * len(window))


def _mask(window, shift, padded):
    """-100 between tokens that only the shift brought into one window, else 0, (windows, tokens, tokens)."""
    region = np.zeros(padded, np.int32)
    slices = [
        (slice(0, -w), slice(-w, -s), slice(-s, None)) if s else (slice(None),)
        for w, s in zip(window, shift, strict=True)
    ]
    for number, part in enumerate(itertools.product(*slices)):
        region[part] = number
    rank = len(window)
    split = [n for p, w in zip(padded, window, strict=True) for n in (p // w, w)]
    order = (*range(0, 2 * rank, 2), *range(1, 2 * rank, 2))
    region = region.reshape(split).transpose(order).reshape(-1, math.prod(window))
    return np.where(region[:, :, None] != region[:, None], -100.0, 0.0).astype("float32")
