"""Noise and sharpness of a scan as read, before a recipe's new grid hides them."""

import math

import numpy as np

from imaging.intensity import all_finite
from imaging.scan import Scan

_SAMPLE = 48_000  # voxels that are looked at, along all axes together
_LEAST = 0.003  # so that there is a logarithm where nothing changes: -50 dB


def texture_features(scan: Scan, nan: float | None = None) -> dict[str, float]:
    """Numbers of a scan that neither an offset nor a gain of its intensities changes.

    Whole lines of voxels are taken, evenly spread, along every axis.

    Args:
        scan: as read.
        nan: what voxels that are NaN stand for.

    Returns:
        Name to number, of each channel. "fine detail": mean step between neighbours, by that between next neighbours
        (1 in white noise, 0.5 where an image is smooth). The rest are second differences along a line by the deviation
        of all voxels, in dB: "sharpness" their 99.9 % quantile, which the sharpest edges make; "roughness" their mean;
        "noise floor" their 25 % quantile, which is low where a quarter of the scan is flat.
    """
    features = {}
    for channel in range(scan.channels):
        of = f" of channel {channel}" if scan.channels > 1 else ""
        features |= {f"{name}{of}": value for name, value in _texture(scan.voxels[..., channel], nan or 0.0).items()}
    return features


def _texture(voxels, nan) -> dict[str, float]:
    near = far = 0.0
    bends, values = [], []
    for axis, length in enumerate(voxels.shape):
        if length < 3:
            continue
        lines = _lines(voxels, axis, nan)
        values.append(lines.ravel())
        steps = np.diff(lines)
        near += float(np.abs(steps[:, 1:]).mean(dtype=np.float64))
        far += float(np.abs(lines[:, 2:] - lines[:, :-2]).mean(dtype=np.float64))
        bends.append(np.abs(np.diff(steps)).ravel())
    deviation = float(np.concatenate(values).std(dtype=np.float64)) if values else 0.0
    if not deviation > 0:
        return {"fine detail": 0.0} | dict.fromkeys(("sharpness", "roughness", "noise floor"), _decibels(0.0))
    bend = np.concatenate(bends)
    low, high = np.quantile(bend, (0.25, 0.999))
    relative = {"sharpness": high, "roughness": bend.mean(dtype=np.float64), "noise floor": low}
    return {"fine detail": near / far if far else 0.0} | {
        name: _decibels(float(value) / deviation) for name, value in relative.items()
    }


def _lines(voxels, axis, nan):
    """Lines along an axis, float32 (lines, voxels), of numbers that are finite."""
    step = max(1, math.ceil((voxels.size * voxels.ndim / _SAMPLE) ** (1 / (voxels.ndim - 1))))
    chosen = tuple(
        slice(None) if across == axis else slice(min(step // 2, n - 1), None, step)
        for across, n in enumerate(voxels.shape)
    )
    lines = np.moveaxis(voxels[chosen], axis, -1).reshape(-1, voxels.shape[axis]).astype(np.float32)
    return lines if all_finite(lines) else np.nan_to_num(lines, nan=nan, posinf=nan, neginf=nan)


def _decibels(ratio: float) -> float:
    return 20 * math.log10(ratio + _LEAST)
