"""Agreement of two masks by the voxels that they share.

Two empty masks agree fully, so every score is 1; a score whose denominator alone is empty is 0.
"""

import numpy as np

from medseg.errors import InputError


def counts(prediction: np.ndarray, reference: np.ndarray) -> tuple[int, int, int]:
    """Voxels in both masks, in the prediction, in the reference.

    Raises:
        InputError: if the shapes differ.
    """
    prediction, reference = as_masks(prediction, reference)
    return tuple(int(np.count_nonzero(m)) for m in (prediction & reference, prediction, reference))


def as_masks(prediction, reference) -> tuple[np.ndarray, np.ndarray]:
    """Both as bool arrays of one shape.

    Raises:
        InputError: if the shapes differ.
    """
    prediction, reference = np.asarray(prediction), np.asarray(reference)
    if prediction.shape != reference.shape:
        raise InputError(
            f"prediction of shape {prediction.shape}: the reference has {reference.shape}, accepted is one"
        )
    return prediction.astype(bool, copy=False), reference.astype(bool, copy=False)


def dice(prediction: np.ndarray, reference: np.ndarray) -> float:
    """Dice coefficient 2 |P and R| / (|P| + |R|) (Dice 1945, doi:10.2307/1932409).

    Args:
        prediction: bool mask of any shape.
        reference: bool mask of the same shape.

    Raises:
        InputError: if the shapes differ.
    """
    both, predicted, referred = counts(prediction, reference)
    return _ratio(2 * both, predicted + referred, predicted + referred == 0)


def iou(prediction: np.ndarray, reference: np.ndarray) -> float:
    """Intersection over union (Jaccard index) |P and R| / |P or R|; arguments as for ``dice``."""
    both, predicted, referred = counts(prediction, reference)
    return _ratio(both, predicted + referred - both, predicted + referred == 0)


def precision(prediction: np.ndarray, reference: np.ndarray) -> float:
    """Share of the prediction that is right, |P and R| / |P|; arguments as for ``dice``.

    0 if nothing was predicted though there is something.
    """
    both, predicted, referred = counts(prediction, reference)
    return _ratio(both, predicted, predicted + referred == 0)


def recall(prediction: np.ndarray, reference: np.ndarray) -> float:
    """Share of the reference that was found, |P and R| / |R|; arguments as for ``dice``.

    0 if something was predicted though there is nothing.
    """
    both, predicted, referred = counts(prediction, reference)
    return _ratio(both, referred, predicted + referred == 0)


def _ratio(part, whole, both_empty):
    if both_empty:
        return 1.0
    return part / whole if whole else 0.0
