"""The zoo's own entries, as data."""

from zoo.entry import Entry


def _twins(name, module, summary, paper, *, tags=("cnn",), edge="int8", options_2d=None, options_3d=None):
    """The 2D and the 3D entry of one builder."""
    builder = f"zoo.models.{module}:{module}"
    tags = (*tags, "edge") if edge == "int8" else tuple(tags)
    return (
        Entry(name, builder, 2, ("2d", *tags), summary, paper, edge, options_2d or {}),
        Entry(f"{name}3d", builder, 3, ("3d", *tags), summary, paper, edge, options_3d or {}),
    )


# A 2D image is larger than a 3D patch along each axis: one more level sees as much of it.
_FIVE = {"depth": 5}

ENTRIES = (
    *_twins(
        "unet",
        "unet",
        "U-Net: encoder, decoder and skip connections",
        "Ronneberger et al., MICCAI 2015, arXiv:1505.04597; Cicek et al., MICCAI 2016, arXiv:1606.06650",
        options_2d=_FIVE,
    ),
    *_twins(
        "attention_unet",
        "unet",
        "U-Net whose skip connections pass through attention gates",
        "Oktay et al., MIDL 2018, arXiv:1804.03999",
        options_2d={**_FIVE, "attention": True},
        options_3d={"attention": True},
    ),
    *_twins(
        "unet_plus_plus",
        "unet_plus_plus",
        "U-Net with nested, dense skip connections",
        "Zhou et al., DLMIA 2018, arXiv:1807.10165",
        options_2d=_FIVE,
    ),
    *_twins(
        "plain_unet",
        "plain_unet",
        "The plain plan of nnU-Net: strided convolutions, leaky ReLU",
        "Isensee et al., Nature Methods 2021, arXiv:1809.10486",
        options_2d=_FIVE,
    ),
    *_twins(
        "res_unet",
        "res_unet",
        "The ResEnc plan of nnU-Net: residual encoder, light decoder",
        "Isensee et al., MICCAI 2024, arXiv:2404.09556",
        tags=("cnn", "residual"),
        options_2d=_FIVE,
    ),
    *_twins(
        "v_net",
        "v_net",
        "V-Net: every level learns a residual",
        "Milletari et al., 3DV 2016, arXiv:1606.04797",
        tags=("cnn", "residual"),
        options_2d=_FIVE,
    ),
    *_twins(
        "segresnet",
        "segresnet",
        "SegResNet: pre-activated residual blocks, skip connections added",
        "Myronenko, BrainLes 2018, arXiv:1810.11654",
        tags=("cnn", "residual"),
        options_2d={"depth": 5, "width": 16},
    ),
    *_twins(
        "dense_unet",
        "dense_unet",
        "U-Net of densely connected levels",
        "Jegou et al., CVPR Workshops 2017, arXiv:1611.09326; Li et al., IEEE TMI 2018, arXiv:1709.07330",
        options_2d=_FIVE,
    ),
    *_twins(
        "mobile_unet",
        "mobile_unet",
        "U-Net of depthwise convolutions and inverted residuals, presets nano, tiny, small",
        "Howard et al. 2017, arXiv:1704.04861; Sandler et al., CVPR 2018, arXiv:1801.04381",
        tags=("cnn", "light"),
    ),
    *_twins(
        "unetr",
        "unetr",
        "UNETR: transformer over patches, convolutional decoder; float on the device",
        "Hatamizadeh et al., WACV 2022, arXiv:2103.10504",
        tags=("transformer", "fixed_size"),
        edge="float",
    ),
    *_twins(
        "swin_unetr",
        "swin_unetr",
        "Swin UNETR: attention in shifted windows, convolutional decoder; float on the device",
        "Hatamizadeh et al., BrainLes 2021, arXiv:2201.01266",
        tags=("transformer", "fixed_size"),
        edge="float",
    ),
    Entry(
        "encoder_unet",
        "zoo.models.encoder_unet:encoder_unet",
        2,
        ("2d", "cnn", "transfer", "edge"),
        "U-Net on a keras.applications encoder: MobileNetV2, EfficientNetV2 or ResNet50, ImageNet weights optional",
        "Sandler et al., CVPR 2018, arXiv:1801.04381; Tan and Le, ICML 2021, arXiv:2104.00298; He et al., CVPR 2016, "
        "arXiv:1512.03385",
    ),
)
