"""Clicks as a person might make them, drawn from a reference segmentation: for benchmarks, tuning and tests."""

import numpy as np

from imaging.classical.seeds.strokes import Stroke
from medseg.errors import InputError

_MARGIN = 2.0  # voxels (of the finest axis) that a click keeps from the boundary
_FAR = 0.95  # a click is one of the twentieth of voxels that lie farthest from the earlier clicks
_REACH_MM = 3.0


def simulated_clicks(
    mask: np.ndarray, spacing, count: int, random, label: int = 1, spread: bool = True
) -> tuple[Stroke, ...]:
    """Points inside a structure and around it, spread out as a person would, and never near the boundary.

    Inside, all voxels at least two from the boundary count (in thin structures those deeper than half its largest
    depth); around it, those two voxels to the structure's own largest depth away. The first is drawn at random; each
    further one at random among the twentieth of the voxels that lie farthest from those before.

    Args:
        mask: bool (*spatial), the reference.
        spacing: voxel size in mm per axis.
        count: points inside, and as many outside.
        random: ``numpy.random.Generator``.
        label: of the points inside; those outside are 0.
        spread: False draws every point at random.

    Raises:
        InputError: if the mask is empty or full.
    """
    from scipy.ndimage import distance_transform_edt

    if not mask.any() or mask.all():
        raise InputError(f"reference is {'empty' if not mask.any() else 'full'}; expected a structure and surroundings")
    finest = min(spacing)
    depth = distance_transform_edt(mask, spacing)
    away = distance_transform_edt(~mask, spacing)
    deep = np.argwhere(depth >= min(_MARGIN * finest, depth.max() / 2))
    reach = _MARGIN * finest + max(_REACH_MM, float(depth.max()))
    around = np.argwhere((away >= min(_MARGIN * finest, away.max() / 2)) & (away <= reach))
    size = np.asarray(spacing, float)
    drawn = []
    for value, places in ((label, deep), (0, around)):
        far = _FAR if spread else 0.0
        drawn += [Stroke("point", value, (tuple(map(float, p)),)) for p in _chosen(places, count, random, size, far)]
    return tuple(drawn)


def _chosen(places, count, random, size, share):
    chosen = [places[random.integers(len(places))]]
    distance = np.full(len(places), np.inf)
    for _ in range(count - 1):
        distance = np.minimum(distance, (((places - chosen[-1]) * size) ** 2).sum(axis=1))
        far = np.flatnonzero(distance >= np.quantile(distance, share))
        chosen.append(places[random.choice(far)])
    return chosen
