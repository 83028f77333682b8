"""Rules on blocks of slices; each gives None for what it leaves to the rule slice by slice."""

from functools import reduce

import numpy as np
from keras import activations, layers, ops

from export.rewrite.blocks.choice import ONE, gathers, sizes_of
from export.rewrite.blocks.layout import Blocks, band, gathered, regrouped, stacked, windows
from export.rewrite.blocks.registry import block_rule
from export.rewrite.emission import keep
from export.rewrite.rules.conv import Place, Window, activate, conv2d, window_of
from export.rewrite.rules.conv_transpose import axes_of, transpose2d
from export.rewrite.rules.depth import same_padding
from export.rewrite.rules.norm import folded_weights


def _pointwise(function) -> bool:
    """Whether an activation is one of Keras' that act on each element alone."""
    across = (activations.softmax, activations.log_softmax, activations.sparsemax, activations.glu)
    return function is None or (getattr(activations, function.__name__, None) is function and function not in across)


@block_rule(layers.Conv3D)
def conv3d(layer, args, kwargs, emission):
    """Conv3D of stride 1, with the output of as many slices and columns at once as suits the runtime."""
    x, window = args[0], window_of(layer)
    sizes = sizes_of(layer, x.shape)
    if sizes is None or not _pointwise(layer.activation):
        return None
    source = emission.blocks(x) or Blocks((x,), 1)
    group = emission.walk.budget.take(id(layer), sizes, source.slices)
    if group == ONE:
        return None
    kernel, bias = folded_weights(layer, emission.batch_norm, out_axis=-1)
    seen, kernel, by = _seen(x, kernel, sizes, group, emission)
    place = Place(layer, emission, f"{group.slices}slices{group.columns}columns{by}")
    bias = np.tile(bias, group.slices * group.columns)
    y = _by_columns(seen, kernel, bias, place, window.plane, group.columns)
    shape = (y.shape[0], *sizes.shape[1:], group.slices * sizes.outputs)
    return Blocks((ops.reshape(activate(layer, y), shape),), group.slices)


def _seen(x, kernel, sizes, group, emission):
    """What each group sees, the kernel for that, and a name for how it is laid out."""
    slices, columns = group.slices, group.columns
    source = emission.blocks(x) or Blocks((x,), 1)
    before, after = same_padding(x.shape[0], sizes.kernel[0], 1, 1)
    if source.slices == 1 and gathers(emission.layout.unit, sizes, group):
        piece = gathered(x, slices, columns, sizes.kernel)
        flat = band(kernel, slices, piece.numbers, before, columns)
        high, seen, _, made = flat.shape
        flat = flat.reshape(high, seen, len(piece.numbers), sizes.inputs, made).transpose(0, 2, 1, 3, 4)
        return piece.tensor, flat.reshape(high, 1, -1, made), "gathered"
    if source.slices > 1 and max(slices, source.slices) % min(slices, source.slices) == 0:
        source = regrouped(source, slices)
    if source.slices != slices or max(before, after) > slices:
        source = Blocks((x,), 1)
        pieces = [stacked(x, slices, before, after)]
    else:
        pieces = windows(source, before, after)
    kernels = np.split(kernel, np.cumsum(source.channels)[:-1], axis=3)
    flat = [band(kernels[piece.part], slices, piece.numbers, before, columns) for piece in pieces]
    joined = pieces[0].tensor if len(pieces) == 1 else ops.concatenate([piece.tensor for piece in pieces], axis=-1)
    by = "-".join(f"{source.channels[piece.part]}.{piece.numbers[0]}.{len(piece.numbers)}" for piece in pieces)
    return joined, np.concatenate(flat, axis=2), by


def _by_columns(x, kernel, bias, place, window, columns):
    """A 2D convolution that makes ``columns`` neighbours at once: by a stride, or each from itself, read so."""
    if columns == 1 or kernel.shape[1] == 1:
        return conv2d(x, kernel, bias, place, window)
    if kernel.shape[1] > columns:
        return conv2d(x, kernel, bias, place, Window((1, columns), window.dilation, window.padding))
    count, height, width, channels = x.shape
    x = ops.reshape(x, (count, height, width // columns, columns * channels))
    taps, outputs = kernel.shape[0], kernel.shape[3]
    return conv2d(x, kernel.reshape(taps, 1, columns * channels, outputs), bias, place, window)


@block_rule(layers.Conv3DTranspose)
def conv3d_transpose(layer, args, kwargs, emission):
    """Conv3DTranspose whose output slices each come from one slice: they are channels of one 2D layer."""
    x = args[0]
    along, *plane = axes_of(layer, 3)
    taps = [along.taps(residue) for residue in range(along.stride)]
    apart = along.size(x.shape[0]) == along.stride * x.shape[0] and all(len(t) == 1 and t[0][1] == 0 for t in taps)
    if not apart or not _pointwise(layer.activation):
        return None
    kernel, bias = folded_weights(layer, emission.batch_norm, out_axis=3)
    merged = np.concatenate([kernel[tap] for ((tap, _),) in taps], axis=2)
    place = Place(layer, emission, f"{along.stride}slices")
    y = transpose2d(x, merged, np.tile(bias, along.stride), place, plane)
    return Blocks((activate(layer, y),), along.stride)


@block_rule(layers.MaxPooling3D, layers.AveragePooling3D)
def pooling_3d(layer, args, kwargs, emission):
    """Pooling: in the plane, then over neighbours in the channels, read as neighbouring columns."""
    source, along = emission.blocks(args[0]), layer.pool_size[0]
    same = tuple(layer.strides) == tuple(layer.pool_size) and layer.padding == "valid"
    if source is None or not same or source.slices % along:
        return None

    pool2d = layers.MaxPooling2D if isinstance(layer, layers.MaxPooling3D) else layers.AveragePooling2D

    def pool(x):
        x = pool2d(layer.pool_size[1:], dtype="float32")(x)
        if along == 1:
            return x
        count, height, width, channels = x.shape
        y = ops.reshape(x, (count, height, width * source.slices, channels // source.slices))
        y = pool2d((1, along), dtype="float32")(y)
        return ops.reshape(y, (count, height, width, channels // along))

    return Blocks(tuple(pool(part) for part in source.parts), source.slices // along)


@block_rule(layers.Concatenate)
def concatenate(layer, args, kwargs, emission):
    """Concatenate along channels: the parts of all, joined where a convolution takes its windows."""
    inputs = [emission.blocks(x) for x in args[0]]
    if emission.axis(layer.axis) != 3 or None in inputs or len({blocks.slices for blocks in inputs}) > 1:
        return None
    return Blocks(tuple(part for blocks in inputs for part in blocks.parts), inputs[0].slices)


@block_rule(layers.Add)
def add(layer, args, kwargs, emission):
    """Add of feature maps of one layout."""
    inputs = [emission.blocks(x) for x in args[0]]
    if None in inputs or len({(blocks.slices, blocks.channels) for blocks in inputs}) > 1:
        return None
    sums = [reduce(ops.add, parts) for parts in zip(*(blocks.parts for blocks in inputs), strict=True)]
    return Blocks(tuple(sums), inputs[0].slices)


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
