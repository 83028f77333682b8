"""Rules for the zoo's own layers, where more direct ones exist than following their ``call``."""

from export.rewrite.registry import rule
from export.rewrite.rules.conv import Place, Window, depthwise3d
from export.rewrite.rules.norm import folded_weights
from export.rewrite.rules.pool import pad
from export.rewrite.rules.resize import stretch_linear
from zoo.blocks.border import ZeroBorder
from zoo.blocks.depthwise import DepthwiseConv3D
from zoo.blocks.resample import LinearUpSampling3D


@rule(ZeroBorder)
def zero_border(layer, args, kwargs, emission):
    """ZeroBorder in 2D and 3D."""
    return pad(args[0], layer.padding if emission.rank == 5 else ((0, 0), *layer.padding))


@rule(LinearUpSampling3D)
def linear_up_sampling_3d(layer, args, kwargs, emission):
    """LinearUpSampling3D: bilinear in the plane, then along depth."""
    return stretch_linear(args[0], layer.size)


@rule(DepthwiseConv3D, folds_batch_norm=True)
def depthwise_conv3d(layer, args, kwargs, emission):
    """DepthwiseConv3D: one DepthwiseConv2D for each slice of the kernel; a following batch normalisation folded in."""
    kernel, bias = folded_weights(layer, emission.batch_norm, out_axis=(3, 4))
    return depthwise3d(args[0], kernel, bias, Place(layer, emission), Window((1, 1, 1), (1, 1, 1), "same"))
