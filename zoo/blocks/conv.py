"""Convolution, normalisation and activation, in 2D and 3D."""

from keras import layers

INITIALIZER = "he_normal"


def ranked(style, kind: str):
    """The Keras layer class of a kind for the rank: ``ranked(style, "Conv")`` is ``Conv2D`` or ``Conv3D``."""
    if kind == "ConvTranspose":
        return getattr(layers, f"Conv{style.rank}DTranspose")
    return getattr(layers, f"{kind}{style.rank}D")


def convolve(x, filters: int, style, *, kernel=3, strides=1, groups: int = 1, bias: bool = True, name: str):
    """A bare convolution, "same" padding.

    Args:
        x: (batch, *spatial, channels).
        filters: output channels.
        style: the network's ``Style``.
        kernel: size or size per axis.
        strides: size or size per axis.
        groups: 1, or the number of channels for a depthwise convolution.
        bias: add a learnt constant per channel.
        name: of the layer.

    Returns:
        (batch, *spatial / strides, filters).
    """
    return ranked(style, "Conv")(
        filters,
        kernel,
        strides=strides,
        groups=groups,
        padding="same",
        use_bias=bias,
        kernel_initializer=INITIALIZER,
        name=name,
    )(x)


def normalise(x, style, *, name: str):
    """The style's normalisation of (batch, *spatial, channels), the same shape out.

    Group normalisation: Wu and He, ECCV 2018, arXiv:1803.08494. Instance normalisation: Ulyanov et al. 2016,
    arXiv:1607.08022.
    """
    if style.normalisation == "batch":
        # 0.9 settles within an epoch of a small dataset; 1e-3 keeps the scale folded into the convolution small.
        return layers.BatchNormalization(momentum=0.9, epsilon=1e-3, name=name)(x)
    if style.normalisation == "instance":
        return layers.GroupNormalization(groups=-1, epsilon=1e-5, name=name)(x)
    if style.normalisation == "group":
        channels = x.shape[-1]
        groups = next(g for g in (8, 4, 2, 1) if channels % g == 0)
        return layers.GroupNormalization(groups=groups, epsilon=1e-5, name=name)(x)
    return x


def activate(x, style, *, name: str, activation: str | None = None):
    """The style's activation (or ``activation``) of (batch, *spatial, channels), the same shape out."""
    kind = style.activation if activation is None else activation
    if kind == "linear":
        return x
    if kind == "leaky_relu":
        return layers.LeakyReLU(negative_slope=0.01, name=name)(x)
    if kind == "prelu":
        axes = list(range(1, style.rank + 1))
        return layers.PReLU(alpha_initializer=_quarter(), shared_axes=axes, name=name)(x)
    return layers.Activation(kind, name=name)(x)


def conv_norm_act(x, filters: int, style, *, kernel=3, strides=1, groups: int = 1, activation=None, name: str):
    """Convolution, normalisation, activation; the convolution has a bias only where no normalisation follows.

    Args:
        x: (batch, *spatial, channels).
        filters: output channels.
        style: the network's ``Style``.
        kernel: size or size per axis.
        strides: size or size per axis.
        groups: 1, or the number of channels for a depthwise convolution.
        activation: instead of the style's; "linear" for none.
        name: prefix of the layers' names.

    Returns:
        (batch, *spatial / strides, filters).
    """
    bias = style.normalisation == "none"
    x = convolve(x, filters, style, kernel=kernel, strides=strides, groups=groups, bias=bias, name=f"{name}_conv")
    x = normalise(x, style, name=f"{name}_norm")
    return activate(x, style, activation=activation, name=f"{name}_act")


def conv_stack(x, filters: int, style, *, count: int = 2, kernel=3, strides=1, name: str):
    """``count`` times convolution, normalisation, activation; the first with ``strides``; then the style's dropout.

    Returns:
        (batch, *spatial / strides, filters).
    """
    for i in range(count):
        stride = strides if i == 0 else 1
        x = conv_norm_act(x, filters, style, kernel=kernel, strides=stride, name=f"{name}_{i}")
    return drop(x, style, name=f"{name}_drop")


def drop(x, style, *, name: str):
    """The style's dropout of whole feature maps of (batch, *spatial, channels); nothing when it is 0."""
    return ranked(style, "SpatialDropout")(style.dropout, name=name)(x) if style.dropout else x


def _quarter():
    from keras import initializers

    return initializers.Constant(0.25)
