"""U-Net."""

from zoo.blocks.attention import attention_gate
from zoo.blocks.conv import conv_stack
from zoo.blocks.resample import reduce
from zoo.blocks.stages import stages
from zoo.blocks.style import Style
from zoo.blocks.ushape import u_shape


def unet(
    input_shape,
    classes: int = 2,
    *,
    width: int = 16,
    depth: int = 4,
    widths=None,
    max_width: int = 320,
    kernels=3,
    strides=2,
    convolutions: int = 2,
    normalisation: str = "batch",
    activation: str = "relu",
    downsample: str = "max",
    upsample: str = "transposed",
    dropout: float = 0.0,
    attention: bool = False,
    deep_supervision: bool = False,
    name: str = "unet",
):
    """U-Net in 2D and 3D.

    Ronneberger et al., MICCAI 2015, arXiv:1505.04597; Cicek et al., MICCAI 2016, arXiv:1606.06650.

    Args:
        input_shape: (*spatial, channels) with 2 or 3 spatial sizes, each a number or None. Numbers that do not divide
            by the product of the strides are padded inside; where None, what is passed in must divide.
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
        downsample: "max", "average" or "strided".
        upsample: "transposed", "nearest" or "linear".
        dropout: share of feature maps dropped after each level while training.
        attention: put an attention gate on each skip connection.
        deep_supervision: give a list of logits, one per decoder level, finest first.
        name: of the model.

    Returns:
        A ``keras.Model`` giving float32 logits (batch, *spatial, classes), or a list of them.

    Example:
        >>> model = unet((64, 64, 64, 1), classes=3)
    """
    style = Style(len(input_shape) - 1, normalisation, activation, upsample, dropout)
    levels = stages(
        style.rank, width=width, depth=depth, kernels=kernels, strides=strides, widths=widths, max_width=max_width
    )

    def block(x, level, prefix):
        kernel = levels.kernels[level]
        return conv_stack(x, levels.widths[level], style, count=convolutions, kernel=kernel, name=prefix)

    def encode(x, level, prefix):
        if level:
            x = reduce(x, style, levels.strides[level - 1], kind=downsample, name=f"{prefix}_down")
        return block(x, level, prefix)

    def gate(skip, signal, prefix):
        return attention_gate(skip, signal, style, name=prefix)

    return u_shape(
        input_shape,
        classes,
        levels,
        style,
        encode=encode,
        block=block,
        gate=gate if attention else None,
        deep_supervision=deep_supervision,
        name=name,
    )
