"""Residual blocks, in 2D and 3D."""

from keras import layers

from zoo.blocks.conv import activate, conv_norm_act, convolve, drop, normalise
from zoo.blocks.resample import reduce


def residual_block(x, filters: int, style, *, kernel=3, strides=1, name: str):
    """Two convolutions around which the input goes; the activation follows the sum.

    ResNet-D: the way around is average pooling and a convolution with a kernel of 1, as needed. He et al., CVPR 2019,
    arXiv:1812.01187.

    Args:
        x: (batch, *spatial, channels).
        filters: output channels.
        style: the network's ``Style``.
        kernel: size or size per axis.
        strides: of the first convolution, size or size per axis.
        name: prefix of the layers' names.

    Returns:
        (batch, *spatial / strides, filters).
    """
    per_axis = (strides,) * style.rank if isinstance(strides, int) else strides
    around = reduce(x, style, per_axis, kind="average", name=f"{name}_around_pool")
    if x.shape[-1] != filters:
        around = conv_norm_act(around, filters, style, kernel=1, activation="linear", name=f"{name}_around")
    x = conv_norm_act(x, filters, style, kernel=kernel, strides=strides, name=f"{name}_0")
    x = drop(x, style, name=f"{name}_drop")
    x = conv_norm_act(x, filters, style, kernel=kernel, activation="linear", name=f"{name}_1")
    x = layers.Add(name=f"{name}_add")([x, around])
    return activate(x, style, name=f"{name}_act")


def pre_activation_block(x, style, *, kernel=3, name: str):
    """Normalisation, activation, convolution, twice, and the sum with the input; channels stay.

    He et al., ECCV 2016, arXiv:1603.05027.

    Args:
        x: (batch, *spatial, channels).
        style: the network's ``Style``.
        kernel: size or size per axis.
        name: prefix of the layers' names.

    Returns:
        The shape of ``x``.
    """
    y = x
    for i in range(2):
        y = norm_act(y, style, name=f"{name}_{i}")
        y = convolve(y, x.shape[-1], style, kernel=kernel, bias=False, name=f"{name}_{i}_conv")
    return layers.Add(name=f"{name}_add")([x, y])


def norm_act(x, style, *, name: str):
    """The style's normalisation and activation, the shape of ``x`` out."""
    return activate(normalise(x, style, name=f"{name}_norm"), style, name=f"{name}_act")
