"""Densely connected blocks, in 2D and 3D."""

from keras import layers

from zoo.blocks.conv import conv_norm_act, drop


def dense_block(x, filters: int, style, *, growth: int, count: int, kernel=3, name: str):
    """Convolutions that each see all before them, then a convolution with a kernel of 1 to ``filters``.

    Huang et al., CVPR 2017, arXiv:1608.06993.

    Args:
        x: (batch, *spatial, channels).
        filters: output channels.
        style: the network's ``Style``.
        growth: channels that each convolution adds.
        count: number of convolutions.
        kernel: size or size per axis.
        name: prefix of the layers' names.

    Returns:
        (batch, *spatial, filters).
    """
    for i in range(count):
        new = conv_norm_act(x, growth, style, kernel=kernel, name=f"{name}_{i}")
        x = layers.Concatenate(name=f"{name}_{i}_concat")([x, new])
    x = conv_norm_act(x, filters, style, kernel=1, name=f"{name}_squeeze")
    return drop(x, style, name=f"{name}_drop")
