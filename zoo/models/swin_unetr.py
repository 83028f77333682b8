"""Swin UNETR."""

from keras import layers

from zoo.blocks.conv import convolve
from zoo.blocks.frame import close_output, open_input, require_sizes
from zoo.blocks.resample import enlarge
from zoo.blocks.residual import residual_block
from zoo.blocks.style import Style
from zoo.blocks.swin import PatchMerging, SwinBlock
from zoo.errors import ZooError


def swin_unetr(
    input_shape,
    classes: int = 2,
    *,
    width: int = 24,
    blocks=(2, 2, 2, 2),
    heads=(3, 6, 12, 24),
    window: int = 7,
    ratio: float = 4.0,
    normalisation: str = "instance",
    activation: str = "leaky_relu",
    deep_supervision: bool = False,
    name: str = "swin_unetr",
):
    """Encoder of attention within shifted windows and a convolutional decoder, in 2D and 3D.

    Hatamizadeh et al., BrainLes 2021, arXiv:2201.01266. Float only on the device.

    Args:
        input_shape: (*spatial, channels) with 2 or 3 spatial sizes, all numbers.
        classes: number of classes, background included.
        width: channels of the first stage, doubled at each next one.
        blocks: attention blocks per stage; every second one has its windows shifted.
        heads: of attention, per stage; they divide the stage's channels.
        window: size of a window along each spatial axis.
        ratio: width of the inner dense layers over the channels.
        normalisation: of the convolutions: "instance", "batch", "group" or "none".
        activation: of the convolutions: "leaky_relu", "relu", "prelu", ...
        deep_supervision: give a list of logits, one per decoder level, finest first.
        name: of the model.

    Returns:
        A ``keras.Model`` giving float32 logits (batch, *spatial, classes), or a list of them.

    Raises:
        ZooError: for sizes of None, stages that do not fit together, or heads that do not divide the channels.
    """
    require_sizes(input_shape, name)
    count = len(blocks)
    if count < 1 or len(heads) != count:
        raise ZooError(f"{name}: blocks={tuple(blocks)} and heads={tuple(heads)}; expected one of each per stage")
    for stage, number in enumerate(heads):
        if width * 2**stage % number:
            raise ZooError(
                f"{name}: heads={tuple(heads)} do not divide the {width * 2**stage} channels of stage {stage}"
            )
    style = Style(len(input_shape) - 1, normalisation, activation)
    multiple = (2 ** (count + 1),) * style.rank
    two = (2,) * style.rank

    # Encoder: states at 1/2, 1/4, ... of the size
    inputs, image = open_input(input_shape, multiple, style)
    x = convolve(image, width, style, kernel=2, strides=2, name="patches")
    states = [_plain_norm(x, "state0_norm")]
    for stage in range(count):
        for i in range(blocks[stage]):
            x = SwinBlock(heads[stage], window, i % 2 == 1, ratio, name=f"stage{stage}_{i}")(x)
        x = PatchMerging(name=f"stage{stage}_merge")(x)
        states.append(_plain_norm(x, f"state{stage + 1}_norm"))

    # Skip connections, finest first: the image and every state but the last two through a residual block
    skips = [residual_block(image, width, style, name="skip0")]
    for level, state in enumerate(states[:-1], start=1):
        through = level < count
        skips.append(residual_block(state, state.shape[-1], style, name=f"skip{level}") if through else state)
    x = residual_block(states[-1], states[-1].shape[-1], style, name="bottleneck")

    # Decoder
    decoded = []
    for level in reversed(range(count + 1)):
        filters = skips[level].shape[-1]
        x = enlarge(x, filters, style, two, name=f"decoder{level}_up")
        x = layers.Concatenate(name=f"decoder{level}_concat")([x, skips[level]])
        x = residual_block(x, filters, style, name=f"decoder{level}")
        decoded.insert(0, x)
    return close_output(
        inputs,
        decoded if deep_supervision else decoded[0],
        classes,
        style,
        input_shape=input_shape,
        multiple=multiple,
        name=name,
    )


def _plain_norm(x, name):
    """Layer normalisation without weights."""
    return layers.LayerNormalization(epsilon=1e-5, center=False, scale=False, name=name)(x)
