"""A light U-Net for int8 devices."""

from zoo.blocks.conv import conv_norm_act
from zoo.blocks.depthwise import light_block
from zoo.blocks.resample import reduce
from zoo.blocks.stages import stages
from zoo.blocks.style import Style
from zoo.blocks.ushape import u_shape
from zoo.errors import unknown

# preset -> width, expansion, blocks per encoder level below the finest
PRESETS = {"nano": (8, 1, 1), "tiny": (16, 1, 1), "small": (16, 2, 2)}


def mobile_unet(
    input_shape,
    classes: int = 2,
    *,
    preset: str = "small",
    width: int | None = None,
    depth: int = 4,
    widths=None,
    max_width: int = 320,
    kernels=3,
    strides=2,
    expansion: int | None = None,
    blocks: int | None = None,
    normalisation: str = "batch",
    activation: str = "relu",
    downsample: str = "max",
    upsample: str = "transposed",
    dropout: float = 0.0,
    deep_supervision: bool = False,
    name: str = "mobile_unet",
):
    """U-Net of depthwise-separable convolutions and inverted residuals, in 2D and 3D.

    Howard et al. 2017, arXiv:1704.04861; Sandler et al., CVPR 2018, arXiv:1801.04381. Everything in it runs in int8.
    The finest level, where most of the time goes, has one convolution on the way down and one separable block on the
    way up.

    Args:
        input_shape: (*spatial, channels) as for ``unet``.
        classes: number of classes, background included.
        preset: "nano", "tiny" or "small": values for ``width``, ``expansion`` and ``blocks``.
        width: channels of the finest level, doubled at each next one.
        depth: number of levels.
        widths: channels per level instead of ``width``.
        max_width: the doubling stops here.
        kernels: kernel size: one, one per axis, or one per level.
        strides: reduction between levels: one, one per axis, or one per reduction.
        expansion: 1 for separable convolutions, more for inverted residuals of so many times the channels.
        blocks: per encoder level; decoder levels have one.
        normalisation: "batch", "instance", "group" or "none".
        activation: "relu", "relu6", "hard_silu", ...
        downsample: "max", "average" or "strided".
        upsample: "transposed", "nearest" or "linear".
        dropout: share of feature maps dropped after each block while training.
        deep_supervision: give a list of logits, one per decoder level, finest first.
        name: of the model.

    Returns:
        A ``keras.Model`` giving float32 logits (batch, *spatial, classes), or a list of them.

    Raises:
        ZooError: for an unknown preset.
    """
    if preset not in PRESETS:
        raise unknown("preset of mobile_unet", preset, PRESETS)
    preset_width, preset_expansion, preset_blocks = PRESETS[preset]
    width = preset_width if width is None else width
    expansion = preset_expansion if expansion is None else expansion
    blocks = preset_blocks if blocks is None else blocks
    style = Style(len(input_shape) - 1, normalisation, activation, upsample, dropout)
    levels = stages(
        style.rank, width=width, depth=depth, kernels=kernels, strides=strides, widths=widths, max_width=max_width
    )

    def light(x, level, prefix):
        times = expansion if level else 1
        return light_block(x, levels.widths[level], style, kernel=levels.kernels[level], expansion=times, name=prefix)

    def encode(x, level, prefix):
        if not level:
            return conv_norm_act(x, levels.widths[0], style, kernel=levels.kernels[0], name=prefix)
        x = reduce(x, style, levels.strides[level - 1], kind=downsample, name=f"{prefix}_down")
        for i in range(blocks):
            x = light(x, level, f"{prefix}_{i}")
        return x

    return u_shape(
        input_shape, classes, levels, style, encode=encode, block=light, deep_supervision=deep_supervision, name=name
    )
