"""Clean-up of what a method finds, label by label, in mm."""

import numpy as np

from imaging.measure.components import fill_holes, largest_component, remove_small


def cleaned(labels: np.ndarray, spacing, largest: bool, fill: bool, min_mm3: float, open_mm: float) -> np.ndarray:
    """Labels (*spatial) after an opening, without small parts, reduced to the largest, and with holes filled.

    Args:
        labels: integers, 0 the background.
        spacing: voxel size in mm per axis.
        largest: only the largest connected part of each label stays.
        fill: background that a label encloses becomes that label.
        min_mm3: connected parts of at least this stay (mm2 in 2D).
        open_mm: radius of a ball; parts of a label that it does not fit into are taken away.
    """
    out = np.zeros_like(labels)
    for value in np.unique(labels):
        if value == 0:
            continue
        mask = labels == value
        if open_mm:
            mask = opened(mask, spacing, open_mm)
        if min_mm3:
            mask = remove_small(mask, min_mm3, spacing)
        if largest:
            mask = largest_component(mask)
        if fill:
            mask = fill_holes(mask) & ((labels == 0) | (labels == value))
        out[mask] = value
    return out


def opened(mask: np.ndarray, spacing, radius_mm: float) -> np.ndarray:
    """A bool mask opened by a ball of a radius in mm, by distances, so that large balls take no longer.

    What lies outside the scan counts as part of the structure: nothing is lost at its border.
    """
    from scipy.ndimage import distance_transform_edt

    if mask.all() or not mask.any():
        return mask
    kept = distance_transform_edt(mask, spacing) > radius_mm
    if not kept.any():
        return kept
    return mask & (distance_transform_edt(~kept, spacing) <= radius_mm)
