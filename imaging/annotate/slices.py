"""Labels between sparsely labelled slices, by the shapes on both sides (Raya and Udupa, IEEE TMI 1990)."""

import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from imaging.scan import Scan
from medseg.errors import InputError, UsageError


def fill_between(labels: Scan, axis: int | None = None, slices: Sequence[int] | None = None) -> Scan:
    """Fill the slices between those that are labelled.

    Each structure has, in a labelled slice, a distance to its outline, positive inside; between two labelled slices
    these distances change evenly, and a voxel belongs to the structure with the largest, if it is positive. Labelled
    slices stay as they are, and so do those before the first and after the last.

    Args:
        labels: label values (*spatial, 1), 3D.
        axis: across the slices; None takes the axis with the smallest share of labelled slices.
        slices: numbers of the labelled slices, also of empty ones; None takes those that hold a label.

    Returns:
        Labels of the same type and geometry.

    Raises:
        InputError: if fewer than two slices are labelled.
        UsageError: for an axis or slice that is not there, or a 2D label map.
    """
    values = labels.voxels[..., 0]
    if labels.rank != 3:
        raise UsageError(f"labels of shape {labels.shape}: expected 3 axes, as slices are filled between slices")
    if not values.any():
        raise InputError("labels: nothing is labelled; expected at least two labelled slices")
    used = [np.flatnonzero(values.any(axis=tuple(a for a in range(3) if a != k))) for k in range(3)]
    if axis is None:
        shares = [len(used[k]) / (used[k][-1] - used[k][0] + 1) for k in range(3)]
        axis = int(np.argmin(shares))
        if slices is None and min(shares) == 1 and min(map(len, used)) == 1:
            alone = int(np.argmin([len(numbers) for numbers in used]))
            raise InputError(f"labels: a single labelled slice along axis {alone}; expected at least two")
    if axis not in (0, 1, 2):
        raise UsageError(f"axis {axis}: expected 0, 1 or 2")
    chosen = used[axis] if slices is None else np.unique(np.asarray(slices, int))
    if len(chosen) and not 0 <= chosen[0] <= chosen[-1] < labels.shape[axis]:
        raise UsageError(f"slices {chosen[0]} to {chosen[-1]}: expected 0 to {labels.shape[axis] - 1}")
    if len(chosen) < 2:
        raise InputError(f"labels: {len(chosen)} labelled slice along axis {axis}; expected at least two")
    spacing = [size for k, size in enumerate(labels.spacing) if k != axis]
    out = np.moveaxis(values.copy(), axis, 0)
    for first, last in itertools.pairwise(chosen.tolist()):
        if last - first > 1:
            out[first + 1 : last] = _between(out[first], out[last], last - first, spacing)
    return replace(labels, voxels=np.ascontiguousarray(np.moveaxis(out, 0, axis))[..., None])


def _between(first, last, steps, spacing):
    """The ``steps - 1`` slices between two."""
    present = np.setdiff1d(np.union1d(first, last), 0)
    share = (np.arange(1, steps) / steps)[:, None, None]
    best = np.zeros((steps - 1, *first.shape))
    out = np.zeros(best.shape, first.dtype)
    for value in present:
        depth = (1 - share) * _depth(first == value, last == value, spacing) + share * _depth(
            last == value, first == value, spacing
        )
        wins = depth > best
        out[wins], best[wins] = value, depth[wins]
    return out


def _depth(mask, opposite, spacing):
    """Signed distance (mm) to the outline of a mask, positive inside.

    A structure that ends before the other slice shrinks to its innermost place there.
    """
    from scipy.ndimage import distance_transform_edt

    if mask.any():
        outside = distance_transform_edt(~mask, spacing) - min(spacing) / 2
        inside = distance_transform_edt(mask, spacing) - min(spacing) / 2
        return np.where(mask, inside, -outside)
    depth = distance_transform_edt(opposite, spacing)
    return depth - depth.max() - min(spacing) / 2
