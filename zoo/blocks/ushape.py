"""The graph that the U-shaped networks share: encoder, decoder, heads."""

from zoo.blocks.decoder import decode
from zoo.blocks.frame import close_output, open_input


def u_shape(
    input_shape,
    classes: int,
    levels,
    style,
    *,
    encode,
    block,
    stem=None,
    gate=None,
    deep_supervision: bool = False,
    name: str,
):
    """Put a U-shaped network together.

    Args:
        input_shape: (*spatial, channels).
        classes: channels of the logits.
        levels: the network's ``Stages``.
        style: the network's ``Style``.
        encode: ``encode(x, level, name)`` -> features of that level, from those of the level above; it reduces the
            size where ``level`` is not 0.
        block: ``block(x, level, name)`` -> features of a decoder level, after the concatenation.
        stem: ``stem(x)``, applied to the input, or None.
        gate: ``gate(skip, signal, name)`` on each skip connection, or None.
        deep_supervision: give a list of logits, one per decoder level, finest first.
        name: of the model.

    Returns:
        A ``keras.Model`` giving float32 logits (batch, *spatial, classes), or a list of them.
    """
    inputs, x = open_input(input_shape, levels.multiple, style)
    x = x if stem is None else stem(x)
    features = []
    for level in range(levels.depth):
        x = encode(x, level, f"encoder{level}")
        features.append(x)
    decoded = decode(features, levels, style, block, gate=gate)
    return close_output(
        inputs,
        decoded if deep_supervision else decoded[0],
        classes,
        style,
        input_shape=input_shape,
        multiple=levels.multiple,
        name=name,
    )
