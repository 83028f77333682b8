"""Intensity limits and normalisation of float32 voxels, in place and without float64 copies."""

import numpy as np

from medseg.errors import InputError
from medseg.untrusted import shown

# A deviation this small against the mean is rounding of a constant image, not contrast.
CONSTANT = 1e-7
# Beyond this, squares overflow float32.
LARGEST = 1e18
# Voxels that are added up at once: as float64 they stay in a processor's cache.
CACHED = 65536
KINDS = ("zscore", "zscore_foreground", "fixed", "unit")


def check_clip(kind: str, low: float, high: float) -> None:
    """Require the arguments of ``clip`` to make sense.

    Raises:
        InputError: for an unknown kind, or limits that are not finite or out of order.
    """
    if kind not in ("value", "percentile"):
        raise InputError(f"clip kind {shown(kind)}: expected 'percentile' or 'value'")
    lowest, highest = (0, 100) if kind == "percentile" else (-LARGEST, LARGEST)
    if not lowest <= low < high <= highest:
        raise InputError(f"clip limits {low} and {high}: expected low < high, both finite, percentiles from 0 to 100")


def check_normalise(kind: str, mean, std, channels: int) -> None:
    """Require the arguments of ``normalise`` to make sense for so many channels.

    Raises:
        InputError: for an unknown kind, or for "fixed" without a finite mean and a positive deviation per channel.
    """
    if kind not in KINDS:
        raise InputError(f"normalise kind {shown(kind)}: expected one of {', '.join(map(repr, KINDS))}")
    if kind != "fixed":
        return
    fits = len(mean) == channels and len(std) == channels
    if not fits or not all(abs(m) <= LARGEST for m in mean) or not all(1 / LARGEST <= s <= LARGEST for s in std):
        raise InputError(
            f"normalise 'fixed' with mean {shown(tuple(mean))} and std {shown(tuple(std))} for {channels} channels: "
            "expected one finite mean and one positive deviation per channel"
        )


def clip(voxels: np.ndarray, kind: str, low: float, high: float) -> np.ndarray:
    """Limit the intensities of every channel, in place.

    Args:
        voxels: float32 (*spatial, C).
        kind: "value" (the limits are intensities) or "percentile" (of all voxels of the channel).
        low: lower limit.
        high: upper limit.

    Returns:
        The same array.

    Raises:
        InputError: for an unknown kind or limits out of order.
    """
    check_clip(kind, low, high)
    for c in range(voxels.shape[-1]):
        channel = voxels[..., c]
        limits = np.percentile(channel, (low, high)) if kind == "percentile" else (low, high)
        np.clip(channel, *(np.float32(limit) for limit in limits), out=channel)
    return voxels


def normalise(voxels: np.ndarray, kind: str, mean=(), std=(), foreground: np.ndarray | None = None) -> np.ndarray:
    """Bring the intensities of every channel to a common scale, in place.

    "zscore": (x - mean) / deviation of the channel. "zscore_foreground": the same over ``foreground``, and 0 outside
    it. "fixed": with the given ``mean`` and ``std``. "unit": minimum to 0, maximum to 1. A channel without contrast
    (a constant image) becomes all 0, "fixed" excepted.

    Args:
        voxels: float32 (*spatial, C).
        kind: one of the above.
        mean: per channel, for "fixed".
        std: per channel, for "fixed".
        foreground: bool (*spatial), for "zscore_foreground".

    Returns:
        The same array.

    Raises:
        InputError: for an unknown kind, or for "fixed" without a mean and a positive deviation for every channel.
    """
    channels = voxels.shape[-1]
    check_normalise(kind, mean, std, channels)
    for c in range(channels):
        channel = voxels[..., c]
        if kind == "zscore":
            _standardise(channel, *moments(channel))
        elif kind == "zscore_foreground":
            _standardise(channel, *moments(channel, foreground))
            channel[~foreground] = 0
        elif kind == "fixed":
            channel -= np.float32(mean[c])
            channel *= np.float32(1 / std[c])
        else:
            low, high = float(channel.min()), float(channel.max())
            channel -= np.float32(low)
            channel *= np.float32(1 / (high - low)) if high > low else 0
    return voxels


def all_finite(values: np.ndarray) -> bool:
    """Whether no number is NaN or infinite.

    Args:
        values: numbers of any type, any shape.
    """
    # One that is makes the sum so, too: the common case needs no array of flags. Large ones may do it without.
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(values.sum())) or bool(np.isfinite(values).all())


def fill_nan(voxels: np.ndarray, value: float | None) -> np.ndarray:
    """Put a number where voxels are NaN, in place.

    Args:
        voxels: float32, any shape.
        value: the number; None leaves them.

    Returns:
        The same array.
    """
    if value is not None and not all_finite(voxels):
        voxels[np.isnan(voxels)] = np.float32(value)
    return voxels


def moments(channel: np.ndarray, where: np.ndarray | None = None) -> tuple[float, float]:
    """Mean and standard deviation, added up in float64 slab by slab; of nothing, 0 and 0.

    Args:
        channel: float32 (*spatial).
        where: bool (*spatial) that limits which voxels count.
    """
    slabs = max(1, len(channel) * CACHED // max(1, channel.size))
    parts = [slice(i, i + slabs) for i in range(0, len(channel), slabs)]
    chosen = [channel[p] if where is None else channel[p][where[p]] for p in parts]
    count = sum(v.size for v in chosen)
    if not count:
        return 0.0, 0.0
    mean = sum(float(v.sum(dtype=np.float64)) for v in chosen) / count
    squares = sum(_squares(v, mean) for v in chosen)
    return mean, float(np.sqrt(squares / count))


def _squares(values, mean):
    """The sum of the squared distances from the mean, in float64."""
    distance = np.subtract(values, mean, dtype=np.float64).ravel()
    return float(distance @ distance)


def _standardise(channel, mean, std):
    channel -= np.float32(mean)
    channel *= np.float32(1 / std) if std > CONSTANT * abs(mean) else 0
