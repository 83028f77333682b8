"""Filters that change the grid; the affine says where the result lies, so segmentations find the way back."""

from dataclasses import replace

import numpy as np

from imaging.geometry.affine import moved
from imaging.geometry.resampling import check_grid, resample
from imaging.scan import Scan
from medseg.command import load_package
from medseg.errors import UsageError

_ROUNDING = 1e-6  # that a mean of channels, each 0 to 1, differs by without meaning anything


def resize(scan: Scan, spacing_mm) -> Scan:
    """Voxels of another size, see ``imaging.resample``.

    Args:
        scan: float32 (*spatial, C).
        spacing_mm: one number, or one an axis.

    Raises:
        InputError: if the new grid would take more memory than the limit.
    """
    sizes = _sizes(spacing_mm, scan.rank)
    check_grid(scan, sizes)
    resized = resample(scan, sizes)
    return replace(scan, voxels=resized.voxels, affine=resized.affine, geometry=None)


def crop_body(scan: Scan, margin_mm: float) -> Scan:
    """Cut a scan to the box of its largest bright region; a constant scan stays whole.

    Args:
        scan: float32 (*spatial, C); its channels' mean, each scaled to 0 to 1, is what counts.
        margin_mm: kept around the box.
    """
    box = body_box(scan.voxels)
    if box is None:
        return scan
    slices = []
    for part, size, length in zip(box, scan.spacing, scan.shape, strict=True):
        extra = int(np.ceil(margin_mm / size - 1e-6))
        slices.append(slice(max(0, part.start - extra), min(length, part.stop + extra)))
    affine = moved(scan.affine, [part.start for part in slices])
    return replace(scan, voxels=np.ascontiguousarray(scan.voxels[tuple(slices)]), affine=affine, geometry=None)


def body_box(voxels: np.ndarray) -> tuple[slice, ...] | None:
    """The box of the largest region above Otsu's threshold, or None for a constant scan.

    Args:
        voxels: float32 (*spatial, C).
    """
    from scipy import ndimage

    filters = load_package("skimage.filters", "filter crop_body")
    total = np.zeros(voxels.shape[:-1], np.float32)
    for channel in np.moveaxis(voxels, -1, 0):
        low, high = float(channel.min()), float(channel.max())
        if high > low:
            total += (channel - np.float32(low)) * np.float32(1 / (high - low))
    if np.ptp(total) <= _ROUNDING * voxels.shape[-1]:
        return None
    labels, count = ndimage.label(total > filters.threshold_otsu(total))
    if not count:
        return None
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    return ndimage.find_objects(labels)[int(sizes[1:].argmax())]


def check(name: str, values: dict, rank: int, channels: int) -> None:
    """Require as many sizes as axes.

    Raises:
        UsageError: otherwise.
    """
    if name == "resize":
        _sizes(values["spacing_mm"], rank)


def _sizes(spacing_mm, rank):
    if not isinstance(spacing_mm, list | tuple):
        return (float(spacing_mm),) * rank
    if len(spacing_mm) != rank:
        raise UsageError(f"filter resize: spacing_mm {spacing_mm}, expected one number or {rank}, one an axis")
    return tuple(float(size) for size in spacing_mm)
