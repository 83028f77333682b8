"""Attention over space, as a gate on skip connections."""

from keras import layers

from zoo.blocks.conv import activate, convolve, normalise


def attention_gate(skip, signal, style, *, name: str):
    """Let pass what the decoder asks for: the skip connection times a map from 0 to 1.

    Oktay et al., MIDL 2018, arXiv:1804.03999, with both inputs on the same grid as in MONAI's AttentionUnet.

    Args:
        skip: encoder features (batch, *spatial, channels).
        signal: decoder features (batch, *spatial, any).
        style: the network's ``Style``.
        name: prefix of the layers' names.

    Returns:
        (batch, *spatial, channels).
    """
    inner = max(1, skip.shape[-1] // 2)
    bias = style.normalisation == "none"
    query = convolve(signal, inner, style, kernel=1, bias=bias, name=f"{name}_query")
    query = normalise(query, style, name=f"{name}_query_norm")
    key = convolve(skip, inner, style, kernel=1, bias=bias, name=f"{name}_key")
    key = normalise(key, style, name=f"{name}_key_norm")
    x = layers.Add(name=f"{name}_add")([query, key])
    x = activate(x, style, name=f"{name}_act")
    # A bias, no normalisation: over a single channel a normalisation would fix the share that passes.
    x = convolve(x, 1, style, kernel=1, name=f"{name}_map")
    x = layers.Activation("sigmoid", name=f"{name}_sigmoid")(x)
    return layers.Multiply(name=f"{name}_multiply")([skip, x])
