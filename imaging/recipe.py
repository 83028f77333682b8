"""The preprocessing of a scan, as data, and the one function that applies it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Clip:
    """Intensity limits: ``kind`` "percentile" (of each scan) or "value" (for example Hounsfield units)."""

    kind: str
    low: float
    high: float


@dataclass(frozen=True)
class Normalise:
    """``kind`` "zscore" (per scan and channel), "zscore_foreground" (per scan, non-zero voxels only), "fixed"
    ((x - mean) / std with the dataset's ``mean`` and ``std`` per channel) or "unit" (minimum to 0, maximum to 1).
    """

    kind: str = "zscore"
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()


@dataclass(frozen=True)
class Recipe:
    """What is done to a scan before the network sees it.

    Attributes:
        rank: spatial axes of the scans, 2 or 3.
        channels: channels that the network takes.
        orientation: axis codes such as "RAS" for 3D, or None to keep the file's order (2D).
        spacing: target spacing in mm per axis, or None to keep it.
        size: fixed spatial size in pixels that a scan is resized to (2D without spacing), or None.
        crop_nonzero: crop to the bounding box of voxels that differ from zero.
        clip: intensity limits applied first, or None.
        normalise: the intensity normalisation.
    """

    rank: int
    channels: int = 1
    orientation: str | None = None
    spacing: tuple[float, ...] | None = None
    size: tuple[int, ...] | None = None
    crop_nonzero: bool = False
    clip: Clip | None = None
    normalise: Normalise = Normalise()
