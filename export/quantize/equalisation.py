"""Cross-layer equalisation: scales moved between layers, so that one scale serves all channels of a tensor.

Nagel et al. 2019, arXiv:1906.04721, section 4.1, on the graph of a rewritten network: not only from layer to layer, but
over skip connections, joined and added feature maps and blocks of slices, whose channels then move together.
"""

import numpy as np
from keras import layers

from export.quantize.channel_groups import FIXED, ZERO, Trace, trace

ROUNDS = 40
DAMPING = 0.25
# A channel that hardly writes or is hardly read is left alone: its scale would be a ratio of rounding errors.
LEAST = 1e-5
FURTHEST = 2.0**8
MOVED = 1.01


def equalise(model) -> int:
    """Move scales between the layers of a rewritten network, in place; what it computes stays the same.

    A channel behind a convolution is divided by s, and what reads it multiplies by s, wherever nothing lies between
    them but what keeps proportions (ReLU, LeakyReLU, PReLU, pooling, padding, joining; not ReLU6): s is chosen so that
    the largest weight that writes the channel equals the largest that reads it.

    Args:
        model: from ``export.rewrite.rewrite``, batch normalisation folded.

    Returns:
        Number of channels whose scale moved by more than a hundredth; 0 leaves the network as it was.
    """
    record = trace(model)
    scales = _scales(record)
    moved = int((np.maximum(scales, 1 / scales) > MOVED).sum())
    if moved:
        for layer, ends in record.ends.items():
            _rescale(layer, *(scales[record.groups.find(end)] for end in (ends.inputs, ends.outputs)))
    return moved


def _scales(record: Trace) -> np.ndarray:
    """By number of a channel: 1 where none is free to move. Damped, since all move at once."""
    tables = [
        (_table(layer), record.groups.find(ends.inputs), record.groups.find(ends.outputs))
        for layer, ends in record.ends.items()
    ]
    size = len(record.groups.parents)
    scales = np.ones(size)
    written, read = _extremes(tables, scales)
    free = (written > LEAST * written.max(initial=0)) & (read > LEAST * read.max(initial=0))
    free[[ZERO, FIXED]] = False
    for _ in range(ROUNDS if free.any() else 0):
        written, read = _extremes(tables, scales)
        scales[free] = np.clip(scales[free] * (written[free] / read[free]) ** DAMPING, 1 / FURTHEST, FURTHEST)
    return scales


def _extremes(tables, scales) -> tuple[np.ndarray, np.ndarray]:
    """The largest weight that writes each channel, and the largest that reads it, with the scales applied."""
    written, read = np.zeros((2, len(scales)))
    for (weights, bias), inputs, outputs in tables:
        scaled = weights * scales[inputs][:, None] / scales[outputs]
        np.maximum.at(read, inputs, scaled.max(axis=1, initial=0))
        # A channel that is mostly bias must not be stretched by its small weights.
        np.maximum.at(written, outputs, np.maximum(scaled.max(axis=0, initial=0), bias / scales[outputs]))
    return written, read


def _table(layer) -> tuple[np.ndarray, np.ndarray]:
    """(inputs, outputs): the largest weight over all taps, 0 where an output does not read an input; and the biases."""
    kernel, *bias = (np.abs(value.astype(np.float64)) for value in layer.get_weights())
    largest = kernel.max(axis=tuple(range(kernel.ndim - 2)))
    if type(layer) is layers.Conv2DTranspose:
        largest = largest.T
    elif type(layer) is layers.DepthwiseConv2D:
        inputs, multiplier = largest.shape
        spread = np.zeros((inputs, inputs, multiplier))
        spread[np.arange(inputs), np.arange(inputs)] = largest
        largest = spread.reshape(inputs, -1)
    return largest, bias[0] if bias else np.zeros(largest.shape[1])


def _rescale(layer, inputs, outputs) -> None:
    kernel, *bias = layer.get_weights()
    if type(layer) is layers.Conv2DTranspose:
        factors = inputs / outputs[:, None]
    elif type(layer) is layers.DepthwiseConv2D:
        factors = inputs[:, None] / outputs.reshape(len(inputs), -1)
    else:
        factors = inputs[:, None] / outputs
    layer.set_weights([(kernel * factors).astype(np.float32), *((b / outputs).astype(np.float32) for b in bias)])
