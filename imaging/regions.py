"""Regions: structures that may overlap, found by a sigmoid each and written into one segmentation.

A network of regions has a channel for each and none for the background. A region is where its logit is above 0, that
is its probability above a half. The segmentation holds one value a voxel: each region writes its own, in their order,
over what was written before (nnU-Net's ``regions_class_order``; Isensee et al. 2021, arXiv:1904.08128).
"""

from collections.abc import Sequence

import numpy as np

from imaging.labels import Label, Region
from medseg.errors import InputError

UNSETTLED = 255  # no class, or the last of 256, which is then looked at more closely for nothing
ALIKE = 1e-5  # far beyond what rounding in an interpolation by float32 moves


def region_classes(labels: Sequence[Label], regions: Sequence[Region]) -> tuple[tuple[int, ...], ...]:
    """The class indices that each region covers, as losses and metrics take them."""
    index = {label.value: number for number, label in enumerate(labels)}
    return tuple(tuple(index[value] for value in region.values) for region in regions)


def written_classes(labels: Sequence[Label], regions: Sequence[Region]) -> tuple[int, ...] | None:
    """The class index that each region writes, in their order; None without regions."""
    index = {label.value: number for number, label in enumerate(labels)}
    return tuple(index[region.written] for region in regions) or None


def structures(labels: Sequence[Label], regions: Sequence[Region] = ()) -> dict[str, tuple[int, ...]]:
    """What is scored: name to the class indices that belong to it; the regions, or else every foreground class."""
    if regions:
        named = zip(regions, region_classes(labels, regions), strict=True)
        return {region.name: indices for region, indices in named}
    return {label.name: (index,) for index, label in enumerate(labels) if index}


def structure_values(labels: Sequence[Label], regions: Sequence[Region] = ()) -> dict[str, tuple[int, ...]]:
    """The same with the values in label files in place of class indices."""
    values = [label.value for label in labels]
    return {name: tuple(values[i] for i in indices) for name, indices in structures(labels, regions).items()}


def mask_of(array: np.ndarray, members: Sequence[int]) -> np.ndarray:
    """Where an array of class indices or label values holds one of ``members``, as a bool array."""
    mask = array == members[0]
    for member in members[1:]:
        mask |= array == member
    return mask


def classes_of(scores: np.ndarray, written: Sequence[int] | None = None) -> np.ndarray:
    """The class of every voxel by its scores.

    Args:
        scores: float (*spatial, K), logits or probabilities of at most 256 classes; of regions logits.
        written: class index that each region writes, in their order; None for disjoint classes.

    Returns:
        uint8 (*spatial): of disjoint classes that with the largest score, of equal ones the smaller index; of regions
        the last that is written, 0 where there is none.
    """
    if written is None:
        if scores.shape[-1] == 2:
            return (scores[..., 1] > scores[..., 0]).view(np.uint8)
        # argmax over the last axis, several times as fast as NumPy's for the few classes there are
        best = scores[..., 0].copy()
        out = np.zeros(best.shape, np.uint8)
        for k in range(1, scores.shape[-1]):
            wins = scores[..., k] > best
            out[wins] = k
            np.copyto(best, scores[..., k], where=wins)
        return out
    out = np.zeros(scores.shape[:-1], np.uint8)
    for channel, index in enumerate(written):
        out[scores[..., channel] > 0] = index
    return out


def settled(scores: np.ndarray, written: Sequence[int] | None = None) -> np.ndarray:
    """What decides the class of each voxel where that is beyond doubt.

    Voxels of one number have its class, and so has every weighted mean of their scores, however it is rounded.

    Args:
        scores, written: as for ``classes_of``.

    Returns:
        uint8 (*spatial): the class index; of regions one more than the number of the last region that is there, 0 where
        none is. ``UNSETTLED`` where two scores, or of regions one and 0, are alike but for ``ALIKE`` of the largest.
    """
    least = ALIKE * float(np.abs(scores).max(initial=0.0))
    if written is not None:
        out = np.zeros(scores.shape[:-1], np.uint8)
        for channel in range(len(written)):
            out[scores[..., channel] > 0] = channel + 1
        doubtful = ~(np.abs(scores[..., : len(written)]) > least).all(axis=-1)
    else:
        out = classes_of(scores)
        best, second = scores[..., 0].copy(), np.full(scores.shape[:-1], -np.inf, scores.dtype)
        for k in range(1, scores.shape[-1]):
            np.maximum(second, np.minimum(best, scores[..., k]), out=second)
            np.maximum(best, scores[..., k], out=best)
        doubtful = ~(best - second > least)
    out[doubtful] = UNSETTLED
    return out


def check_regions(labels: Sequence[Label], regions: Sequence[Region]) -> None:
    """Require that regions are made of the values of foreground classes and write such.

    Raises:
        InputError: naming the region.
    """
    names = [region.name for region in regions]
    if len(set(names)) != len(names):
        raise InputError(f"regions {', '.join(names)}: expected all names to differ")
    known = [label.value for label in labels[1:]]
    for region in regions:
        for value in (*region.values, region.written):
            if value not in known:
                raise InputError(
                    f"region {region.name!r}: value {value} is no class; expected {', '.join(map(str, known))}"
                )
        if not region.values:
            raise InputError(f"region {region.name!r}: holds no value; expected one or more")
