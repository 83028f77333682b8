"""The grid that a method works on: coarser than the scan where that is large, and back again."""

import math

import numpy as np

from imaging.geometry.resampling import resample
from imaging.restoring import restore_classes
from imaging.scan import Scan


def coarsened(scan: Scan, max_voxels: int) -> Scan:
    """A scan of at most about ``max_voxels`` voxels, each the mean of those that it covers.

    The finest axes are coarsened first, so that voxels become cubes rather than keep the shape of thick slices.

    Args:
        scan: any.
        max_voxels: spatial voxels.

    Returns:
        The scan itself where it is small enough.
    """
    if math.prod(scan.shape) <= max_voxels:
        return scan
    return resample(scan, spacing=coarse_spacing(scan.shape, scan.spacing, max_voxels))


def coarse_spacing(shape, spacing, max_voxels: int) -> tuple[float, ...]:
    """The voxel size in mm at which a scan has ``max_voxels`` voxels: one size; coarser axes keep their own."""
    spacing = np.asarray(spacing, float)
    extent = np.asarray(shape) * spacing

    def count(size):
        return float(np.prod(extent / np.maximum(spacing, size)))

    low, high = float(spacing.min()), float(extent.max())
    for _ in range(60):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if count(middle) > max_voxels else (low, middle)
    return tuple(np.maximum(spacing, high).tolist())


def restored(scores: np.ndarray, coarse: Scan, scan: Scan) -> np.ndarray:
    """The class of the largest score at every voxel of ``scan``.

    Args:
        scores: (*coarse.shape, K) for at most 256 classes.
        coarse: what ``coarsened`` made of ``scan``.
        scan: the source.

    Returns:
        uint8 (*scan.shape).
    """
    return restore_classes(scores, coarse, scan)


def one_hot(classes: np.ndarray, count: int) -> np.ndarray:
    """Float32 scores (*spatial, count) of class indices (*spatial)."""
    return (classes[..., None] == np.arange(count)).astype(np.float32)
