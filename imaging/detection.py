"""Agreement of two masks lesion by lesion: which connected parts were found."""

from dataclasses import dataclass

import numpy as np

from imaging.components import label_components
from imaging.overlap import as_masks


@dataclass(frozen=True)
class LesionCounts:
    """Connected parts.

    Attributes:
        found: parts of the reference that the prediction touches.
        missed: parts of the reference that it does not.
        false: parts of the prediction that touch no reference.
        true: parts of the prediction that touch the reference.
    """

    found: int
    missed: int
    false: int
    true: int


def lesion_counts(prediction: np.ndarray, reference: np.ndarray) -> LesionCounts:
    """Count the connected parts that were found, missed and invented; one common voxel is a touch.

    Args:
        prediction: bool mask, 2 or 3 axes.
        reference: bool mask of the same shape.

    Raises:
        InputError: if the shapes differ.
    """
    prediction, reference = as_masks(prediction, reference)
    both = prediction & reference
    hits, totals = [], []
    for mask in (prediction, reference):
        numbered, sizes = label_components(mask)
        hits.append(len(np.unique(numbered[both])))
        totals.append(len(sizes) - 1)
    return LesionCounts(found=hits[1], missed=totals[1] - hits[1], false=totals[0] - hits[0], true=hits[0])


def lesion_f1(prediction: np.ndarray, reference: np.ndarray) -> float:
    """Harmonic mean of the share of predicted parts that are true and the share of reference parts that were found.

    Args:
        prediction: bool mask, 2 or 3 axes.
        reference: bool mask of the same shape.

    Returns:
        1 if both are empty, 0 if nothing was found.

    Raises:
        InputError: if the shapes differ.
    """
    counts = lesion_counts(prediction, reference)
    predicted, referred = counts.true + counts.false, counts.found + counts.missed
    if not predicted and not referred:
        return 1.0
    if not counts.found:
        return 0.0
    precision, recall = counts.true / predicted, counts.found / referred
    return 2 * precision * recall / (precision + recall)
