"""The networks, one file per family; each builder serves 2D and 3D by the rank of its input shape.

Importing this package registers every layer of the zoo with Keras, so that ``keras.saving.load_model`` knows them.
"""

from zoo.models import (
    dense_unet,
    encoder_unet,
    mobile_unet,
    plain_unet,
    res_unet,
    segresnet,
    swin_unetr,
    unet,
    unet_plus_plus,
    unetr,
    v_net,
)

__all__ = [
    "dense_unet",
    "encoder_unet",
    "mobile_unet",
    "plain_unet",
    "res_unet",
    "segresnet",
    "swin_unetr",
    "unet",
    "unet_plus_plus",
    "unetr",
    "v_net",
]
