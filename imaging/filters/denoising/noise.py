"""How noisy a scan is."""

import numpy as np

_GAUSSIAN = 0.6745  # median of the absolute value of a normal deviate
_MOST = 4_000_000  # differences that are looked at


def noise_deviation(channel: np.ndarray, spacing) -> float:
    """Standard deviation of white noise, by the median of the finest diagonal Haar wavelet (Donoho 1995).

    Zeros of background that was cleared are left out.

    Args:
        channel: float32 (*spatial).
        spacing: voxel size in mm per axis; of a volume the plane of the two finest axes is looked at.

    Returns:
        0 for a channel that is too thin, or has no noise.
    """
    order = np.argsort(spacing, kind="stable")
    plane = channel.transpose(*(int(axis) for axis in (*order[:2], *order[2:])))
    if min(plane.shape[:2]) < 2:
        return 0.0
    detail = (plane[:-1, :-1] - plane[1:, :-1] - plane[:-1, 1:] + plane[1:, 1:]).ravel()
    detail = detail[:: 1 + len(detail) // _MOST]
    detail = detail[detail != 0]
    return float(np.median(np.abs(detail)) / _GAUSSIAN / 2) if len(detail) else 0.0
