"""Whether predicted probabilities can be believed."""

import numpy as np

from medseg.errors import InputError


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
    _check(probabilities, reference)
    confidence = probabilities.max(axis=-1).ravel()
    right = (probabilities.argmax(axis=-1) == reference).ravel()
    return _table(confidence, right, bins)


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
    return calibration_error(reliability(probabilities, reference, bins))


def class_reliability(probabilities: np.ndarray, reference: np.ndarray, bins: int = 15) -> np.ndarray:
    """How often voxels of a given probability of a class are of that class.

    Args:
        probabilities: (..., K), summing to 1 over classes.
        reference: integer (...), class indices; voxels of another index than 0 to K - 1 do not count.
        bins: equal steps of probability from 0 to 1; a bin holds its upper limit.

    Returns:
        (K, bins, 3): voxels, mean probability and share that is of the class; 0 where a bin holds none.

    Raises:
        InputError: if the shapes do not fit together.
    """
    _check(probabilities, reference)
    classes = probabilities.shape[-1]
    counted = (reference >= 0) & (reference < classes)
    truth, predicted = reference[counted], probabilities[counted]
    return np.stack([_table(predicted[:, index].astype(np.float64), truth == index, bins) for index in range(classes)])


def map_reliability(probabilities: np.ndarray, maps: np.ndarray, counted: np.ndarray, bins: int = 15) -> np.ndarray:
    """How often voxels of a given probability of a region lie in it; the regions may overlap.

    Args:
        probabilities: (..., K), each from 0 to 1.
        maps: bool (..., K).
        counted: bool (...), voxels that count.
        bins: equal steps of probability from 0 to 1; a bin holds its upper limit.

    Returns:
        (K, bins, 3): voxels, mean probability and share that is in the region; 0 where a bin holds none.

    Raises:
        InputError: if the shapes do not fit together.
    """
    if maps.shape != probabilities.shape:
        raise InputError(f"maps of shape {maps.shape}: expected those of the probabilities, {probabilities.shape}")
    truth, chances = maps[counted], probabilities[counted].astype(np.float64)
    return np.stack([_table(chances[:, k], truth[:, k], bins) for k in range(probabilities.shape[-1])])


def pooled(tables) -> np.ndarray:
    """Tables (..., bins, 3) of several sets of voxels as the table of all of them."""
    tables = np.asarray(list(tables), np.float64)
    count = tables[..., 0].sum(0)
    sums = (tables[..., :1] * tables[..., 1:]).sum(0)
    return np.concatenate([count[..., None], sums / np.maximum(count, 1)[..., None]], -1)


def calibration_error(table: np.ndarray) -> float:
    """The mean over voxels of the difference of probability and frequency in a table (bins, 3).

    Of a table of ``class_reliability`` it is the class-wise expected calibration error of Kull et al. 2019,
    arXiv:1910.12656.
    """
    count, probability, frequency = np.asarray(table, np.float64).T
    return float((count * np.abs(probability - frequency)).sum() / max(1, count.sum()))


def _check(probabilities, reference):
    if probabilities.shape[:-1] != reference.shape:
        raise InputError(
            f"probabilities of shape {probabilities.shape}: the reference has {reference.shape}, expected that and "
            "a class axis"
        )


def _table(probability, right, bins):
    """(bins, 3): voxels, mean probability and share that is right."""
    place = np.clip(np.ceil(probability * bins).astype(np.int64) - 1, 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    whole = np.maximum(count, 1)
    sums = (np.bincount(place, weights, minlength=bins) for weights in (probability, right))
    return np.stack([count, *(total / whole for total in sums)], axis=1)
