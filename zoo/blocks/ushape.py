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
    patch=None,
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
        patch: per axis, what ``stem`` reduces the size by, or None.
        deep_supervision: give a list of logits, one per decoder level, finest first.
        name: of the model.

    Returns:
        A ``keras.Model`` giving float32 logits (batch, *spatial, classes), or a list of them.
    """
    multiple = tuple(m * p for m, p in zip(levels.multiple, patch or (1,) * style.rank, strict=True))
    inputs, x = open_input(input_shape, multiple, style)
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
        multiple=multiple,
        patch=patch,
        name=name,
    )
