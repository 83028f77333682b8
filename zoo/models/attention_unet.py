"""Attention U-Net."""

import inspect

from zoo.models.unet import unet


def attention_unet(input_shape, classes: int = 2, *, name: str = "attention_unet", **options):
    """U-Net whose skip connections pass through attention gates, in 2D and 3D.

    Oktay et al., MIDL 2018, arXiv:1804.03999.

    Args:
        input_shape: (*spatial, channels) as for ``unet``.
        classes: number of classes, background included.
        name: of the model.
        **options: those of ``unet`` but ``attention``.

    Returns:
        A ``keras.Model`` giving float32 logits (batch, *spatial, classes), or a list of them for deep supervision.
    """
    return unet(input_shape, classes, attention=True, name=name, **options)


# The registry checks options against the signature, so it has to name them.
_options = [p for p in inspect.signature(unet).parameters.values() if p.name != "attention"]
attention_unet.__signature__ = inspect.Signature(_options)
