"""How the intensities of a scan lie between its darkest and brightest, and on which side its detail lies."""

import math

import numpy as np

from imaging.intensity import all_finite
from imaging.scan import Scan

_SAMPLE = 1_000_000  # voxels that are looked at
_TOP = 0.02  # of the range, that counts as the brightest


def brightness_features(scan: Scan, nan: float | None = None) -> dict[str, float]:
    """Numbers of a scan as read that neither an offset nor a gain of its intensities changes.

    Args:
        scan: as read.
        nan: what voxels that are NaN stand for.

    Returns:
        Name to number, of each channel. "brightness": mean of the voxels above the darkest value, as a share of the way
        from there to the brightest, which a curve over the intensities (gamma) moves; "brightest": share of all voxels
        within 2 % of the brightest, which an overdriven receiver fills. None of a channel without contrast.
    """
    features = {}
    for channel in range(scan.channels):
        of = f" of channel {channel}" if scan.channels > 1 else ""
        features |= {f"{name}{of}": value for name, value in _brightness(_sample(scan.voxels[..., channel]), nan)}
    return features


def centre_features(prepared: Scan) -> dict[str, float]:
    """On which side of a prepared scan its detail lies: many scanners see less sharply further away.

    Args:
        prepared: what the recipe made of a scan; its first channel counts.

    Returns:
        Name to number, "centre of detail" of each axis, as a share of it: where the second differences across the axis
        lie. None of a scan without any.
    """
    voxels, features = prepared.voxels[..., 0], {}
    for axis in range(prepared.rank):
        detail = sum(_bends(voxels, axis, across) for across in range(prepared.rank) if across != axis)
        total = float(detail.sum())
        if total > 0:
            places = (np.arange(len(detail)) + 0.5) / len(detail)
            features[f"centre of detail, axis {axis}"] = float(detail @ places) / total
    return features


def _brightness(values, nan):
    values = values if all_finite(values) else np.nan_to_num(values, nan=nan or 0.0)
    low, high = float(values.min()), float(values.max())
    if not high > low:
        return
    above = values[values > low]
    yield "brightness", (float(above.mean(dtype=np.float64)) - low) / (high - low)
    yield "brightest", float(np.mean(values >= high - _TOP * (high - low)))


def _sample(voxels):
    step = max(1, math.ceil((voxels.size / _SAMPLE) ** (1 / voxels.ndim)))
    return voxels[(slice(None, None, step),) * voxels.ndim].astype(np.float32)


def _bends(voxels, axis, across):
    """Mean second difference along ``across`` at each place of ``axis``; 0 where it is too short for one."""
    if voxels.shape[across] < 3:
        return np.zeros(voxels.shape[axis])
    others = voxels.ndim - 2
    step = max(1, math.ceil((voxels.size / _SAMPLE) ** (1 / others))) if others else 1
    chosen = tuple(slice(None) if a in (axis, across) else slice(None, None, step) for a in range(voxels.ndim))
    bends = np.abs(np.diff(voxels[chosen], 2, axis=across))
    return np.moveaxis(bends, axis, 0).reshape(voxels.shape[axis], -1).mean(axis=1, dtype=np.float64)
