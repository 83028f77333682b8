"""A light U-Net for int8 devices."""

from zoo.blocks.conv import conv_norm_act
from zoo.blocks.depthwise import depthwise_norm_act, light_block
from zoo.blocks.resample import reduce
from zoo.blocks.stages import per_axis, stages
from zoo.blocks.style import Style
from zoo.blocks.ushape import u_shape
from zoo.errors import unknown

# preset -> patch, width, expansion, blocks per encoder level
_PATCHED = {"nano": (2, 16, 1, 1), "tiny": (2, 32, 1, 2)}
PRESETS = {2: _PATCHED | {"small": (1, 16, 2, 2)}, 3: _PATCHED | {"small": (2, 48, 2, 2)}}


def mobile_unet(
    input_shape,
    classes: int = 2,
    *,
    preset: str = "small",
    patch=None,
    width: int | None = None,
    depth: int | None = None,
    widths=None,
    max_width: int = 320,
    kernels=3,
    strides=2,
    expansion: int | None = None,
    blocks: int | None = None,
    normalisation: str = "batch",
    activation: str = "relu",
    downsample: str = "max",
    upsample: str = "nearest",
    dropout: float = 0.0,
    deep_supervision: bool = False,
    name: str = "mobile_unet",
):
    """U-Net of depthwise-separable convolutions and inverted residuals, in 2D and 3D.

    Howard et al. 2017, arXiv:1704.04861; Sandler et al., CVPR 2018, arXiv:1801.04381. Everything in it runs in int8.
    On a device most of the time goes to the finest level, however few its channels. "tiny", "nano" and in 3D "small"
    therefore have none: patches go in and patches of logits come out. In 2D "small" has one convolution on the way down
    and one depthwise convolution on the way up there.

    Args:
        input_shape: (*spatial, channels) as for ``unet``.
        classes: number of classes, background included.
        preset: "nano", "tiny" or "small": values for ``patch``, ``width``, ``expansion`` and ``blocks``.
        patch: size of the patches that the network sees as one, one size or one per axis; 1 for voxels.
        width: channels of the finest level, doubled at each next one.
        depth: number of levels; by default 5 in 2D and 4 in 3D, one fewer for patches.
        widths: channels per level instead of ``width``.
        max_width: the doubling stops here.
        kernels: kernel size: one, one per axis, or one per level.
        strides: reduction between levels: one, one per axis, or one per reduction.
        expansion: 1 for separable convolutions, more for inverted residuals of so many times the channels.
        blocks: per encoder level below the finest of voxels; decoder levels have one.
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
    presets = PRESETS[2 if len(input_shape) == 3 else 3]
    if preset not in presets:
        raise unknown("preset of mobile_unet", preset, presets)
    given = (patch, width, expansion, blocks)
    patch, width, expansion, blocks = (
        default if value is None else value for value, default in zip(given, presets[preset], strict=True)
    )
    style = Style(len(input_shape) - 1, normalisation, activation, upsample, dropout)
    patch = per_axis("patch", patch, style.rank)
    patched = any(size > 1 for size in patch)
    depth = (5 if style.rank == 2 else 4) - patched if depth is None else depth
    levels = stages(
        style.rank, width=width, depth=depth, kernels=kernels, strides=strides, widths=widths, max_width=max_width
    )

    def stem(x):
        kernel = patch if patched else levels.kernels[0]
        return conv_norm_act(x, levels.widths[0], style, kernel=kernel, strides=patch, name="stem")

    def light(x, level, prefix):
        kernel, filters = levels.kernels[level], levels.widths[level]
        return light_block(x, filters, style, kernel=kernel, expansion=expansion, name=prefix)

    def encode(x, level, prefix):
        if level:
            x = reduce(x, style, levels.strides[level - 1], kind=downsample, name=f"{prefix}_down")
        for i in range(blocks if level or patched else 0):
            x = light(x, level, f"{prefix}_{i}")
        return x

    def block(x, level, prefix):
        if level or patched:
            return light(x, level, prefix)
        # The head is the convolution across channels.
        return depthwise_norm_act(x, style, kernel=levels.kernels[0], name=prefix)

    return u_shape(
        input_shape,
        classes,
        levels,
        style,
        stem=stem,
        encode=encode,
        block=block,
        patch=patch if patched else None,
        deep_supervision=deep_supervision,
        name=name,
    )
