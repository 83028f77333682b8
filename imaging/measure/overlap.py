"""Agreement of two masks by the voxels that they share.

Two empty masks agree fully, so every score is 1; a score whose denominator alone is empty is 0. With
``ignore_empty=True`` a score is NaN where the reference is empty, as MONAI's is, so that ``numpy.nanmean`` leaves such
cases out.
"""

import math

import numpy as np

from medseg.errors import InputError


def counts(prediction: np.ndarray, reference: np.ndarray) -> tuple[int, int, int]:
    """Voxels in both masks, in the prediction, in the reference.

    Raises:
        InputError: if the shapes differ.
    """
    prediction, reference = as_masks(prediction, reference)
    both = int(np.count_nonzero(prediction & reference))
    return both, int(np.count_nonzero(prediction)), int(np.count_nonzero(reference))


def as_masks(prediction, reference) -> tuple[np.ndarray, np.ndarray]:
    """Both as bool arrays of one shape.

    Raises:
        InputError: if the shapes differ.
    """
    prediction, reference = np.asarray(prediction), np.asarray(reference)
    if prediction.shape != reference.shape:
        raise InputError(
            f"prediction of shape {prediction.shape}: the reference has {reference.shape}, expected the same"
        )
    return prediction.astype(bool, copy=False), reference.astype(bool, copy=False)


def dice(prediction: np.ndarray, reference: np.ndarray, ignore_empty: bool = False) -> float:
    """Dice coefficient 2 |P and R| / (|P| + |R|) (Dice 1945, doi:10.2307/1932409).

    Args:
        prediction: bool mask of any shape.
        reference: bool mask of the same shape.
        ignore_empty: NaN where the reference is empty.

    Raises:
        InputError: if the shapes differ.
    """
    both, predicted, referred = counts(prediction, reference)
    return _ratio(2 * both, predicted + referred, predicted + referred == 0, ignore_empty and not referred)


def iou(prediction: np.ndarray, reference: np.ndarray, ignore_empty: bool = False) -> float:
    """Intersection over union (Jaccard index) |P and R| / |P or R|; arguments as for ``dice``."""
    both, predicted, referred = counts(prediction, reference)
    return _ratio(both, predicted + referred - both, predicted + referred == 0, ignore_empty and not referred)


def precision(prediction: np.ndarray, reference: np.ndarray, ignore_empty: bool = False) -> float:
    """Share of the prediction that is right, |P and R| / |P|; arguments as for ``dice``.

    0 if nothing was predicted though there is something.
    """
    both, predicted, referred = counts(prediction, reference)
    return _ratio(both, predicted, predicted + referred == 0, ignore_empty and not referred)


def recall(prediction: np.ndarray, reference: np.ndarray, ignore_empty: bool = False) -> float:
    """Share of the reference that was found, |P and R| / |R|; arguments as for ``dice``.

    0 if something was predicted though there is nothing.
    """
    both, predicted, referred = counts(prediction, reference)
    return _ratio(both, referred, predicted + referred == 0, ignore_empty and not referred)


def false_positive_rate(prediction: np.ndarray, reference: np.ndarray) -> float:
    """Share of the voxels outside the reference that were predicted, FP / (FP + TN); arguments as for ``dice``.

    0 if there is no voxel outside. Lower is better.
    """
    both, predicted, referred = counts(prediction, reference)
    outside = np.asarray(reference).size - referred
    return (predicted - both) / outside if outside else 0.0


def false_negative_rate(prediction: np.ndarray, reference: np.ndarray) -> float:
    """Share of the reference that was missed, FN / (FN + TP); arguments as for ``dice``.

    0 if the reference is empty. Lower is better.
    """
    both, _, referred = counts(prediction, reference)
    return (referred - both) / referred if referred else 0.0


def mcc(prediction: np.ndarray, reference: np.ndarray) -> float:
    """Matthews' correlation coefficient, -1 to 1 (Matthews 1975, doi:10.1016/0005-2795(75)90109-9).

    1 for two masks that are both empty or both full; 0 where only one of them is. Arguments as for ``dice``.
    """
    both, predicted, referred = counts(prediction, reference)
    size = np.asarray(reference).size
    below = math.sqrt(predicted) * math.sqrt(referred) * math.sqrt(size - predicted) * math.sqrt(size - referred)
    if not below:
        return float(both == predicted == referred)
    return (size * both - predicted * referred) / below


def _ratio(part, whole, both_empty, left_out):
    if left_out:
        return math.nan
    if both_empty:
        return 1.0
    return part / whole if whole else 0.0
