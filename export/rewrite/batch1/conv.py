"""Rules for convolutions of batch 1."""

import keras
import numpy as np
from keras import layers, ops

from export.rewrite.batch1 import gap, slices
from export.rewrite.batch1.pointwise import activated
from export.rewrite.batch1.volume import Volume, along_depth, along_width
from export.rewrite.registry import volume_rule
from export.rewrite.rules.conv import Place, Window, conv2d, depthwise2d, window_of
from export.rewrite.rules.norm import folded_weights
from zoo.blocks.depthwise import DepthwiseConv3D
from zoo.internals.keras import nn as operations

# Below so many pixels a plane, an NPU spends more on fetching the weights for each slice than on computing.
SMALL = 0


@volume_rule(layers.Conv3D, folds_batch_norm=True)
def conv3d_layer(layer, args, kwargs, emission):
    """Conv3D."""
    kernel, bias = folded_weights(layer, emission.batch_norm, out_axis=-1)
    return activated(layer, convolve(args[0], kernel, bias, Place(layer, emission), window_of(layer)))


@volume_rule(DepthwiseConv3D, folds_batch_norm=True)
def depthwise_conv3d_layer(layer, args, kwargs, emission):
    """The zoo's DepthwiseConv3D."""
    kernel, bias = folded_weights(layer, emission.batch_norm, out_axis=(3, 4))
    return depthwise(args[0], kernel, bias, Place(layer, emission), Window((1, 1, 1), (1, 1, 1), "same"))


@volume_rule(operations.Conv)
def conv_operation(operation, args, kwargs, emission):
    """keras.ops.conv with a constant kernel."""
    volume, kernel = args
    if keras.backend.is_keras_tensor(kernel):
        raise ValueError("its kernel is computed from the input; expected a constant one")
    kernel = np.asarray(ops.convert_to_numpy(kernel), np.float32)
    strides, dilation = (
        (n,) * 3 if isinstance(n, int) else tuple(n) for n in (operation.strides, operation.dilation_rate)
    )
    window = Window(strides, dilation, operation.padding)
    return convolve(volume, kernel, np.zeros(kernel.shape[-1], np.float32), Place(operation, emission), window)


def convolve(volume: Volume, kernel, bias, place: Place, window: Window) -> Volume:
    """A 3D convolution, kernel (kd, kh, kw, in / groups, out)."""
    groups = volume.shape[-1] // kernel.shape[-2]
    if groups == 1:
        return _convolve(volume, kernel, bias, place, window)
    if kernel.shape[-2] == 1 and len(set(window.strides[1:])) == 1:
        multiplied = kernel.reshape(*kernel.shape[:-2], groups, -1)
        return depthwise(volume, multiplied, bias, place, window)
    pieces = ops.split(volume.columns(), groups, axis=-1)
    given = zip(pieces, np.split(kernel, groups, -1), np.split(bias, groups), strict=True)
    parts = [
        _convolve(Volume((*volume.shape[:3], k.shape[-2]), [piece]), k, b, place.at(f"group{i}"), window)
        for i, (piece, k, b) in enumerate(given)
    ]
    joined = ops.concatenate([part.columns() for part in parts], axis=-1)
    return Volume((*parts[0].shape[:3], joined.shape[-1]), [joined])


def _convolve(volume, kernel, bias, place, window):
    kd, kh, kw = kernel.shape[:3]
    (sd, sh, sw), (dd, _, dw), padding = window.strides, window.dilation, window.padding
    if (kh, kw, sh, sw) == (1, 1, 1, 1) and (kd, sd) != (1, 1):
        rows = Window((sd, 1), (dd, 1), padding)
        return along_depth(volume, lambda x: conv2d(x, kernel[:, 0], bias, place, rows))
    if (kd, kh, sd, sh) == (1, 1, 1, 1):
        columns = Window((1, sw), (1, dw), padding)
        return along_width(volume, lambda x: conv2d(x, kernel[0], bias, place, columns))
    plane = volume.shape[0] * volume.shape[1]
    if place.emission.layout.fold == "channels" and dw == 1 and plane >= SMALL:
        return slices.unrolled(volume, kernel, bias, place, window)
    return gap.gapped(volume, kernel, bias, place, window)


def depthwise(volume: Volume, kernel, bias, place: Place, window: Window) -> Volume:
    """A 3D convolution within each channel, kernel (kd, kh, kw, in, multiplier)."""
    kd, kh, kw, *_ = kernel.shape
    if (kh, kw, *window.strides) == (1, 1, 1, 1, 1) and kd > 1:
        rows = Window((1, 1), (window.dilation[0], 1), window.padding)
        return along_depth(volume, lambda x: depthwise2d(x, kernel[:, 0], bias, place, rows))
    if (kd, kh, *window.strides) == (1, 1, 1, 1, 1):
        columns = Window((1, 1), (1, window.dilation[2]), window.padding)
        return along_width(volume, lambda x: depthwise2d(x, kernel[0], bias, place, columns))
    return gap.gapped_depthwise(volume, kernel, bias, place, window)
