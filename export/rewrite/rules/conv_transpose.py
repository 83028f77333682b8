"""Rules for transposed convolutions: one 2D layer for each output residue along depth, then interleaved."""

from dataclasses import dataclass

import keras
import numpy as np
from keras import layers, ops

from export.rewrite.registry import rule
from export.rewrite.rules import depth
from export.rewrite.rules.conv import ONE, Place, activate, conv2d
from export.rewrite.rules.norm import folded_weights
from zoo.internals.keras import nn as operations


@dataclass(frozen=True)
class Axis:
    """A transposed convolution along one axis.

    Attributes:
        kernel: taps.
        stride: outputs from one input to the next.
        dilation: outputs from one tap to the next.
        padding: "same" or "valid".
        extra: Keras' ``output_padding``, or None for its default size.
    """

    kernel: int
    stride: int
    dilation: int
    padding: str
    extra: int | None = None

    @property
    def _span(self) -> int:
        return (self.kernel - 1) * self.dilation + 1

    def size(self, inputs: int) -> int:
        """Length of the output, as Keras computes it."""
        if self.extra is None:
            return inputs * self.stride + (max(self._span - self.stride, 0) if self.padding == "valid" else 0)
        return (inputs - 1) * self.stride + (self._span if self.padding == "valid" else self._span % 2) + self.extra

    def taps(self, residue: int) -> list[tuple[int, int]]:
        """Which (kernel index, input shift) pairs make output ``stride * q + residue`` from input ``q + shift``."""
        # the zeros before the input of the convolution that this one is the transpose of
        before = max(self._span - self.stride - self.size(1) + self.stride, 0) // 2 if self.padding == "same" else 0
        offsets = [(k, residue + before - k * self.dilation) for k in range(self.kernel)]
        return [(k, offset // self.stride) for k, offset in offsets if offset % self.stride == 0]


def axes_of(layer, rank: int) -> list[Axis]:
    """An ``Axis`` for each spatial axis of a Keras layer or operation with transposed-convolution arguments."""
    kernel = layer.kernel_size
    values = (kernel, layer.strides, layer.dilation_rate, layer.padding, layer.output_padding)
    spread = [value if isinstance(value, tuple | list) else (value,) * rank for value in values]
    return [Axis(*options) for options in zip(*spread, strict=True)]


@rule(layers.Conv3DTranspose, folds_batch_norm=True)
def conv3d_transpose_layer(layer, args, kwargs, emission):
    """Conv3DTranspose: for each output residue along depth the taps that reach it, stacked along channels."""
    kernel, bias = folded_weights(layer, emission.batch_norm, out_axis=3)
    return activate(layer, _transpose3d(args[0], kernel, bias, Place(layer, emission), axes_of(layer, 3)))


@rule(layers.Conv2DTranspose, folds_batch_norm=True)
def conv2d_transpose_layer(layer, args, kwargs, emission):
    """Conv2DTranspose: kept, or a convolution and a depth-to-space step; batch normalisation folded in."""
    kernel, bias = folded_weights(layer, emission.batch_norm, out_axis=2)
    return activate(layer, transpose2d(args[0], kernel, bias, Place(layer, emission), axes_of(layer, 2)))


def _transpose3d(x, kernel, bias, place, axes):
    """kernel (kd, kh, kw, out, in)."""
    along, *plane = axes
    size = along.size(x.shape[0])
    count = -(-size // along.stride)
    parts = []
    for residue in range(along.stride):
        taps = along.taps(residue)
        stacked = [(k, depth.shifted(x, shift, count)) for k, shift in taps]
        reached = [(k, piece) for k, piece in stacked if piece is not None]
        if not reached:
            parts.append(None)
            continue
        pieces = [piece for _, piece in reached]
        source = pieces[0] if len(pieces) == 1 else ops.concatenate(pieces, axis=-1)
        flat = np.concatenate([kernel[k] for k, _ in reached], axis=-1)
        which = "-".join(str(k) for k, _ in reached)
        parts.append(transpose2d(source, flat, bias, place.at(f"residue{residue}taps{which}"), plane))
    parts = _fill(parts, bias)
    return depth.take(depth.interleave(parts), 0, size)


def _fill(parts, bias):
    """Residues that no tap reaches hold the bias alone."""
    shape = next(part.shape for part in parts if part is not None)
    return [ops.broadcast_to(ops.convert_to_tensor(bias), shape) if part is None else part for part in parts]


def transpose2d(x, kernel, bias, place, axes):
    """A 2D transposed convolution of an image, kernel (kh, kw, out, in), in the layout asked for."""
    strides = tuple(axis.stride for axis in axes)
    if place.emission.layout.subpixel or strides[0] != strides[1]:
        return _subpixel(x, kernel, bias, place, axes)
    extra = tuple(axis.extra for axis in axes)

    def make():
        return layers.Conv2DTranspose(
            kernel.shape[2], kernel.shape[:2], strides=strides, padding=axes[0].padding,
            output_padding=None if None in extra else extra, dilation_rate=tuple(axis.dilation for axis in axes),
            dtype="float32",
        )  # fmt: skip

    copy = place.once("transpose2d", make)
    y = copy(x)
    copy.set_weights([kernel, bias])
    return y


def _subpixel(x, kernel, bias, place, axes):
    """All output residues as channels of one convolution, then depth to space (Shi et al., arXiv:1609.05158)."""
    sh, sw = strides = tuple(axis.stride for axis in axes)
    outputs, inputs = kernel.shape[2:]
    rows, columns = ([axis.taps(residue) for residue in range(axis.stride)] for axis in axes)
    (low_h, high_h), (low_w, high_w) = _reach(rows), _reach(columns)
    merged = np.zeros((high_h - low_h + 1, high_w - low_w + 1, inputs, sh, sw, outputs), np.float32)
    for rh, row in enumerate(rows):
        for rw, column in enumerate(columns):
            for ki, shift_h in row:
                for kj, shift_w in column:
                    merged[shift_h - low_h, shift_w - low_w, :, rh, rw] = kernel[ki, kj].T
    height, width = (axis.size(n) for axis, n in zip(axes, x.shape[1:3], strict=True))
    count_h, count_w = -(-height // sh), -(-width // sw)
    pads = ((-low_h, count_h + high_h - x.shape[1]), (-low_w, count_w + high_w - x.shape[2]))
    x = _pad_or_crop(x, pads)
    flat = merged.reshape(*merged.shape[:3], sh * sw * outputs)
    y = _depth_to_space(conv2d(x, flat, np.tile(bias, sh * sw), place, ONE), strides)
    if (y.shape[1], y.shape[2]) != (height, width):
        y = y[:, :height, :width]
    return y


def _pad_or_crop(x, pads):
    """Zeros around height and width; a negative number crops."""
    (top, bottom), (left, right) = pads
    if min(top, bottom, left, right) < 0:
        _, height, width, _ = x.shape
        x = x[:, max(-top, 0) : height + min(bottom, 0), max(-left, 0) : width + min(right, 0)]
    grown = tuple((max(before, 0), max(after, 0)) for before, after in pads)
    return ops.pad(x, ((0, 0), *grown, (0, 0))) if any(map(any, grown)) else x


def _reach(residues) -> tuple[int, int]:
    shifts = [shift for taps in residues for _, shift in taps]
    return min(0, *shifts), max(0, *shifts)


def _depth_to_space(y, strides):
    """(n, h, w, sh * sw * c) -> (n, h * sh, w * sw, c); by four axes only, since runtimes transpose no more of them."""
    sh, sw = strides
    n, h, w, channels = y.shape
    if sh == sw:
        return y if sh == 1 else ops.depth_to_space(y, sh)
    y = ops.transpose(ops.reshape(y, (n * h, w, sh, channels // sh)), (0, 2, 1, 3))
    return ops.reshape(y, (n, h * sh, w * sw, channels // (sh * sw)))


@rule(operations.ConvTranspose)
def conv_transpose_operation(operation, args, kwargs, emission):
    """keras.ops.conv_transpose with a constant kernel."""
    x, kernel = args
    if keras.backend.is_keras_tensor(kernel):
        raise ValueError("its kernel is computed from the input; expected a constant one")
    kernel = np.asarray(ops.convert_to_numpy(kernel), np.float32)
    rank = kernel.ndim - 2
    values = (operation.strides, operation.dilation_rate, operation.padding, operation.output_padding)
    spread = [value if isinstance(value, tuple | list) else (value,) * rank for value in values]
    axes = [Axis(*options) for options in zip(kernel.shape[:rank], *spread, strict=True)]
    bias = np.zeros(kernel.shape[-2], np.float32)
    # the operation itself cannot be kept: Keras' ConvTranspose.call hands its arguments on in the wrong order
    return (_transpose3d if rank == 3 else transpose2d)(x, kernel, bias, Place(operation, emission), axes)
