"""U-Net with a residual encoder."""

from zoo.blocks.conv import conv_norm_act, conv_stack
from zoo.blocks.residual import residual_block
from zoo.blocks.stages import stages
from zoo.blocks.style import Style
from zoo.blocks.ushape import u_shape
from zoo.errors import ZooError


def res_unet(
    input_shape,
    classes: int = 2,
    *,
    width: int = 16,
    depth: int = 4,
    widths=None,
    max_width: int = 320,
    kernels=3,
    strides=2,
    blocks=(1, 3, 4, 6),
    convolutions: int = 1,
    normalisation: str = "batch",
    activation: str = "leaky_relu",
    upsample: str = "transposed",
    dropout: float = 0.0,
    deep_supervision: bool = False,
    name: str = "res_unet",
):
    """U-Net with residual blocks in the encoder and a light decoder, the ResEnc plan of nnU-Net, in 2D and 3D.

    Isensee et al., MICCAI 2024, arXiv:2404.09556. nnU-Net itself takes ``normalisation="instance"`` and
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
        blocks: residual blocks per encoder level; the last number stands for all further levels.
        convolutions: convolutions per decoder level.
        normalisation: "batch", "instance", "group" or "none".
        activation: "leaky_relu", "relu", "prelu", "silu", ...
        upsample: "transposed", "nearest" or "linear".
        dropout: share of feature maps dropped in each block while training.
        deep_supervision: give a list of logits, one per decoder level, finest first.
        name: of the model.

    Returns:
        A ``keras.Model`` giving float32 logits (batch, *spatial, classes), or a list of them.
    """
    style = Style(len(input_shape) - 1, normalisation, activation, upsample, dropout)
    levels = stages(
        style.rank, width=width, depth=depth, kernels=kernels, strides=strides, widths=widths, max_width=max_width
    )
    counts = block_counts(blocks, depth)

    def stem(x):
        return conv_norm_act(x, levels.widths[0], style, kernel=levels.kernels[0], name="stem")

    def encode(x, level, prefix):
        for i in range(counts[level]):
            step = levels.strides[level - 1] if level and i == 0 else 1
            kernel = levels.kernels[level]
            x = residual_block(x, levels.widths[level], style, kernel=kernel, strides=step, name=f"{prefix}_{i}")
        return x

    def block(x, level, prefix):
        kernel = levels.kernels[level]
        return conv_stack(x, levels.widths[level], style, count=convolutions, kernel=kernel, name=prefix)

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


def block_counts(blocks, depth: int) -> tuple[int, ...]:
    """Blocks of each of ``depth`` levels: one number for all, or one per level, the last one repeated.

    Raises:
        ZooError: if a number is no whole number of 1 or more.
    """
    given = (blocks,) * depth if isinstance(blocks, int) else tuple(blocks)
    counts = (given + given[-1:] * depth)[:depth] if given else ()
    if not counts or any(not isinstance(c, int) or c < 1 for c in counts):
        raise ZooError(f"blocks={blocks!r}; expected numbers of 1 or more, one for all levels or one per level")
    return counts
