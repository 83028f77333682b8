"""U-Net++."""

from keras import layers

from zoo.blocks.conv import conv_stack
from zoo.blocks.frame import close_output, open_input
from zoo.blocks.resample import enlarge, reduce
from zoo.blocks.stages import stages
from zoo.blocks.style import Style


def unet_plus_plus(
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
    deep_supervision: bool = False,
    name: str = "unet_plus_plus",
):
    """U-Net with nested, dense skip connections, in 2D and 3D.

    Zhou et al., DLMIA 2018, arXiv:1807.10165. Node (i, j) takes all nodes (i, k < j) of its level and node (i + 1,
    j - 1) of the level below, enlarged.

    Args:
        input_shape: (*spatial, channels) as for ``unet``.
        classes: number of classes, background included.
        width: channels of the finest level, doubled at each next one.
        depth: number of levels.
        widths: channels per level instead of ``width``.
        max_width: the doubling stops here.
        kernels: kernel size: one, one per axis, or one per level.
        strides: reduction between levels: one, one per axis, or one per reduction.
        convolutions: convolutions per node.
        normalisation: "batch", "instance", "group" or "none".
        activation: "relu", "leaky_relu", "prelu", "silu", ...
        downsample: "max", "average" or "strided".
        upsample: "transposed", "nearest" or "linear".
        dropout: share of feature maps dropped after each node while training.
        deep_supervision: give a list of logits, all of full size, from the deepest node of the finest level to the
            first.
        name: of the model.

    Returns:
        A ``keras.Model`` giving float32 logits (batch, *spatial, classes), or a list of them.
    """
    style = Style(len(input_shape) - 1, normalisation, activation, upsample, dropout)
    levels = stages(
        style.rank, width=width, depth=depth, kernels=kernels, strides=strides, widths=widths, max_width=max_width
    )

    def block(x, level, prefix):
        kernel = levels.kernels[level]
        return conv_stack(x, levels.widths[level], style, count=convolutions, kernel=kernel, name=prefix)

    inputs, x = open_input(input_shape, levels.multiple, style)
    rows = [[] for _ in range(depth)]
    for level in range(depth):
        if level:
            x = reduce(x, style, levels.strides[level - 1], kind=downsample, name=f"encoder{level}_down")
        x = block(x, level, f"encoder{level}")
        rows[level].append(x)
        # The diagonal of nodes that this level makes possible.
        for above in reversed(range(level)):
            prefix = f"node{above}_{level - above}"
            up = enlarge(rows[above + 1][-1], levels.widths[above], style, levels.strides[above], name=f"{prefix}_up")
            joined = layers.Concatenate(name=f"{prefix}_concat")([*rows[above], up])
            rows[above].append(block(joined, above, prefix))
    finest = rows[0][:0:-1]
    return close_output(
        inputs,
        finest if deep_supervision else finest[0],
        classes,
        style,
        input_shape=input_shape,
        multiple=levels.multiple,
        name=name,
    )
