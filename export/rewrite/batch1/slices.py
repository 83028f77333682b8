"""A 3D convolution as 2D convolutions slice by slice along width, whose slices lie side by side in the channels."""

import numpy as np
from keras import ops

from export.rewrite.batch1.gap import out_size
from export.rewrite.batch1.volume import Volume
from export.rewrite.rules.conv import Place, Window, conv2d
from export.rewrite.rules.depth import same_padding

# Fewer input channels leave an NPU's multipliers idle: several output slices are then made at once, by a band matrix.
NARROW = 16


def unrolled(volume: Volume, kernel, bias, place: Place, window: Window) -> Volume:
    """A 3D convolution with kernel (kd, kh, kw, in, out) of dilation 1 along width.

    The slices that a window sees along width lie next to each other in the channels, so that taking them moves nothing
    on an NPU. The layers at the borders have kernels of their own, unless zeros beside the border cost less memory.
    """
    depth, height, width, channels = volume.shape
    taps, outputs = kernel.shape[2], kernel.shape[4]
    stride, padding = window.strides[2], window.padding
    count = out_size(width, taps, stride, 1, padding)
    before = same_padding(width, taps, stride, 1)[0] if padding == "same" else 0
    plane = Window(window.strides[:2], window.dilation[:2], padding)
    x, size, shift = volume.planes(), width, 0
    together = _together(count, channels, taps)
    after = max((count - 1) * stride - before + taps - width, 0)
    if together == 1 and before + after and 2 * kernel.size > depth * height * width * channels:
        x = ops.pad(x, ((0, 0), (0, 0), (0, 0), (before * channels, after * channels)))
        size, shift = width + before + after, before
    parts = []
    for first in range(0, count, together):
        chunk = range(first, min(first + together, count))
        seen = {
            (o - first, t): o * stride + t - before + shift
            for o in chunk
            for t in range(taps)
            if 0 <= o * stride + t - before + shift < size
        }
        low, high = (min(seen.values()), max(seen.values()) + 1) if seen else (0, 1)
        band = np.zeros((*kernel.shape[:2], high - low, channels, len(chunk), outputs), np.float32)
        for (o, t), i in seen.items():
            band[:, :, i - low, :, o] = kernel[:, :, t]
        pattern = "-".join(f"{o}.{t}.{i - low}" for (o, t), i in seen.items())
        flat = band.reshape(*kernel.shape[:2], (high - low) * channels, len(chunk) * outputs)
        parts.append(
            conv2d(take(x, low * channels, high * channels), flat, np.tile(bias, len(chunk)), place.at(pattern), plane)
        )
    return side_by_side(parts, count, outputs)


def _together(count, channels, taps) -> int:
    """Output slices made at once."""
    return 1 if channels >= NARROW else min(count, max(1, 2 * NARROW // channels - taps + 1))


def unrolled_transpose(volume: Volume, kernel, bias, strides, transpose) -> Volume:
    """A transposed convolution whose kernel (kd, kh, kw, out, in) is its stride: slice by slice along width.

    Args:
        volume: the feature map.
        kernel: as Keras keeps it.
        bias: per output channel.
        strides: per axis.
        transpose: function of an image, a 2D kernel (kd, kh, channels, in) and its bias to a transposed convolution.
    """
    _, _, width, channels = volume.shape
    x, (kd, kh, kw, outputs, inputs) = volume.planes(), kernel.shape
    flat, tiled = kernel.reshape(kd, kh, kw * outputs, inputs), np.tile(bias, kw)
    parts = [transpose(take(x, i * channels, (i + 1) * channels), flat, tiled) for i in range(width)]
    return side_by_side(parts, width * strides[2], outputs)


def side_by_side_of(volumes) -> Volume:
    """Feature maps concatenated along channels, slice by slice along width: none of them has to be whole in memory."""
    depth, height, width, _ = volumes[0].shape
    channels = sum(volume.shape[3] for volume in volumes)
    parts = [piece(volume, i) for i in range(width) for volume in volumes]
    return Volume((depth, height, width, channels), parts, lambda pieces: ops.concatenate(pieces, axis=-1))


def piece(volume: Volume, i: int):
    """Slice ``i`` along width, from the part that holds it where nobody needed the whole feature map yet."""
    _, _, width, channels = volume.shape
    each, rest = divmod(width, len(volume.parts))
    if volume.whole or rest or volume.parts[0].shape != (1, *volume.shape[:2], each * channels):
        return take(volume.planes(), i * channels, (i + 1) * channels)
    at = i % each * channels
    return take(volume.parts[i // each], at, at + channels)


def take(x, start: int, stop: int):
    """Channels ``start:stop`` of an image."""
    if (start, stop) == (0, x.shape[3]):
        return x
    return ops.slice(x, (0, 0, 0, start), (*x.shape[:3], stop - start))


def side_by_side(parts, width: int, channels: int) -> Volume:
    """Images of slices along width, joined along channels."""
    shape = (*parts[0].shape[1:3], width, channels)
    return Volume(shape, parts, None if len(parts) == 1 else lambda pieces: ops.concatenate(pieces, axis=-1))
