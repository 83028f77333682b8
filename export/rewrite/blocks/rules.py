"""Rules on blocks of slices; each gives None for what it leaves to the rule slice by slice."""

from functools import reduce

import numpy as np
from keras import activations, layers, ops

from export.rewrite.blocks.layout import Blocks, band, best_slices, gain, stacked, windows
from export.rewrite.blocks.registry import block_rule
from export.rewrite.conv import Place, activate, conv2d, window_of
from export.rewrite.conv_transpose import axes_of, transpose2d
from export.rewrite.depth import same_padding
from export.rewrite.graph import keep
from export.rewrite.norm import folded_weights


def _pointwise(function) -> bool:
    """Whether an activation is one of Keras' that act on each element alone."""
    across = (activations.softmax, activations.log_softmax, activations.sparsemax, activations.glu)
    return function is None or (getattr(activations, function.__name__, None) is function and function not in across)


@block_rule(layers.Conv3D)
def conv3d(layer, args, kwargs, emission):
    """Conv3D of stride 1, with the output of as many slices at once as suits the runtime."""
    x, window = args[0], window_of(layer)
    along, outputs = layer.kernel_size[0], layer.filters
    moves = {*window.strides, window.dilation[0]} != {1} or (window.padding == "valid" and along > 1)
    if moves or layer.groups > 1 or not _pointwise(layer.activation):
        return None
    source = emission.blocks(x) or Blocks((x,), 1)
    sizes, room = (layer.kernel_size, x.shape[-1], outputs), emission.walk.room
    slices = best_slices(emission.form.unit, x.shape[:3], *sizes, source.slices, room)
    if slices == 1:
        return None
    emission.walk.room -= gain(*sizes, slices)
    before, after = same_padding(x.shape[0], along, 1, 1)
    if source.slices != slices or max(before, after) > slices:
        source = Blocks((x,), 1)
        pieces = [stacked(x, slices, before, after)]
    else:
        pieces = windows(source, before, after)
    kernel, bias = folded_weights(layer, emission.batch_norm, out_axis=-1)
    kernels = np.split(kernel, np.cumsum(source.channels)[:-1], axis=3)
    flat = np.concatenate([band(kernels[piece.part], slices, piece.numbers, before) for piece in pieces], axis=2)
    y = pieces[0].tensor if len(pieces) == 1 else ops.concatenate([piece.tensor for piece in pieces], axis=-1)
    seen = "-".join(f"{source.channels[piece.part]}.{piece.numbers[0]}.{len(piece.numbers)}" for piece in pieces)
    place = Place(layer, emission, f"{slices}slices{seen}")
    y = conv2d(y, flat, np.tile(bias, slices), place, window.plane)
    return Blocks((activate(layer, y),), slices)


@block_rule(layers.Conv3DTranspose)
def conv3d_transpose(layer, args, kwargs, emission):
    """Conv3DTranspose whose output slices each come from one slice: they are channels of one 2D layer."""
    x = args[0]
    source = emission.blocks(x) or Blocks((x,), 1)
    along, *plane = axes_of(layer, 3)
    taps = [along.taps(residue) for residue in range(along.stride)]
    apart = along.size(x.shape[0]) == along.stride * x.shape[0] and all(len(t) == 1 and t[0][1] == 0 for t in taps)
    if not apart or not _pointwise(layer.activation):
        return None
    kernel, bias = folded_weights(layer, emission.batch_norm, out_axis=3)
    _, kh, kw, outputs, inputs = kernel.shape
    merged = np.zeros((kh, kw, source.slices, along.stride, outputs, source.slices, inputs), np.float32)
    for residue, ((tap, _),) in enumerate(taps):
        for one in range(source.slices):
            merged[:, :, one, residue, :, one] = kernel[tap]
    made = source.slices * along.stride
    merged = merged.reshape(kh, kw, made * outputs, source.slices, inputs)
    split = np.split(merged, np.cumsum(source.channels)[:-1], axis=-1)
    flat = np.concatenate([one.reshape(kh, kw, made * outputs, -1) for one in split], axis=-1)
    place = Place(layer, emission, f"{source.slices}slices" + "-".join(map(str, source.channels)))
    y = transpose2d(source.joined(), flat, np.tile(bias, made), place, plane)
    return Blocks((activate(layer, y),), made)


@block_rule(layers.MaxPooling3D)
def max_pooling_3d(layer, args, kwargs, emission):
    """MaxPooling3D: in the plane, then over neighbours in the channels, read as neighbouring columns."""
    source, along = emission.blocks(args[0]), layer.pool_size[0]
    same = tuple(layer.strides) == tuple(layer.pool_size) and layer.padding == "valid"
    if source is None or not same or source.slices % along:
        return None

    def pool(x):
        x = layers.MaxPooling2D(layer.pool_size[1:], dtype="float32")(x)
        if along == 1:
            return x
        count, height, width, channels = x.shape
        y = ops.reshape(x, (count, height, width * source.slices, channels // source.slices))
        y = layers.MaxPooling2D((1, along), dtype="float32")(y)
        return ops.reshape(y, (count, height, width, channels // along))

    return Blocks(tuple(pool(part) for part in source.parts), source.slices // along)


@block_rule(layers.Concatenate)
def concatenate(layer, args, kwargs, emission):
    """Concatenate along channels: the parts of all, joined where a convolution takes its windows."""
    found = [emission.blocks(x) for x in args[0]]
    if emission.axis(layer.axis) != 3 or None in found or len({one.slices for one in found}) > 1:
        return None
    return Blocks(tuple(part for one in found for part in one.parts), found[0].slices)


@block_rule(layers.Add)
def add(layer, args, kwargs, emission):
    """Add of feature maps of one layout."""
    found = [emission.blocks(x) for x in args[0]]
    if None in found or len({(one.slices, one.channels) for one in found}) > 1:
        return None
    sums = [reduce(ops.add, parts) for parts in zip(*(one.parts for one in found), strict=True)]
    return Blocks(tuple(sums), found[0].slices)


@block_rule(layers.ReLU, layers.LeakyReLU, layers.ELU)
def pointwise(layer, args, kwargs, emission):
    """Activation layers."""
    source = emission.blocks(args[0])
    return source and source.map(lambda part: keep(layer, [part], {}, emission))


@block_rule(layers.Activation)
def activation(layer, args, kwargs, emission):
    """Activation by a function of single elements."""
    source = emission.blocks(args[0])
    if source is None or not _pointwise(layer.activation):
        return None
    return source.map(lambda part: layers.Activation(layer.activation)(part))
