"""Rules for up-sampling and reshaping."""

from keras import layers, ops

from export.rewrite.registry import rule
from export.rewrite.rules import depth


@rule(layers.UpSampling3D)
def up_sampling_3d(layer, args, kwargs, emission):
    """UpSampling3D: nearest neighbour; each slice is repeated, then each plane."""
    d, h, w = layer.size
    x = args[0]
    y = x if (h, w) == (1, 1) else layers.UpSampling2D((h, w), dtype="float32")(x)
    return depth.interleave([y] * d)


def stretch_linear(x, size):
    """Trilinear enlargement of a folded feature map by whole factors, voxel centres aligned, edges repeated.

    In the plane, then along depth as an image of depth rows and height × width columns.
    """
    d, h, w = size
    if (h, w) != (1, 1):
        x = layers.UpSampling2D((h, w), interpolation="bilinear", dtype="float32")(x)
    if d == 1:
        return x
    size, height, width, channels = x.shape
    rows = ops.reshape(x, (1, size, height * width, channels))
    rows = layers.UpSampling2D((d, 1), interpolation="bilinear", dtype="float32")(rows)
    return ops.reshape(rows, (size * d, height, width, channels))


@rule(layers.Reshape)
def reshape(layer, args, kwargs, emission):
    """Reshape to a feature map loses its batch axis, like every 3D feature map; other shapes keep it."""
    target = tuple(layer.target_shape)
    return ops.reshape(args[0], target if len(target) == 4 else (1, *target))


@rule(layers.Flatten)
def flatten(layer, args, kwargs, emission):
    """Flatten to (1, features)."""
    return ops.reshape(args[0], (1, -1))


@rule(layers.Permute)
def permute(layer, args, kwargs, emission):
    """Permute of all axes but the batch."""
    if emission.rank == 5:
        return ops.transpose(args[0], [axis - 1 for axis in layer.dims])
    return ops.transpose(args[0], (0, *layer.dims))
