"""The decoder that the U-shaped networks share."""

from keras import layers

from zoo.blocks.resample import enlarge


def decode(features, levels, style, block, *, gate=None, name: str = "decoder"):
    """Climb from the coarsest features to the finest, taking in a skip connection at each level.

    Args:
        features: encoder features, finest first, one per level.
        levels: the network's ``Stages``.
        style: the network's ``Style``.
        block: ``block(x, level, name)`` -> features of that level, after the concatenation.
        gate: ``gate(skip, signal, name)`` -> what of the skip connection passes; None for all of it.
        name: prefix of the layers' names.

    Returns:
        Decoder features, finest first, one per level but the coarsest.
    """
    x = features[-1]
    decoded = []
    for level in reversed(range(levels.depth - 1)):
        prefix = f"{name}{level}"
        x = enlarge(x, levels.widths[level], style, levels.strides[level], name=f"{prefix}_up")
        skip = features[level] if gate is None else gate(features[level], x, f"{prefix}_gate")
        x = layers.Concatenate(name=f"{prefix}_concat")([skip, x])
        x = block(x, level, prefix)
        decoded.insert(0, x)
    return decoded
