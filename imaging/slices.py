"""Volumes for 2D networks: slices along the first axis, alone or each with its neighbours as channels."""

from collections.abc import Iterator, Sequence

import numpy as np

from imaging.geometry.orientation import reorient
from imaging.scan import Scan

# By the anatomical axis across the slices, the orientation that puts it first; the plane keeps the order of RAS.
ORIENTATIONS = {"R": "RAS", "A": "ARS", "S": "SRA"}


def across_axis(shape, spacing) -> int:
    """The axis across the slices of a volume: that of a single slice, else the coarsest; of equal ones the shortest.

    Args:
        shape: voxels along each of three axes.
        spacing: mm along them.
    """
    if tuple(shape).count(1) == 1:
        return tuple(shape).index(1)
    return max(range(3), key=lambda axis: (round(float(spacing[axis]), 3), -shape[axis], axis))


def slice_orientation(scan: Scan) -> str:
    """The axis codes that put a scan's own slices first, such as "SRA" for axial ones, oblique or not."""
    turned = reorient(scan, "RAS")
    return ORIENTATIONS["RAS"[across_axis(turned.shape, turned.spacing)]]


def slice_stack(voxels: np.ndarray, index: int, slices: int) -> np.ndarray:
    """A slice with its neighbours as channels; at the ends the last slice stands for those beyond.

    Args:
        voxels: (D, H, W, C).
        index: of the slice, from 0 to D - 1.
        slices: how many, an odd number: 1 for the slice alone.

    Returns:
        (H, W, slices * C), the channels slice by slice in ascending order; a view for one slice.
    """
    if slices == 1:
        return voxels[index]
    reach = slices // 2
    rows = np.clip(np.arange(index - reach, index + reach + 1), 0, len(voxels) - 1)
    return np.concatenate([voxels[row] for row in rows], axis=-1)


def images(voxels: np.ndarray, slices: int) -> Iterator[np.ndarray]:
    """What a network sees of a prepared scan before it is cut into patches.

    Args:
        voxels: (*spatial, C).
        slices: of the recipe: 0 for the scan itself, else how many slices each image is made of.

    Yields:
        The scan (*spatial, C), or slice by slice (H, W, slices * C).
    """
    if slices:
        yield from (slice_stack(voxels, index, slices) for index in range(len(voxels)))
    else:
        yield voxels


def stacked_names(names: Sequence[str], slices: int) -> tuple[str, ...]:
    """Names of the channels of ``slice_stack``, from those of a scan's: "MRI of slice -1", ..."""
    if slices < 2:
        return tuple(names)
    reach = slices // 2
    return tuple(f"{name} of slice {offset:+d}" for offset in range(-reach, reach + 1) for name in names)


def slice_box(patch: tuple[int, ...], slices: int) -> tuple[int, ...]:
    """The spatial shape of what a patch shows of a prepared scan: one slice thick for a 2D network on a volume."""
    return (1, *patch) if slices else tuple(patch)
