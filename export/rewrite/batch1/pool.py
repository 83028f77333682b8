"""Rules of batch 1 for pooling, padding, cropping and up-sampling: axis by axis, each in the view that has it whole."""

from keras import layers, ops

from export.rewrite.batch1.volume import Volume, along_depth, along_planes, along_width
from export.rewrite.registry import volume_rule
from zoo.blocks.border import ZeroBorder
from zoo.blocks.resample import LinearUpSampling3D
from zoo.internals.keras import nn

_KINDS = {"max": layers.MaxPooling2D, "average": layers.AveragePooling2D}


@volume_rule(layers.MaxPooling3D)
def max_pooling_3d(layer, args, kwargs, emission):
    """MaxPooling3D."""
    return pool(args[0], "max", layer.pool_size, layer.strides, layer.padding)


@volume_rule(layers.AveragePooling3D)
def average_pooling_3d(layer, args, kwargs, emission):
    """AveragePooling3D."""
    return pool(args[0], "average", layer.pool_size, layer.strides, layer.padding)


@volume_rule(nn.MaxPool, nn.AveragePool)
def pooling(operation, args, kwargs, emission):
    """keras.ops.max_pool and average_pool."""
    size = (operation.pool_size,) * 3 if isinstance(operation.pool_size, int) else operation.pool_size
    strides = size if operation.strides is None else operation.strides
    strides = (strides,) * 3 if isinstance(strides, int) else strides
    return pool(args[0], "max" if isinstance(operation, nn.MaxPool) else "average", size, strides, operation.padding)


def pool(volume: Volume, kind: str, size, strides, padding: str) -> Volume:
    """3D pooling: a window that the border clips is still a box, so that it is done axis by axis.

    Args:
        volume: the feature map.
        kind: "max" or "average".
        size: window per axis.
        strides: per axis.
        padding: "same" or "valid".
    """
    (kd, kh, kw), (sd, sh, sw) = size, strides

    def pool2d(window, steps):
        def apply(x):
            return x if set(window + steps) == {1} else _KINDS[kind](window, steps, padding, dtype="float32")(x)

        return apply

    if (kh, kw) == (sh, sw) and volume.shape[1] % sh == 0:  # no window reaches into the next slice
        height = volume.shape[1] // sh
        y = pool2d((kh, kw), (sh, sw))(volume.columns())
        volume = Volume((volume.shape[0], height, *y.shape[2:]), [y])
        return along_depth(volume, pool2d((kd, 1), (sd, 1)))
    volume = along_planes(volume, pool2d((kd, kh), (sd, sh)))
    return along_width(volume, pool2d((1, kw), (1, sw)))


@volume_rule(layers.UpSampling3D)
def up_sampling_3d(layer, args, kwargs, emission):
    """UpSampling3D: nearest neighbour; an axis is repeated by joining copies along what follows it in memory.

    No resize operator: Vela makes thousands of operators of one over a tall image.
    """
    d, h, w = layer.size
    depth, height, width, channels = args[0].shape
    volume = Volume((depth, height, width * w, channels), [_repeated(args[0].columns(), w, 3)])
    volume = Volume((depth, height * h, width * w, channels), [_repeated(volume.planes(), h, 3)])
    return Volume((depth * d, *volume.shape[1:]), [_repeated(volume.rows(), d, 2)])


def _repeated(x, count, axis):
    return x if count == 1 else ops.concatenate([x] * count, axis=axis)


@volume_rule(LinearUpSampling3D)
def linear_up_sampling_3d(layer, args, kwargs, emission):
    """LinearUpSampling3D: along depth and height, then along width."""
    d, h, w = layer.size
    volume = args[0]
    if (d, h) != (1, 1):
        volume = along_planes(volume, layers.UpSampling2D((d, h), interpolation="bilinear", dtype="float32"))
    if w == 1:
        return volume
    return along_width(volume, layers.UpSampling2D((1, w), interpolation="bilinear", dtype="float32"))


@volume_rule(layers.ZeroPadding3D)
def zero_padding_3d(layer, args, kwargs, emission):
    """ZeroPadding3D."""
    return pad(args[0], layer.padding)


@volume_rule(ZeroBorder)
def zero_border(layer, args, kwargs, emission):
    """The zoo's ZeroBorder."""
    return pad(args[0], layer.padding)


def pad(volume: Volume, padding) -> Volume:
    """Zeros (before, after) along depth, height and width."""
    along, rows, columns = (tuple(pair) for pair in padding)
    depth, height, width, channels = volume.shape
    if any(along + rows):
        pixels = tuple(n * width for n in rows)
        y = ops.pad(volume.rows(), ((0, 0), along, pixels, (0, 0)))
        volume = Volume((depth + sum(along), height + sum(rows), width, channels), [y])
    if any(columns):
        volume = along_width(volume, lambda x: ops.pad(x, ((0, 0), (0, 0), columns, (0, 0))))
    return volume


@volume_rule(layers.Cropping3D)
def cropping_3d(layer, args, kwargs, emission):
    """Cropping3D."""
    volume = args[0]
    (before, behind), (above, below), (left, right) = layer.cropping
    depth, height, width, channels = volume.shape
    size = (depth - before - behind, height - above - below, width - left - right)
    if min(size) < 1:
        raise ValueError(f"crops {layer.cropping} from a feature map of {volume.shape[:3]}")
    if size[:2] != (depth, height):
        start, taken = (0, before, above * width, 0), (1, size[0], size[1] * width, channels)
        volume = Volume((*size[:2], width, channels), [ops.slice(volume.rows(), start, taken)])
    if size[2] == width:
        return volume
    return along_width(volume, lambda x: ops.slice(x, (0, 0, left, 0), (1, x.shape[1], size[2], channels)))
