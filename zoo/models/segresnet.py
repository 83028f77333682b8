"""SegResNet."""

from keras import layers

from zoo.blocks.conv import convolve, drop
from zoo.blocks.frame import close_output, open_input
from zoo.blocks.resample import enlarge
from zoo.blocks.residual import norm_act, pre_activation_block
from zoo.blocks.stages import stages
from zoo.blocks.style import Style
from zoo.models.res_unet import block_counts


def segresnet(
    input_shape,
    classes: int = 2,
    *,
    width: int = 8,
    depth: int = 4,
    widths=None,
    max_width: int = 320,
    kernels=3,
    strides=2,
    blocks=(1, 2, 2, 4),
    normalisation: str = "batch",
    activation: str = "relu",
    upsample: str = "nearest",
    dropout: float = 0.0,
    deep_supervision: bool = False,
    name: str = "segresnet",
):
    """Residual encoder with pre-activation, light decoder, skip connections added; in 2D and 3D.

    Myronenko, BrainLes 2018, arXiv:1810.11654, without its branch for the image. The paper has
    ``normalisation="group"`` and ``upsample="linear"``; the defaults here are what devices run in int8.

    Args:
        input_shape: (*spatial, channels) as for ``unet``.
        classes: number of classes, background included.
        width: channels of the finest level, doubled at each next one.
        depth: number of levels.
        widths: channels per level instead of ``width``.
        max_width: the doubling stops here.
        kernels: kernel size: one, one per axis, or one per level.
        strides: reduction between levels: one, one per axis, or one per reduction.
        blocks: residual blocks per encoder level; the last number stands for all further levels. Decoder levels have
            one.
        normalisation: "batch", "instance", "group" or "none".
        activation: "relu", "leaky_relu", "prelu", "silu", ...
        upsample: "nearest", "linear" or "transposed".
        dropout: share of feature maps dropped after the first convolution while training.
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

    inputs, x = open_input(input_shape, levels.multiple, style)
    features = []
    for level in range(depth):
        step = levels.strides[level - 1] if level else 1
        kernel = levels.kernels[level]
        x = convolve(x, levels.widths[level], style, kernel=kernel, strides=step, bias=False, name=f"encoder{level}")
        if not level:
            x = drop(x, style, name="encoder0_drop")
        for i in range(counts[level]):
            x = pre_activation_block(x, style, kernel=kernel, name=f"encoder{level}_{i}")
        features.append(x)
    decoded = []
    for level in reversed(range(depth - 1)):
        x = enlarge(x, levels.widths[level], style, levels.strides[level], name=f"decoder{level}_up")
        x = layers.Add(name=f"decoder{level}_skip")([features[level], x])
        x = pre_activation_block(x, style, kernel=levels.kernels[level], name=f"decoder{level}")
        decoded.insert(0, x)
    supervised = decoded if deep_supervision else decoded[:1]
    finished = [norm_act(x, style, name=f"head{level}") for level, x in enumerate(supervised)]
    return close_output(
        inputs,
        finished if deep_supervision else finished[0],
        classes,
        style,
        input_shape=input_shape,
        multiple=levels.multiple,
        name=name,
    )
