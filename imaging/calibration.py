"""Whether predicted probabilities can be believed."""

import numpy as np

from imaging.errors import InputError


def reliability(probabilities: np.ndarray, reference: np.ndarray, bins: int = 15) -> np.ndarray:
    """How often voxels of a given confidence are right.

    Args:
        probabilities: (..., K), summing to 1 over classes; the largest is the confidence.
        reference: integer (...), class indices.
        bins: equal steps of confidence from 0 to 1; a bin holds its upper limit.

    Returns:
        (bins, 3): voxels, mean confidence and share that is right; 0 where a bin holds none.

    Raises:
        InputError: if the shapes do not fit together.
    """
    if probabilities.shape[:-1] != reference.shape:
        raise InputError(
            f"probabilities of shape {probabilities.shape}: the reference has {reference.shape}, accepted is that and "
            "a class axis"
        )
    confidence = probabilities.max(axis=-1).ravel()
    right = (probabilities.argmax(axis=-1) == reference).ravel()
    place = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    whole = np.maximum(count, 1)
    return np.stack(
        [
            count,
            np.bincount(place, confidence, minlength=bins) / whole,
            np.bincount(place, right, minlength=bins) / whole,
        ],
        axis=1,
    )


def expected_calibration_error(probabilities: np.ndarray, reference: np.ndarray, bins: int = 15) -> float:
    """Mean difference of confidence and accuracy over voxels, in bins (Guo et al. 2017, arXiv:1706.04599).

    Args:
        probabilities: (..., K), summing to 1 over classes.
        reference: integer (...), class indices.
        bins: equal steps of confidence.

    Returns:
        0 for perfect calibration, at most 1.

    Raises:
        InputError: if the shapes do not fit together.
    """
    count, confidence, right = reliability(probabilities, reference, bins).T
    return float((count * np.abs(confidence - right)).sum() / max(1, count.sum()))
