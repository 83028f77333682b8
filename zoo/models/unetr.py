"""UNETR."""

from keras import layers

from zoo.blocks.conv import convolve
from zoo.blocks.frame import close_output, open_input, require_sizes
from zoo.blocks.resample import enlarge
from zoo.blocks.residual import residual_block
from zoo.blocks.style import Style
from zoo.blocks.transformer import PositionEmbedding, transformer_block
from zoo.errors import ZooError

_PATCH = 16


def unetr(
    input_shape,
    classes: int = 2,
    *,
    width: int = 16,
    hidden: int = 192,
    blocks: int = 12,
    heads: int = 3,
    mlp: int | None = None,
    normalisation: str = "instance",
    activation: str = "leaky_relu",
    dropout: float = 0.0,
    deep_supervision: bool = False,
    name: str = "unetr",
):
    """Transformer encoder over patches of 16 and a convolutional decoder, in 2D and 3D.

    Hatamizadeh et al., WACV 2022, arXiv:2103.10504. The paper has ``hidden=768, heads=12``, 92 M weights in 3D; the
    default is the smallest transformer of Touvron et al., ICML 2021, arXiv:2012.12877. Float only on the device.

    Args:
        input_shape: (*spatial, channels) with 2 or 3 spatial sizes, all numbers: a position is learnt for each patch.
        classes: number of classes, background included.
        width: channels of the finest decoder level, doubled at each next one.
        hidden: channels of the transformer.
        blocks: blocks of the transformer, at least 4.
        heads: of attention; they divide ``hidden``.
        mlp: width of the inner dense layers, four times ``hidden`` if None.
        normalisation: of the convolutions: "instance", "batch", "group" or "none".
        activation: of the convolutions: "leaky_relu", "relu", "prelu", ...
        dropout: share of values dropped in the transformer while training.
        deep_supervision: give a list of logits, one per decoder level, finest first.
        name: of the model.

    Returns:
        A ``keras.Model`` giving float32 logits (batch, *spatial, classes), or a list of them.

    Raises:
        ZooError: for sizes of None, or heads that do not divide ``hidden``.
    """
    require_sizes(input_shape, name)
    if hidden % heads:
        raise ZooError(f"{name}: heads={heads} do not divide hidden={hidden}; use hidden={-(-hidden // heads) * heads}")
    if blocks < 4:
        raise ZooError(f"{name}: blocks={blocks}; expected at least 4, one skip connection each")
    style = Style(len(input_shape) - 1, normalisation, activation)
    multiple = (_PATCH,) * style.rank
    two = (2,) * style.rank

    # Transformer: hidden states after a quarter, a half, three quarters and all of the blocks.
    inputs, image = open_input(input_shape, multiple, style)
    x = convolve(image, hidden, style, kernel=_PATCH, strides=_PATCH, name="patches")
    grid = x.shape[1:-1]
    x = layers.Reshape((-1, hidden), name="tokens")(x)
    x = PositionEmbedding(name="positions")(x)
    taps = {blocks * quarter // 4: quarter for quarter in (1, 2, 3)}
    states = {}
    for i in range(blocks):
        x = transformer_block(x, heads=heads, mlp=mlp or 4 * hidden, dropout=dropout, name=f"block{i}")
        if i in taps:
            states[taps[i]] = layers.Reshape((*grid, hidden), name=f"grid{taps[i]}")(x)
    x = layers.LayerNormalization(epsilon=1e-5, name="final_norm")(x)
    x = layers.Reshape((*grid, hidden), name="grid4")(x)

    # Skip connections: the image itself, and hidden states enlarged step by step.
    skips = [residual_block(image, width, style, name="skip0")]
    for level in (1, 2, 3):
        filters = width * 2**level
        skip = enlarge(states[level], filters, style, two, name=f"skip{level}_up0")
        for step in range(1, 4 - level):
            skip = enlarge(skip, filters, style, two, name=f"skip{level}_up{step}")
            skip = residual_block(skip, filters, style, name=f"skip{level}_{step}")
        skips.append(skip)

    # Decoder
    decoded = []
    for level in reversed(range(4)):
        x = enlarge(x, width * 2**level, style, two, name=f"decoder{level}_up")
        x = layers.Concatenate(name=f"decoder{level}_concat")([x, skips[level]])
        x = residual_block(x, width * 2**level, style, name=f"decoder{level}")
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
