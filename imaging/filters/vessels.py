"""Vesselness by SimpleITK, in millimetres and in several widths."""

import numpy as np

from imaging.filters.edge_preserving import array_of, image_of
from imaging.io.volumes.itk import simpleitk
from medseg.errors import UsageError

_SLAB_VOXELS = 2**23  # of which the six derivatives are held at once
_HALO = 3  # voxels that derivatives reach beyond a slab


def frangi(
    channel: np.ndarray,
    spacing,
    smallest_mm: float,
    largest_mm: float,
    scales: int,
    polarity: str,
    **held_down: float,
) -> np.ndarray:
    """Frangi's vesselness in the form of Antiga (Insight Journal 2007), the largest over scales.

    Args:
        channel: float32 (*spatial), not constant; it is scaled to 0 to 255.
        spacing: voxel size in mm per axis.
        smallest_mm, largest_mm: sigmas of the first and last scale.
        scales: how many, evenly on a logarithmic scale.
        polarity: "bright" or "dark" vessels.
        **held_down: ``alpha`` (plates), ``beta`` (blobs) and ``structure`` (noise): Frangi's alpha, beta and c.

    Returns:
        float32 (*spatial), 0 to 1.
    """
    sitk = simpleitk("filter frangi")
    low, high = float(channel.min()), float(channel.max())
    image = image_of((channel - np.float32(low)) * np.float32(255 / (high - low)), spacing, sitk)
    options = {
        "alpha": held_down["alpha"],
        "beta": held_down["beta"],
        "gamma": held_down["structure"],
        "scaleObjectnessMeasure": False,
        "objectDimension": 1,
        "brightObject": polarity == "bright",
    }
    best = np.zeros_like(channel)
    for sigma in np.geomspace(smallest_mm, largest_mm, scales):
        # The second derivatives of a wider scale are smaller by its square (Lindeberg's normalisation).
        smooth = sitk.SmoothingRecursiveGaussian(image, float(sigma)) * float(sigma**2)
        np.maximum(best, _by_slabs(smooth, options, sitk), out=best)
    return best


def check(name: str, values: dict, rank: int, channels: int) -> None:
    """Require the smallest scale to be no larger than the largest.

    Raises:
        UsageError: otherwise.
    """
    if values["smallest_mm"] > values["largest_mm"]:
        raise UsageError(
            f"filter {name}: smallest_mm {values['smallest_mm']:g} and largest_mm {values['largest_mm']:g}, expected "
            "smallest to be at most largest"
        )


def _by_slabs(smooth, options, sitk):
    """The measure slab by slab along the last axis, as six derivatives of a large volume would not fit in memory."""
    size = smooth.GetSize()
    thick = max(1, _SLAB_VOXELS * size[-1] // max(1, int(np.prod(size))))
    if thick >= size[-1]:
        return array_of(sitk.ObjectnessMeasure(smooth, **options))
    out = np.empty(size, np.float32)
    for start in range(0, size[-1], thick):
        first, last = max(0, start - _HALO), min(size[-1], start + thick + _HALO)
        slab = sitk.ObjectnessMeasure(smooth[..., first:last], **options)
        stop = min(size[-1], start + thick)
        out[..., start:stop] = array_of(slab)[..., start - first : stop - first]
    return out
