"""The zoo's own entries, as data."""

from zoo.entry import Entry


def _twins(name, builder, summary, paper, *, tags=(), edge="int8", options_2d=None, options_3d=None):
    """The 2D and the 3D entry of one builder."""
    tags = (*tags, "edge") if edge == "int8" else tuple(tags)
    return (
        Entry(name, builder, 2, ("2d", *tags), summary, paper, edge, options_2d or {}),
        Entry(f"{name}3d", builder, 3, ("3d", *tags), summary, paper, edge, options_3d or {}),
    )


ENTRIES = (
    *_twins(
        "unet",
        "zoo.models.unet:unet",
        "U-Net: encoder, decoder and skip connections",
        "Ronneberger et al., MICCAI 2015, arXiv:1505.04597; Cicek et al., MICCAI 2016, arXiv:1606.06650",
        tags=("cnn",),
        options_2d={"depth": 5},
    ),
    *_twins(
        "attention_unet",
        "zoo.models.attention_unet:attention_unet",
        "U-Net whose skip connections pass through attention gates",
        "Oktay et al., MIDL 2018, arXiv:1804.03999",
        tags=("cnn",),
        options_2d={"depth": 5},
    ),
)
