"""Rules for up-sampling and reshaping."""

from keras import layers, ops

from export.rewrite import depth
from export.rewrite.graph import RewriteError, rule


@rule(layers.UpSampling3D)
def up_sampling_3d(layer, args, kwargs, emission):
    """UpSampling3D: nearest neighbour; each slice is repeated, then each plane."""
    d, h, w = layer.size
    x = args[0]
    y = x if (h, w) == (1, 1) else layers.UpSampling2D((h, w), dtype="float32")(x)
    return depth.interleave([y] * d)


@rule(layers.Reshape)
def reshape(layer, args, kwargs, emission):
    """Reshape to a feature map loses its batch axis, like every 3D feature map; other shapes keep it."""
    target = tuple(layer.target_shape)
    if len(target) == 4:
        return ops.reshape(args[0], target)
    return ops.reshape(args[0], (1, *target))


@rule(layers.Flatten)
def flatten(layer, args, kwargs, emission):
    """Flatten to (1, features)."""
    return ops.reshape(args[0], (1, -1))


@rule(layers.Permute)
def permute(layer, args, kwargs, emission):
    """Permute of a volume's axes is no longer one of depth, so it has no exact 2D form here."""
    if emission.rank == 5:
        raise RewriteError(f"layer {layer.name}: permutes a 3D feature map by {layer.dims}, which has no 2D form")
    return ops.transpose(args[0], (0, *layer.dims))
