"""The plain U-Net of nnU-Net."""

from zoo.blocks.conv import conv_stack
from zoo.blocks.stages import stages
from zoo.blocks.style import Style
from zoo.blocks.ushape import u_shape


def plain_unet(
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
    activation: str = "leaky_relu",
    upsample: str = "transposed",
    dropout: float = 0.0,
    deep_supervision: bool = False,
    name: str = "plain_unet",
):
    """U-Net whose convolutions do the reducing, in 2D and 3D.

    Isensee et al., Nature Methods 2021, arXiv:1809.10486. nnU-Net itself takes ``normalisation="instance"`` and
    ``deep_supervision=True``.

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
        activation: "leaky_relu", "relu", "prelu", "silu", ...
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

    def block(x, level, prefix, step=1):
        kernel = levels.kernels[level]
        return conv_stack(x, levels.widths[level], style, count=convolutions, kernel=kernel, strides=step, name=prefix)

    def encode(x, level, prefix):
        return block(x, level, prefix, levels.strides[level - 1] if level else 1)

    return u_shape(
        input_shape, classes, levels, style, encode=encode, block=block, deep_supervision=deep_supervision, name=name
    )
