"""U-Net of dense blocks."""

from zoo.blocks.conv import conv_norm_act
from zoo.blocks.dense import dense_block
from zoo.blocks.resample import reduce
from zoo.blocks.stages import stages
from zoo.blocks.style import Style
from zoo.blocks.ushape import u_shape


def dense_unet(
    input_shape,
    classes: int = 2,
    *,
    width: int = 16,
    depth: int = 4,
    widths=None,
    max_width: int = 320,
    kernels=3,
    strides=2,
    convolutions: int = 3,
    normalisation: str = "batch",
    activation: str = "relu",
    downsample: str = "average",
    upsample: str = "transposed",
    dropout: float = 0.0,
    deep_supervision: bool = False,
    name: str = "dense_unet",
):
    """U-Net whose levels are densely connected, in 2D and 3D.

    Jegou et al., CVPR Workshops 2017, arXiv:1611.09326; Li et al., IEEE TMI 2018, arXiv:1709.07330. Each convolution
    adds half the level's width, and a convolution with a kernel of 1 closes the level.

    Args:
        input_shape: (*spatial, channels) as for ``unet``.
        classes: number of classes, background included.
        width: channels of the finest level, doubled at each next one.
        depth: number of levels.
        widths: channels per level instead of ``width``.
        max_width: the doubling stops here.
        kernels: kernel size: one, one per axis, or one per level.
        strides: reduction between levels: one, one per axis, or one per reduction.
        convolutions: convolutions per level and side.
        normalisation: "batch", "instance", "group" or "none".
        activation: "relu", "leaky_relu", "prelu", "silu", ...
        downsample: "average", "max" or "strided".
        upsample: "transposed", "nearest" or "linear".
        dropout: share of feature maps dropped after each level while training.
        deep_supervision: give a list of logits, one per decoder level, finest first.
        name: of the model.

    Returns:
        A ``keras.Model`` giving float32 logits (batch, *spatial, classes), or a list of them.
    """
    style = Style(len(input_shape) - 1, normalisation, activation, upsample, dropout)
    levels = stages(
        style.rank, width=width, depth=depth, kernels=kernels, strides=strides, widths=widths, max_width=max_width
    )

    def stem(x):
        return conv_norm_act(x, levels.widths[0], style, kernel=levels.kernels[0], name="stem")

    def block(x, level, prefix):
        filters = levels.widths[level]
        growth = max(1, filters // 2)
        return dense_block(
            x, filters, style, growth=growth, count=convolutions, kernel=levels.kernels[level], name=prefix
        )

    def encode(x, level, prefix):
        if level:
            x = reduce(x, style, levels.strides[level - 1], kind=downsample, name=f"{prefix}_down")
        return block(x, level, prefix)

    return u_shape(
        input_shape,
        classes,
        levels,
        style,
        stem=stem,
        encode=encode,
        block=block,
        deep_supervision=deep_supervision,
        name=name,
    )
