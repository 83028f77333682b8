"""V-Net."""

from keras import layers

from zoo.blocks.conv import activate, conv_norm_act, convolve, drop, normalise
from zoo.blocks.frame import close_output, open_input
from zoo.blocks.resample import enlarge
from zoo.blocks.stages import stages
from zoo.blocks.style import Style
from zoo.models.res_unet import block_counts


def v_net(
    input_shape,
    classes: int = 2,
    *,
    width: int = 16,
    depth: int = 4,
    widths=None,
    max_width: int = 320,
    kernels=3,
    strides=2,
    blocks=(1, 2, 3, 3, 3),
    decoder_blocks=None,
    normalisation: str = "batch",
    activation: str = "relu",
    upsample: str = "transposed",
    dropout: float = 0.0,
    deep_supervision: bool = False,
    name: str = "v_net",
):
    """U-shaped network whose levels learn residuals, in 2D and 3D.

    Milletari et al., 3DV 2016, arXiv:1606.04797. The paper's is ``depth=5, kernels=5, activation="prelu"`` with 45 M
    weights in 3D; here fewer levels and kernels of 3 are the default. Normalisation follows every convolution, as in
    later implementations.

    Args:
        input_shape: (*spatial, channels) as for ``unet``.
        classes: number of classes, background included.
        width: channels of the finest level, doubled at each next one.
        depth: number of levels.
        widths: channels per level instead of ``width``.
        max_width: the doubling stops here.
        kernels: kernel size: one, one per axis, or one per level.
        strides: reduction between levels: one, one per axis, or one per reduction.
        blocks: convolutions per level; the last number stands for all further levels.
        decoder_blocks: convolutions per decoder level, as many as the encoder's if None.
        normalisation: "batch", "instance", "group" or "none".
        activation: "relu", "prelu", "leaky_relu", "elu", ...
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
    counts = block_counts(blocks, depth)
    decoder_counts = counts if decoder_blocks is None else block_counts(decoder_blocks, depth)

    def residual(x, around, filters, count, level, prefix):
        kernel = levels.kernels[level]
        for i in range(count):
            last = i == count - 1
            activation = "linear" if last and level == 0 and prefix.startswith("encoder") else None
            x = conv_norm_act(x, filters, style, kernel=kernel, activation=activation, name=f"{prefix}_{i}")
        x = layers.Add(name=f"{prefix}_add")([x, around])
        return drop(activate(x, style, name=f"{prefix}_act"), style, name=f"{prefix}_drop")

    inputs, image = open_input(input_shape, levels.multiple, style)
    # One channel goes around to all; several channels need a convolution to fit.
    around = image
    if image.shape[-1] != 1:
        around = convolve(image, levels.widths[0], style, kernel=1, bias=False, name="encoder0_around")
    x = residual(image, around, levels.widths[0], counts[0], 0, "encoder0")
    features = [x]
    for level in range(1, depth):
        step = levels.strides[level - 1]
        x = conv_norm_act(x, levels.widths[level], style, kernel=step, strides=step, name=f"encoder{level}_down")
        x = residual(x, x, levels.widths[level], counts[level], level, f"encoder{level}")
        features.append(x)
    decoded = []
    for level in reversed(range(depth - 1)):
        prefix = f"decoder{level}"
        x = enlarge(x, levels.widths[level], style, levels.strides[level], name=f"{prefix}_up")
        x = normalise(x, style, name=f"{prefix}_up_norm")
        x = activate(x, style, name=f"{prefix}_up_act")
        x = layers.Concatenate(name=f"{prefix}_concat")([features[level], x])
        x = residual(x, x, 2 * levels.widths[level], decoder_counts[level], level, prefix)
        decoded.insert(0, x)
    return close_output(
        inputs,
        decoded if deep_supervision else decoded[0],
        classes,
        style,
        input_shape=input_shape,
        multiple=levels.multiple,
        name=name,
    )
