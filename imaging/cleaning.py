"""Cleaning up a segmentation, class by class: small parts go, holes are filled.

What cross-validation chose travels in the manifest, so that training, evaluation and the device do the same.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from imaging.labels import Label
from medseg.errors import InputError


@dataclass(frozen=True)
class ClassCleaning:
    """What is done to a class, in this order.

    Attributes:
        label: name of the class.
        largest: only the largest connected part stays.
        min_volume_mm3: smaller connected parts go (square mm in 2D).
        fill_holes: enclosed background is filled; other classes inside stay.
    """

    label: str
    largest: bool = False
    min_volume_mm3: float = 0.0
    fill_holes: bool = False


@dataclass(frozen=True)
class Postprocessing:
    """What is done to a segmentation.

    Attributes:
        classes: what is done to each; a class that is not listed stays as it is.
    """

    classes: tuple[ClassCleaning, ...] = ()


def apply(indices: np.ndarray, chosen: Postprocessing, labels: Sequence[Label], spacing) -> np.ndarray:
    """Clean up a segmentation.

    Args:
        indices: class indices, 2 or 3 axes.
        chosen: what to do.
        labels: classes by class index.
        spacing: voxel size in mm per axis.

    Returns:
        Class indices of the same shape and type; voxels that go become background.
    """
    names = [label.name for label in labels]
    background = indices == 0
    result = indices.copy()
    for cleaning in chosen.classes:
        index = names.index(cleaning.label)
        before = indices == index
        after = clean(before, background, cleaning, spacing)
        result[before & ~after] = 0
        result[after & (result == 0)] = index
    return result


def clean(mask: np.ndarray, background: np.ndarray, cleaning: ClassCleaning, spacing) -> np.ndarray:
    """The bool mask of one class, cleaned up; only voxels of the mask ``background`` are gained."""
    from imaging.measure import components

    kept = mask
    if cleaning.largest:
        kept = components.largest_component(kept)
    if cleaning.min_volume_mm3 > 0:
        kept = components.remove_small(kept, cleaning.min_volume_mm3, spacing)
    if cleaning.fill_holes:
        kept = kept | (components.fill_holes(kept) & (background | mask))
    return kept


def check(chosen: Postprocessing, labels: Sequence[Label]) -> None:
    """Require that a postprocessing fits the classes.

    Raises:
        InputError: naming the class.
    """
    names = [label.name for label in labels[1:]]
    cleaned = [cleaning.label for cleaning in chosen.classes]
    for cleaning in chosen.classes:
        if cleaning.label not in names or cleaned.count(cleaning.label) > 1:
            raise InputError(f"postprocessing of {cleaning.label!r}: expected each of {', '.join(names)} once at most")
        if not 0 <= cleaning.min_volume_mm3 < math.inf:
            raise InputError(
                f"postprocessing of {cleaning.label}: min_volume_mm3 {cleaning.min_volume_mm3}, expected 0 or more"
            )


def cleaning_text(cleaning: ClassCleaning) -> str:
    """What is done to a class, in words."""
    steps = [
        "largest part only" if cleaning.largest else "",
        f"parts below {cleaning.min_volume_mm3:g} mm³ removed" if cleaning.min_volume_mm3 else "",
        "holes filled" if cleaning.fill_holes else "",
    ]
    return ", ".join(step for step in steps if step)
