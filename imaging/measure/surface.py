"""Distances between the surfaces of two masks, in millimetres.

The surface of a mask is its border voxels: those with a face neighbour outside the mask (the outside of the array
counts as outside), each standing for one point at its centre. This is the definition of MONAI's
``get_mask_edges`` and of medpy. Percentiles interpolate linearly.

With ``surface="elements"`` it is instead that of the package surface-distance and of MONAI's ``use_subvoxels``:
elements between the voxels, each counted by its area (``surface_elements``); a percentile is then the smallest distance
within which that share of the area lies. Distances differ by less than a voxel, surface Dice by up to a half on objects
of few voxels.

Two empty masks have distance 0 and surface Dice 1; if one is empty, infinity and 0.
"""

import math
from dataclasses import dataclass

import numpy as np

from imaging.measure.overlap import as_masks
from imaging.measure.surface_elements import elements
from medseg.errors import InputError


@dataclass(frozen=True)
class SurfaceDistances:
    """The nearest distances between two surfaces; an empty mask leaves both arrays of the pair empty or infinite.

    Attributes:
        to_reference: (P,) mm from every border voxel of the prediction to the nearest of the reference.
        to_prediction: (R,) mm the other way.
        prediction_areas: (P,) areas that the distances count by; None if each counts alike.
        reference_areas: (R,) the same for the other way.
    """

    to_reference: np.ndarray
    to_prediction: np.ndarray
    prediction_areas: np.ndarray | None = None
    reference_areas: np.ndarray | None = None

    @property
    def both_empty(self) -> bool:
        """Neither mask has a voxel."""
        return not len(self.to_reference) and not len(self.to_prediction)

    @property
    def one_empty(self) -> bool:
        """Exactly one mask has a voxel."""
        return (len(self.to_reference) == 0) != (len(self.to_prediction) == 0)

    def percentile(self, percent: float, pooled: bool = False) -> float:
        """A percentile of the distances: 100 is the Hausdorff distance, 95 is HD95.

        Args:
            percent: 0 to 100.
            pooled: of the distances of both directions together, as medpy does, and not the larger of the two directed
                percentiles, as MONAI and surface-distance do.
        """
        if self.both_empty:
            return 0.0
        if self.one_empty:
            return float("inf")
        directed = (self.to_reference, self.prediction_areas), (self.to_prediction, self.reference_areas)
        if not pooled:
            return float(max(_percentile(*each, percent) for each in directed))
        areas = None if self.prediction_areas is None else np.concatenate([areas for _, areas in directed])
        return float(_percentile(np.concatenate([distances for distances, _ in directed]), areas, percent))

    def mean(self) -> float:
        """Average symmetric surface distance: the mean over the surfaces of both masks."""
        if self.both_empty:
            return 0.0
        if self.one_empty:
            return float("inf")
        areas, distances = self._areas(), (self.to_reference, self.to_prediction)
        return float(sum((d * a).sum() for d, a in zip(distances, areas, strict=True)) / sum(a.sum() for a in areas))

    def within(self, tolerance_mm: float) -> float:
        """Share of the surfaces of both masks that lies within ``tolerance_mm`` of the other surface.

        Raises:
            InputError: if the tolerance is negative, infinite or not a number.
        """
        if not 0 <= tolerance_mm < math.inf:
            raise InputError(f"tolerance_mm={tolerance_mm}: expected a distance in mm, 0 or more")
        if self.both_empty:
            return 1.0
        if self.one_empty:
            return 0.0
        limit = tolerance_mm * (1 + 1e-9)  # ten steps of 0.1 mm are 1 mm
        areas, distances = self._areas(), (self.to_reference, self.to_prediction)
        close = sum(a[d <= limit].sum() for d, a in zip(distances, areas, strict=True))
        return float(close / sum(a.sum() for a in areas))

    def _areas(self):
        """What the distances of both directions count by."""
        pairs = (self.prediction_areas, self.to_reference), (self.reference_areas, self.to_prediction)
        return [np.ones(len(distances)) if areas is None else areas for areas, distances in pairs]


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


def surface_distances(
    prediction: np.ndarray, reference: np.ndarray, spacing, surface: str = "voxels"
) -> SurfaceDistances:
    """The nearest distance from every point of one mask's surface to the surface of the other.

    Args:
        prediction: bool mask, 2 or 3 axes.
        reference: bool mask of the same shape.
        spacing: voxel size in mm per axis.
        surface: "voxels" (border voxels) or "elements" (between the voxels, by area), see above.

    Raises:
        InputError: if shapes or spacing do not fit together.
    """
    if surface not in ("voxels", "elements"):
        raise InputError(f"surface={surface!r}: expected 'voxels' or 'elements'")
    prediction, reference = as_masks(prediction, reference)
    if len(spacing) != prediction.ndim or not all(np.isfinite(s) and s > 0 for s in spacing):
        raise InputError(f"spacing {tuple(spacing)}: expected {prediction.ndim} positive numbers in mm")
    if surface == "elements":
        points, areas = zip(*(elements(mask, spacing) for mask in (prediction, reference)), strict=True)
    else:
        points, areas = [_border_points(mask, spacing) for mask in (prediction, reference)], (None, None)
    if not all(len(p) for p in points):
        return SurfaceDistances(*(np.full(len(p), np.inf) for p in points), *areas)
    # A tree over border points needs memory for the surface only, a distance map would for the whole volume.
    from scipy.spatial import cKDTree

    return SurfaceDistances(cKDTree(points[1]).query(points[0])[0], cKDTree(points[0]).query(points[1])[0], *areas)


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


def hd95(
    prediction: np.ndarray, reference: np.ndarray, spacing, surface: str = "voxels", pooled: bool = False
) -> float:
    """The 95th percentile of surface distance in mm; arguments as for ``hausdorff``.

    Args:
        prediction: bool mask, 2 or 3 axes.
        reference: bool mask of the same shape.
        spacing: voxel size in mm per axis.
        surface: see ``surface_distances``.
        pooled: of both directions together, as medpy; else the larger of the two directed percentiles, as MONAI.

    Raises:
        InputError: if shapes or spacing do not fit together.
    """
    return surface_distances(prediction, reference, spacing, surface).percentile(95, pooled)


def assd(prediction: np.ndarray, reference: np.ndarray, spacing) -> float:
    """Average symmetric surface distance in mm, over the border voxels of both; arguments as for ``hausdorff``."""
    return surface_distances(prediction, reference, spacing).mean()


def nsd(
    prediction: np.ndarray, reference: np.ndarray, spacing, tolerance_mm: float = 1.0, surface: str = "voxels"
) -> float:
    """Normalised surface Dice: the share of both borders within a tolerance (Nikolov et al. 2018, arXiv:1809.04430).

    Args:
        prediction: bool mask, 2 or 3 axes.
        reference: bool mask of the same shape.
        spacing: voxel size in mm per axis.
        tolerance_mm: distance that still counts as agreement.
        surface: "voxels", or "elements" for the number that surface-distance and MONAI give; see ``surface_distances``.

    Raises:
        InputError: if shapes, spacing or tolerance do not fit together.
    """
    return surface_distances(prediction, reference, spacing, surface).within(tolerance_mm)


def _percentile(distances, areas, percent):
    if areas is None:
        return np.percentile(distances, percent)
    order = np.argsort(distances)
    share = np.cumsum(areas[order]) / areas.sum()
    return distances[order][min(np.searchsorted(share, percent / 100), len(order) - 1)]


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
