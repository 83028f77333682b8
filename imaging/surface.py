"""Distances between the surfaces of two masks, in millimetres.

The surface of a mask is its border voxels: those with a face neighbour outside the mask (the outside of the array
counts as outside), each standing for one point at its centre. This is the definition of MONAI's
``get_mask_edges`` and of medpy. The package surface-distance places its surface elements between voxels and weighs
them by area instead; the two differ by less than a voxel. Percentiles interpolate linearly.

Two empty masks have distance 0 and surface Dice 1; if one is empty, infinity and 0.
"""

from dataclasses import dataclass

import numpy as np

from imaging.overlap import as_masks
from medseg.errors import InputError


@dataclass(frozen=True)
class SurfaceDistances:
    """The nearest distances between two surfaces; an empty mask leaves both arrays of the pair empty or infinite.

    Attributes:
        to_reference: (P,) mm from every border voxel of the prediction to the nearest of the reference.
        to_prediction: (R,) mm the other way.
    """

    to_reference: np.ndarray
    to_prediction: np.ndarray

    @property
    def both_empty(self) -> bool:
        """Neither mask has a voxel."""
        return not len(self.to_reference) and not len(self.to_prediction)

    @property
    def one_empty(self) -> bool:
        """Exactly one mask has a voxel."""
        return (len(self.to_reference) == 0) != (len(self.to_prediction) == 0)

    def percentile(self, percent: float) -> float:
        """The larger of the two directed percentiles: 100 is the Hausdorff distance, 95 is HD95."""
        if self.both_empty:
            return 0.0
        if self.one_empty:
            return float("inf")
        return float(max(np.percentile(self.to_reference, percent), np.percentile(self.to_prediction, percent)))

    def mean(self) -> float:
        """Average symmetric surface distance: the mean over the border voxels of both masks."""
        if self.both_empty:
            return 0.0
        if self.one_empty:
            return float("inf")
        total = self.to_reference.sum() + self.to_prediction.sum()
        return float(total / (len(self.to_reference) + len(self.to_prediction)))

    def within(self, tolerance_mm: float) -> float:
        """Share of the border voxels of both masks that lie within ``tolerance_mm`` of the other surface."""
        if self.both_empty:
            return 1.0
        if self.one_empty:
            return 0.0
        limit = tolerance_mm * (1 + 1e-9)  # ten steps of 0.1 mm are 1 mm
        close = np.count_nonzero(self.to_reference <= limit) + np.count_nonzero(self.to_prediction <= limit)
        return float(close / (len(self.to_reference) + len(self.to_prediction)))


def border(mask: np.ndarray) -> np.ndarray:
    """The voxels of a bool mask that have a face neighbour outside it, as a bool mask."""
    inner = mask.copy()
    for axis in range(mask.ndim):
        there = np.moveaxis(inner, axis, 0)
        full = np.moveaxis(mask, axis, 0)
        there[1:] &= full[:-1]
        there[:-1] &= full[1:]
        there[0] = there[-1] = False
    return mask & ~inner


def surface_distances(prediction: np.ndarray, reference: np.ndarray, spacing) -> SurfaceDistances:
    """The nearest distance from every border voxel of one mask to the border of the other.

    Args:
        prediction: bool mask, 2 or 3 axes.
        reference: bool mask of the same shape.
        spacing: voxel size in mm per axis.

    Raises:
        InputError: if shapes or spacing do not fit together.
    """
    prediction, reference = as_masks(prediction, reference)
    if len(spacing) != prediction.ndim or not all(np.isfinite(s) and s > 0 for s in spacing):
        raise InputError(f"spacing {tuple(spacing)}: accepted are {prediction.ndim} positive numbers in mm")
    points = [_border_points(mask, spacing) for mask in (prediction, reference)]
    if not all(len(p) for p in points):
        return SurfaceDistances(*(np.full(len(p), np.inf) for p in points))
    # A tree over border points needs memory for the surface only, a distance map would for the whole volume.
    from scipy.spatial import cKDTree

    return SurfaceDistances(cKDTree(points[1]).query(points[0])[0], cKDTree(points[0]).query(points[1])[0])


def hausdorff(prediction: np.ndarray, reference: np.ndarray, spacing) -> float:
    """Hausdorff distance in mm: the farthest that a border voxel of either mask lies from the other's border.

    Args:
        prediction: bool mask, 2 or 3 axes.
        reference: bool mask of the same shape.
        spacing: voxel size in mm per axis.

    Raises:
        InputError: if shapes or spacing do not fit together.
    """
    return surface_distances(prediction, reference, spacing).percentile(100)


def hd95(prediction: np.ndarray, reference: np.ndarray, spacing) -> float:
    """The larger of the two directed 95th percentiles of surface distance in mm; arguments as for ``hausdorff``."""
    return surface_distances(prediction, reference, spacing).percentile(95)


def assd(prediction: np.ndarray, reference: np.ndarray, spacing) -> float:
    """Average symmetric surface distance in mm, over the border voxels of both; arguments as for ``hausdorff``."""
    return surface_distances(prediction, reference, spacing).mean()


def nsd(prediction: np.ndarray, reference: np.ndarray, spacing, tolerance_mm: float = 1.0) -> float:
    """Normalised surface Dice: the share of both borders within a tolerance (Nikolov et al. 2018, arXiv:1809.04430).

    Args:
        prediction: bool mask, 2 or 3 axes.
        reference: bool mask of the same shape.
        spacing: voxel size in mm per axis.
        tolerance_mm: distance that still counts as agreement.

    Raises:
        InputError: if shapes or spacing do not fit together.
    """
    return surface_distances(prediction, reference, spacing).within(tolerance_mm)


def _border_points(mask, spacing):
    """(N, rank) positions in mm of the border voxels, found inside the mask's bounding box."""
    box = []
    for axis in range(mask.ndim):
        hit = np.flatnonzero(mask.any(axis=tuple(a for a in range(mask.ndim) if a != axis)))
        if not len(hit):
            return np.zeros((0, mask.ndim))
        box.append(slice(int(hit[0]), int(hit[-1]) + 1))
    index = np.argwhere(border(mask[tuple(box)])) + [b.start for b in box]
    return index * np.asarray(spacing, float)
