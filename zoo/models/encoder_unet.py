"""U-Net on an encoder of keras.applications, for transfer learning."""

import keras
from keras import layers

from zoo.blocks.conv import conv_stack
from zoo.blocks.frame import close_output, open_input
from zoo.blocks.resample import enlarge
from zoo.blocks.style import Style
from zoo.errors import ZooError, unknown

# encoder -> class in keras.applications, its arguments, layers that give features at 1/2, 1/4, 1/8, 1/16, 1/32
ENCODERS = {
    "mobilenetv2": (
        "MobileNetV2",
        {},
        ("block_1_expand_relu", "block_3_expand_relu", "block_6_expand_relu", "block_13_expand_relu", "out_relu"),
    ),
    "efficientnetv2b0": (
        "EfficientNetV2B0",
        {"include_preprocessing": False},
        (
            "block1a_project_activation",
            "block2b_add",
            "block4a_expand_activation",
            "block6a_expand_activation",
            "top_activation",
        ),
    ),
    "resnet50": (
        "ResNet50",
        {},
        ("conv1_relu", "conv2_block3_out", "conv3_block4_out", "conv4_block6_out", "conv5_block3_out"),
    ),
}


def encoder_unet(
    input_shape,
    classes: int = 2,
    *,
    encoder: str = "mobilenetv2",
    encoder_weights=None,
    widths=(16, 32, 64, 128, 256),
    convolutions: int = 2,
    normalisation: str = "batch",
    activation: str = "relu",
    upsample: str = "transposed",
    dropout: float = 0.0,
    deep_supervision: bool = False,
    name: str = "encoder_unet",
):
    """U-Net whose encoder is a classification network, in 2D.

    Sandler et al., CVPR 2018, arXiv:1801.04381 (MobileNetV2); Tan and Le, ICML 2021, arXiv:2104.00298
    (EfficientNetV2); He et al., CVPR 2016, arXiv:1512.03385 (ResNet).

    Args:
        input_shape: (height, width, channels); sizes may be None, what is passed in must then divide by 32.
        classes: number of classes, background included.
        encoder: "mobilenetv2", "efficientnetv2b0" or "resnet50".
        encoder_weights: None for fresh ones, "imagenet" (Keras downloads them once), or the path of a weights file of
            that keras.applications model. Those of the first convolution are adapted to the number of channels.
        widths: channels of the decoder levels, finest first.
        convolutions: per decoder level.
        normalisation: of the decoder: "batch", "instance", "group" or "none".
        activation: of the decoder: "relu", "leaky_relu", "prelu", ...
        upsample: "transposed", "nearest" or "linear".
        dropout: share of feature maps dropped after each decoder level while training.
        deep_supervision: give a list of logits, one per decoder level, finest first.
        name: of the model.

    Returns:
        A ``keras.Model`` giving float32 logits (batch, height, width, classes), or a list of them.

    Raises:
        ZooError: for an unknown encoder, three spatial sizes, or weights that cannot be read.
    """
    if encoder not in ENCODERS:
        raise unknown("encoder", encoder, ENCODERS)
    if len(input_shape) != 3:
        raise ZooError(f"{name}: input_shape {tuple(input_shape)}; keras.applications has 2D encoders only")
    names = ENCODERS[encoder][2]
    if len(widths) != len(names):
        raise ZooError(f"{name}: widths {tuple(widths)}; expected {len(names)} widths, one per decoder level")
    style = Style(2, normalisation, activation, upsample, dropout)
    multiple = (2 ** len(names),) * 2

    # Encoder
    inputs, image = open_input(input_shape, multiple, style)
    body = _build(encoder, input_tensor=image, weights=None)
    if encoder_weights is not None:
        _adopt(body, encoder, encoder_weights)
    for layer in body.layers:
        if isinstance(layer, layers.BatchNormalization):
            # keras.applications has 0.999 or 0.99, made for a million images: too slow for a small dataset.
            layer.momentum = 0.9
    features = [body.get_layer(layer).output for layer in names]

    # Decoder: the finest level has no features to take in
    x = features.pop()
    decoded = []
    for level in reversed(range(len(widths))):
        prefix = f"decoder{level}"
        x = enlarge(x, widths[level], style, (2, 2), name=f"{prefix}_up")
        if level:
            x = layers.Concatenate(name=f"{prefix}_concat")([features[level - 1], x])
        x = conv_stack(x, widths[level], style, count=convolutions, name=prefix)
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


def _build(encoder, **arguments):
    kind, fixed, _ = ENCODERS[encoder]
    return getattr(keras.applications, kind)(include_top=False, **fixed, **arguments)


def _adopt(body, encoder, weights):
    """Copy the weights of the three-channel original; the first kernel is spread over the channels there are."""
    try:
        source = _build(encoder, input_shape=(None, None, 3), weights=weights)
    except Exception as error:
        raise ZooError(f"encoder_weights={weights!r} of {encoder}: cannot be read ({error})") from None
    for own, given in zip(body.weights, source.weights, strict=True):
        values = keras.ops.convert_to_numpy(given)
        channels = own.shape[2] if len(own.shape) == 4 else None
        if values.shape != tuple(own.shape):
            # A grey image shown on every channel gives the same features as in the original.
            values = values.mean(axis=2, keepdims=True).repeat(channels, axis=2) * (3 / channels)
        own.assign(values)
