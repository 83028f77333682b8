"""Connected parts of a mask.

Voxels touch by face, edge or corner; a hole is background that no path from face to face leads out of.
"""

import math

import numpy as np

from medseg.errors import InputError


def label_components(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number the connected parts of a mask.

    Args:
        mask: bool, 2 or 3 axes.

    Returns:
        int32 array of the same shape, 0 outside, and (N + 1,) voxel counts by number, entry 0 set to 0.
    """
    from scipy import ndimage

    numbered, _ = ndimage.label(mask, structure=np.ones((3,) * mask.ndim, bool))
    counts = np.zeros(1, np.int64)
    for slab in numbered:  # slab by slab: bincount copies to 64 bit
        sizes = np.bincount(slab.ravel())
        counts = np.pad(counts, (0, max(0, len(sizes) - len(counts))))
        counts[: len(sizes)] += sizes
    counts[0] = 0
    return numbered, counts


def largest_component(mask: np.ndarray) -> np.ndarray:
    """Only the largest connected part of a bool mask (of equals, the one met first); an empty mask stays empty."""
    numbered, counts = label_components(mask)
    return numbered == np.argmax(counts) if counts.any() else np.zeros_like(mask, bool)


def share_of_largest(mask: np.ndarray) -> float | None:
    """The share of a bool mask's voxels that lies in its largest connected part; None for an empty mask."""
    from scipy import ndimage

    (box,) = ndimage.find_objects(mask.astype(np.uint8), max_label=1)
    if box is None:
        return None
    _, counts = label_components(mask[box])
    return float(counts.max() / counts.sum())


def fill_holes(mask: np.ndarray) -> np.ndarray:
    """A bool mask with the background that it encloses filled in."""
    from scipy import ndimage

    return ndimage.binary_fill_holes(mask)


def remove_small(mask: np.ndarray, min_volume_mm3: float, spacing) -> np.ndarray:
    """A bool mask without connected parts smaller than a volume.

    Args:
        mask: bool, 2 or 3 axes.
        min_volume_mm3: parts of at least this stay (square mm in 2D).
        spacing: voxel size in mm per axis.

    Raises:
        InputError: if the spacing does not fit the mask.
    """
    if len(spacing) != mask.ndim:
        raise InputError(f"spacing {tuple(spacing)}: expected {mask.ndim} numbers in mm")
    numbered, counts = label_components(mask)
    # The margin keeps a part of exactly the minimum when the product of spacings is rounded.
    keep = counts * math.prod(spacing) >= min_volume_mm3 * (1 - 1e-9)
    keep[0] = False
    return keep[numbered]
