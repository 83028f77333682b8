"""Grey morphology by SciPy, with a ball in millimetres."""

import numpy as np

from imaging.filters.smoothing import ball


def opening(channel: np.ndarray, spacing, radius_mm: float) -> np.ndarray:
    """Grey opening: what is bright and smaller than the ball disappears.

    Args:
        channel: float32 (*spatial).
        spacing: voxel size in mm per axis.
        radius_mm: of the ball.
    """
    from scipy.ndimage import grey_opening

    return grey_opening(channel, footprint=ball(spacing, radius_mm, channel.shape), mode="nearest")


def closing(channel: np.ndarray, spacing, radius_mm: float) -> np.ndarray:
    """Grey closing: what is dark and smaller than the ball disappears."""
    from scipy.ndimage import grey_closing

    return grey_closing(channel, footprint=ball(spacing, radius_mm, channel.shape), mode="nearest")


def tophat(channel: np.ndarray, spacing, kind: str, radius_mm: float) -> np.ndarray:
    """What an opening ("white") or a closing ("black") takes away."""
    from scipy.ndimage import black_tophat, white_tophat

    run = white_tophat if kind == "white" else black_tophat
    return run(channel, footprint=ball(spacing, radius_mm, channel.shape), mode="nearest")
