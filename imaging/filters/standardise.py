"""Intensities brought to the scale of the training cases: histogram matching, and Nyúl's landmarks."""

import numpy as np

from imaging.filters.entry import MOST_NUMBERS
from imaging.scan import Scan
from medseg.command import load_package
from medseg.errors import InputError, UsageError

SCALE = 100.0  # of the standard histogram, 0 to this
_DECILES = tuple(range(10, 100, 10))


def match(scan: Scan, points: int, quantiles) -> Scan:
    """Histogram matching to quantiles learnt from the training cases.

    Args:
        scan: float32 (*spatial, C).
        points: length of each list of quantiles.
        quantiles: a list of numbers a channel.
    """
    exposure = load_package("skimage.exposure", "filter match")
    voxels = np.empty(scan.voxels.shape, np.float32)
    for c, values in enumerate(quantiles):
        reference = np.asarray(values, np.float32).reshape(-1, *[1] * (scan.rank - 1))
        voxels[..., c] = exposure.match_histograms(scan.voxels[..., c], reference)
    return _with(scan, voxels)


def learn_match(scans, points: int, quantiles=None) -> dict:
    """The mean quantiles of the scans.

    Args:
        scans: gives an iterable of Scans.
        points: how many quantiles, evenly from smallest to largest.
        quantiles: what was learnt before; it does not matter.
    """
    shares = np.linspace(0, 100, points)
    return {"quantiles": _mean(np.stack([np.percentile(c, shares) for c in _channels(s)]) for s in scans())}


def nyul(scan: Scan, low: float, high: float, landmarks) -> Scan:
    """Standardisation by landmarks (Nyúl, Udupa and Zhang 2000), piecewise linear, the outer pieces continued.

    Args:
        scan: float32 (*spatial, C).
        low, high: percentiles of the first and last landmark; the deciles lie between.
        landmarks: their places on the standard scale, 11 numbers a channel.
    """
    voxels = np.empty(scan.voxels.shape, np.float32)
    for c, places in enumerate(landmarks):
        channel = scan.voxels[..., c]
        own = landmarks_of(channel, low, high)
        keep = np.concatenate([[True], np.diff(own) > 0])  # landmarks that coincide say nothing
        if keep.sum() < 2:
            voxels[..., c] = 0
            continue
        voxels[..., c] = _piecewise(channel, own[keep], np.asarray(places, float)[keep])
    return _with(scan, voxels)


def learn_nyul(scans, low: float, high: float, landmarks=None) -> dict:
    """The mean landmarks of scans, each scaled so that its first lies at 0 and its last at ``SCALE``."""

    def scaled(scan):
        rows = []
        for channel in _channels(scan):
            own = landmarks_of(channel, low, high)
            span = own[-1] - own[0]
            rows.append((own - own[0]) * (SCALE / span if span > 0 else 0.0))
        return np.stack(rows)

    return {"landmarks": _mean(scaled(scan) for scan in scans())}


def landmarks_of(channel: np.ndarray, low: float, high: float) -> np.ndarray:
    """Percentiles ``low``, 10, 20, ..., 90 and ``high`` of what is brighter than the mean's background: (11,).

    Background is what is at most the smallest value, such as the zeros around a head.
    """
    smallest = channel.min()
    body = channel[channel > smallest]
    shares = [low, *(share for share in _DECILES), high]
    return np.percentile(body if body.size else channel, shares)


def check(name: str, values: dict, rank: int, channels: int) -> None:
    """Require what was learnt to be rising finite numbers, as many lists as channels.

    Raises:
        UsageError: otherwise.
    """
    key, length = ("quantiles", values.get("points")) if name == "match" else ("landmarks", len(_DECILES) + 2)
    if key not in values:
        return  # not learnt yet
    try:
        table = np.asarray(values[key], float)
    except (TypeError, ValueError):
        table = np.zeros(0)
    if table.shape != (channels, length) or length > MOST_NUMBERS or not np.isfinite(table).all():
        raise UsageError(f"filter {name}: {key} of shape {table.shape}, expected {channels} lists of {length} numbers")
    if (np.diff(table, axis=1) < 0).any():
        raise UsageError(f"filter {name}: {key} fall somewhere; expected rising numbers")
    if name == "nyul" and not values["low"] < _DECILES[0] < _DECILES[-1] < values["high"]:
        raise UsageError(
            f"filter nyul: low {values['low']:g} and high {values['high']:g}, expected low < 10 and high > 90"
        )


def _piecewise(channel, own, places):
    inner = np.interp(channel, own, places)
    for below, (a, b) in ((True, (0, 1)), (False, (-2, -1))):
        slope = (places[b] - places[a]) / (own[b] - own[a])
        end = 0 if below else -1
        beyond = channel < own[0] if below else channel > own[-1]
        inner[beyond] = places[end] + slope * (channel[beyond] - own[end])
    return inner.astype(np.float32)


def _channels(scan):
    return np.moveaxis(scan.voxels, -1, 0)


def _with(scan, voxels):
    from dataclasses import replace

    return replace(scan, voxels=voxels)


def _mean(tables):
    """The mean of tables (C, N) as plain lists of six digits, rising."""
    total, count = 0.0, 0
    for table in tables:
        total, count = total + table, count + 1
    if not count:
        raise InputError("has no training case to learn from")
    mean = np.maximum.accumulate(total / count, axis=1)
    return [[float(f"{value:.7g}") for value in row] for row in mean]
