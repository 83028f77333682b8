"""Rules for transposed convolutions of batch 1."""

import keras
import numpy as np
from keras import layers, ops

from export.rewrite.batch1 import slices
from export.rewrite.batch1.pointwise import activated
from export.rewrite.batch1.volume import Volume
from export.rewrite.registry import volume_rule
from export.rewrite.rules.conv import Place
from export.rewrite.rules.conv_transpose import Axis, axes_of, transpose2d
from export.rewrite.rules.norm import folded_weights
from zoo.internals.keras import nn as operations


@volume_rule(layers.Conv3DTranspose, folds_batch_norm=True)
def conv3d_transpose_layer(layer, args, kwargs, emission):
    """Conv3DTranspose."""
    kernel, bias = folded_weights(layer, emission.batch_norm, out_axis=3)
    return activated(layer, transpose3d(args[0], kernel, bias, Place(layer, emission), axes_of(layer, 3)))


@volume_rule(operations.ConvTranspose)
def conv_transpose_operation(operation, args, kwargs, emission):
    """keras.ops.conv_transpose with a constant kernel."""
    volume, kernel = args
    if keras.backend.is_keras_tensor(kernel):
        raise ValueError("its kernel is computed from the input; expected a constant one")
    kernel = np.asarray(ops.convert_to_numpy(kernel), np.float32)
    values = (operation.strides, operation.dilation_rate, operation.padding, operation.output_padding)
    spread = [value if isinstance(value, tuple | list) else (value,) * 3 for value in values]
    axes = [Axis(*options) for options in zip(kernel.shape[:3], *spread, strict=True)]
    bias = np.zeros(kernel.shape[-2], np.float32)
    return transpose3d(volume, kernel, bias, Place(operation, emission), axes)


def transpose3d(volume: Volume, kernel, bias, place: Place, axes) -> Volume:
    """A 3D transposed convolution, kernel (kd, kh, kw, out, in)."""
    apart = [axis.kernel == axis.stride and axis.dilation == 1 and axis.size(1) == axis.stride for axis in axes]
    if all(apart) and place.emission.layout.fold == "channels":
        strides = tuple(axis.stride for axis in axes)

        def transpose(x, flat, tiled):
            return transpose2d(x, flat, tiled, place, axes[:2])

        return slices.unrolled_transpose(volume, kernel, bias, strides, transpose)
    if all(apart):
        return _interleaved(volume, kernel, bias, place, axes)
    return _by_slices(volume, kernel, bias, place, axes)


def _interleaved(volume, kernel, bias, place, axes):
    """Kernels that do not meet: one 2D layer for each output residue along depth, over all slices as one image."""
    depth, height, width, _ = volume.shape
    along, rows, columns = (axis.stride for axis in axes)
    parts = [
        transpose2d(volume.columns(), kernel[residue], bias, place.at(f"residue{residue}"), axes[1:])
        for residue in range(along)
    ]
    shape = (depth * along, height * rows, width * columns, kernel.shape[3])

    def interleave(pieces):
        flat = [ops.reshape(piece, (1, depth, height * rows * shape[2], shape[3])) for piece in pieces]
        return ops.concatenate(flat, axis=2)

    return Volume(shape, parts, None if along == 1 else interleave)


def _by_slices(volume, kernel, bias, place, axes):
    """Any arguments: for each output slice the input slices that reach it, stacked along channels."""
    depth, height, width, channels = volume.shape
    along, *plane = axes
    parts = []
    for q in range(along.size(depth)):
        step, residue = divmod(q, along.stride)
        taps = [(k, step + shift) for k, shift in along.taps(residue) if 0 <= step + shift < depth]
        pieces = [ops.slice(volume.columns(), (0, i * height, 0, 0), (1, height, width, channels)) for _, i in taps]
        if not taps:
            parts.append(None)
            continue
        x = pieces[0] if len(pieces) == 1 else ops.concatenate(pieces, axis=-1)
        flat = np.concatenate([kernel[k] for k, _ in taps], axis=-1)
        which = "-".join(str(k) for k, _ in taps)
        parts.append(transpose2d(x, flat, bias, place.at(f"taps{which}"), plane))
    image = next(part.shape for part in parts if part is not None)
    parts = [ops.broadcast_to(ops.convert_to_tensor(bias), image) if part is None else part for part in parts]
    shape = (len(parts), *image[1:])
    return Volume(shape, parts, None if len(parts) == 1 else lambda pieces: ops.concatenate(pieces, axis=1))
