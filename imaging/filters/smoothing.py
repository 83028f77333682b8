"""Smoothing by SciPy: its sizes in voxels follow from millimetres."""

import numpy as np


def gaussian(channel: np.ndarray, spacing, sigma_mm: float) -> np.ndarray:
    """Gaussian smoothing; edge voxels are repeated.

    Args:
        channel: float32 (*spatial).
        spacing: voxel size in mm per axis.
        sigma_mm: standard deviation.
    """
    from scipy.ndimage import gaussian_filter

    return gaussian_filter(channel, [sigma_mm / size for size in spacing], mode="nearest")


def median(channel: np.ndarray, spacing, radius_mm: float) -> np.ndarray:
    """Median of the voxels whose centres lie within ``radius_mm``; edge voxels are repeated."""
    from scipy.ndimage import median_filter

    return median_filter(channel, footprint=ball(spacing, radius_mm, channel.shape), mode="nearest")


def ball(spacing, radius_mm: float, shape) -> np.ndarray:
    """The voxels whose centres lie within a radius of the central one.

    Args:
        spacing: voxel size in mm per axis.
        radius_mm: of the ball.
        shape: of the image, which the ball reaches across at most.

    Returns:
        bool, odd along each axis.
    """
    reach = [min(int(radius_mm / size + 1e-6), length - 1) for size, length in zip(spacing, shape, strict=True)]
    axes = np.meshgrid(*(np.arange(-n, n + 1) * size for n, size in zip(reach, spacing, strict=True)), indexing="ij")
    return sum(np.square(axis) for axis in axes) <= (radius_mm * (1 + 1e-6)) ** 2
