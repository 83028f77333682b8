"""Rules for transposed convolutions: one 2D layer for each output residue along depth, then interleaved."""

import numpy as np
from keras import layers, ops

from export.rewrite import depth
from export.rewrite.conv import activate, conv2d
from export.rewrite.graph import RewriteError, rule
from export.rewrite.norm import folded_weights


def taps(kernel: int, stride: int, padding: str, dilation: int, residue: int) -> list[tuple[int, int]]:
    """Which (kernel index, input shift) pairs make output ``stride * q + residue`` from input ``q + shift``."""
    before = max((kernel - 1) * dilation + 1 - stride, 0) // 2 if padding == "same" else 0
    return [
        (k, (residue + before - k * dilation) // stride)
        for k in range(kernel)
        if (residue + before - k * dilation) % stride == 0
    ]


def output_size(size: int, kernel: int, stride: int, padding: str, dilation: int) -> int:
    """Length of a transposed convolution's output along one axis, as Keras computes it."""
    if padding == "same":
        return size * stride
    return size * stride + max((kernel - 1) * dilation + 1 - stride, 0)


def _settings(layer):
    if layer.output_padding is not None:
        raise RewriteError(f"layer {layer.name}: output_padding {layer.output_padding}; accepted is None")
    return zip(layer.kernel_size, layer.strides, layer.dilation_rate, strict=True)


@rule(layers.Conv3DTranspose, folds_batch_norm=True)
def conv3d_transpose(layer, args, kwargs, emission):
    """Conv3DTranspose: for each output residue along depth the taps that reach it, stacked along channels."""
    x = args[0]
    kernel, bias = folded_weights(layer, emission.batch_norm, out_axis=3)
    (kd, sd, dd), *plane = _settings(layer)
    size = output_size(x.shape[0], kd, sd, layer.padding, dd)
    count = -(-size // sd)
    parts = []
    for residue in range(sd):
        found = taps(kd, sd, layer.padding, dd, residue)
        shifts = [shift for _, shift in found] or [0]
        stacked = [depth.shifted(x, shift, count) for shift in shifts]
        source = stacked[0] if len(stacked) == 1 else ops.concatenate(stacked, axis=-1)
        chosen = [kernel[k] for k, _ in found] or [np.zeros_like(kernel[0])]
        flat = np.concatenate(chosen, axis=-1)
        parts.append(_transpose2d(source, flat, bias, layer, plane, emission, f"_residue{residue}"))
    return activate(layer, depth.take(depth.interleave(parts), 0, size))


@rule(layers.Conv2DTranspose, folds_batch_norm=True)
def conv2d_transpose(layer, args, kwargs, emission):
    """Conv2DTranspose: kept, or a convolution and a depth-to-space step; batch normalisation folded in."""
    kernel, bias = folded_weights(layer, emission.batch_norm, out_axis=2)
    plane = list(_settings(layer))
    return activate(layer, _transpose2d(args[0], kernel, bias, layer, plane, emission, ""))


def _transpose2d(x, kernel, bias, layer, plane, emission, part):
    """kernel (kh, kw, out, in); ``plane`` holds (kernel, stride, dilation) for height and width."""
    strides = tuple(stride for _, stride, _ in plane)
    if emission.form.subpixel or strides[0] != strides[1]:
        return _subpixel(x, kernel, bias, layer, plane, emission, part)

    def make():
        return layers.Conv2DTranspose(
            kernel.shape[2], kernel.shape[:2], strides=strides, padding=layer.padding,
            dilation_rate=tuple(d for *_, d in plane), name=f"{layer.name}{part}", dtype="float32",
        )  # fmt: skip

    copy = emission.once((layer.name, part, "transpose2d"), make)
    y = copy(x)
    copy.set_weights([kernel, bias])
    return y


def _subpixel(x, kernel, bias, layer, plane, emission, part):
    """All output residues as channels of one convolution, then depth to space (Shi et al., arXiv:1609.05158)."""
    (kh, sh, dh), (kw, sw, dw) = plane
    outputs, inputs = kernel.shape[2:]
    rows = [taps(kh, sh, layer.padding, dh, r) for r in range(sh)]
    columns = [taps(kw, sw, layer.padding, dw, r) for r in range(sw)]
    low_h, high_h = _reach(rows)
    low_w, high_w = _reach(columns)
    merged = np.zeros((high_h - low_h + 1, high_w - low_w + 1, inputs, sh, sw, outputs), np.float32)
    for rh, row in enumerate(rows):
        for rw, column in enumerate(columns):
            for ki, shift_h in row:
                for kj, shift_w in column:
                    merged[shift_h - low_h, shift_w - low_w, :, rh, rw] = kernel[ki, kj].T
    height = output_size(x.shape[1], kh, sh, layer.padding, dh)
    width = output_size(x.shape[2], kw, sw, layer.padding, dw)
    count_h, count_w = -(-height // sh), -(-width // sw)
    pads = ((-low_h, count_h + high_h - x.shape[1]), (-low_w, count_w + high_w - x.shape[2]))
    if any(p != 0 for pair in pads for p in pair):
        x = ops.pad(x, ((0, 0), *pads, (0, 0)))
    flat = merged.reshape(*merged.shape[:3], sh * sw * outputs)
    y = conv2d(x, flat, np.tile(bias, sh * sw), layer.name, emission, part=part)
    y = _depth_to_space(y, sh, sw, outputs)
    if (y.shape[1], y.shape[2]) != (height, width):
        y = y[:, :height, :width]
    return y


def _reach(residues) -> tuple[int, int]:
    shifts = [shift for found in residues for _, shift in found]
    return min(0, *shifts), max(0, *shifts)


def _depth_to_space(y, sh, sw, outputs):
    n, h, w, _ = y.shape
    if sh == sw == 1:
        return y
    if sh == sw:
        return ops.depth_to_space(y, sh)
    y = ops.reshape(y, (n, h, w, sh, sw, outputs))
    return ops.reshape(ops.transpose(y, (0, 1, 3, 2, 4, 5)), (n, h * sh, w * sw, outputs))
