"""Contrast by scikit-image, which counts from 0 to 1; the channel's own range is kept, but for ``stretch``."""

import numpy as np

from medseg.command import load_package
from medseg.errors import UsageError

_SLAB_VOXELS = 2**23  # that adaptive equalisation takes at once


def equalise(channel: np.ndarray, spacing, bins: int) -> np.ndarray:
    """Histogram equalisation.

    Args:
        channel: float32 (*spatial), not constant.
        spacing: voxel size in mm per axis; it does not matter.
        bins: of the histogram.
    """
    exposure = load_package("skimage.exposure", "filter equalise")
    flat = exposure.equalize_hist(channel.ravel(), bins)  # a few slices would be taken for colours, with a warning
    return _to_range(flat.reshape(channel.shape), channel)


def clahe(channel: np.ndarray, spacing, clip: float, tile_mm: float, bins: int) -> np.ndarray:
    """Contrast limited adaptive histogram equalisation (Zuiderveld 1994), N-dimensional.

    Args:
        channel: float32 (*spatial), not constant.
        spacing: voxel size in mm per axis.
        clip: limit of a bin, in heights of a flat histogram (OpenCV's clipLimit).
        tile_mm: side of a tile.
        bins: of each histogram.
    """
    exposure = load_package("skimage.exposure", "filter clahe")
    tile = [min(length, max(1, round(tile_mm / size))) for length, size in zip(channel.shape, spacing, strict=True)]
    scaled, limit = _scaled(channel), min(1.0, clip / bins)
    if channel.size <= _SLAB_VOXELS:
        return _to_range(exposure.equalize_adapthist(scaled, tile, limit, bins), channel)
    return _to_range(_clahe_by_slabs(scaled, tile, limit, bins), channel)


def stretch(channel: np.ndarray, spacing, low: float, high: float) -> np.ndarray:
    """Percentiles ``low`` and ``high`` become 0 and 1; a channel that does not differ between them becomes 0."""
    exposure = load_package("skimage.exposure", "filter stretch")
    limits = tuple(float(limit) for limit in np.percentile(channel, (low, high)))
    if limits[0] == limits[1]:
        return np.zeros_like(channel)
    return exposure.rescale_intensity(channel, limits, (0.0, 1.0)).astype(np.float32, copy=False)


def gamma(channel: np.ndarray, spacing, gamma: float) -> np.ndarray:
    """Gamma correction of intensities scaled to 0 to 1 and back."""
    exposure = load_package("skimage.exposure", "filter gamma")
    return _to_range(exposure.adjust_gamma(_scaled(channel), gamma), channel)


def window(channel: np.ndarray, spacing, centre: float, width: float) -> np.ndarray:
    """Cut intensities to ``centre`` ± ``width`` / 2."""
    return np.clip(channel, np.float32(centre - width / 2), np.float32(centre + width / 2))


def check(name: str, values: dict, rank: int, channels: int) -> None:
    """Require the percentiles of ``stretch`` to be in order.

    Raises:
        UsageError: if they are not.
    """
    if name == "stretch" and not values["low"] < values["high"]:
        raise UsageError(f"filter stretch: low {values['low']:g} and high {values['high']:g}, expected low < high")


def _clahe_by_slabs(scaled, tile, limit, bins):
    """``equalize_adapthist`` slab by slab, whose temporary arrays are many times as large as the volume.

    Slabs are whole tiles with a tile more on each side, which is as far as a voxel's value depends on others; so the
    values are the same. The function between scikit-image's two scalings, which are of the whole, is private.
    """
    exposure, util = load_package("skimage.exposure", "filter clahe"), load_package("skimage.util", "filter clahe")
    inner = load_package("skimage.exposure._adapthist", "filter clahe")
    levels = exposure.rescale_intensity(util.img_as_uint(scaled), out_range=(0, inner.NR_OF_GRAY - 1))
    image = np.round(levels, out=levels).astype(np.min_scalar_type(inner.NR_OF_GRAY))
    axis = int(np.argmax([length / side for length, side in zip(image.shape, tile, strict=True)]))
    side, length = tile[axis], image.shape[axis]
    thick = side * max(1, _SLAB_VOXELS * length // image.size // side)
    starts = list(range(0, length, thick))
    if len(starts) > 1 and length - starts[-1] < side:  # what is reflected at the end lies in the last slab
        starts.pop()
    out = np.empty(image.shape, np.float32)
    before = (slice(None),) * axis
    for start, stop in zip(starts, [*starts[1:], length], strict=True):
        first, last = max(0, start - side), length if stop == length else min(length, stop + side)
        slab = inner._clahe(image[(*before, slice(first, last))], tile, limit, bins)
        out[(*before, slice(start, stop))] = slab[(*before, slice(start - first, stop - first))]
    return exposure.rescale_intensity(out)


def _scaled(channel):
    low, high = float(channel.min()), float(channel.max())
    return np.clip((channel - np.float32(low)) * np.float32(1 / (high - low)), 0, 1)


def _to_range(unit, channel):
    """0 to 1 as the range of the channel."""
    low, high = np.float32(channel.min()), np.float32(channel.max())
    return (unit * (high - low) + low).astype(np.float32, copy=False)
