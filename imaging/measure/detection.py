"""Agreement of two masks object by object: which connected parts or instances were found."""

from dataclasses import dataclass

import numpy as np

from imaging.measure.components import label_components
from imaging.measure.overlap import as_masks
from medseg.errors import InputError


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


@dataclass(frozen=True)
class PanopticQuality:
    """How well objects were found and outlined.

    Attributes:
        quality: sum of the overlaps of matched objects over (matched + missed / 2 + false / 2): ``recognition`` times
            ``segmentation``; 1 if there is nothing and nothing was found.
        recognition: F1 score of the objects.
        segmentation: mean intersection over union of the matched objects, 0 without any.
        matched: pairs of objects that share more than the threshold.
        missed: objects of the reference without a partner.
        false: objects of the prediction without a partner.
    """

    quality: float
    recognition: float
    segmentation: float
    matched: int
    missed: int
    false: int


def panoptic_quality(prediction: np.ndarray, reference: np.ndarray, threshold: float = 0.5) -> PanopticQuality:
    """Panoptic quality of objects (Kirillov et al., CVPR 2019, arXiv:1801.00868).

    Two objects match where their intersection over union is more than the threshold; from a half on no object can have
    two partners.

    Args:
        prediction: integer numbers of the objects, 0 where there is none, 2 or 3 axes; a bool mask stands for its
            connected parts.
        reference: the same, of the same shape.
        threshold: 0.5 to below 1.

    Raises:
        InputError: if the shapes differ, or for another threshold.
    """
    if not 0.5 <= threshold < 1:
        raise InputError(f"threshold={threshold}: expected 0.5 to below 1, where no object has two partners")
    shared_objects = overlaps(prediction, reference)
    shared = shared_objects.shares[shared_objects.shares > threshold]
    matched = len(shared)
    missed, false = shared_objects.real - matched, shared_objects.predicted - matched
    if not matched:
        quality = float(not missed and not false)
        return PanopticQuality(quality, quality, 0.0, 0, missed, false)
    recognition = matched / (matched + missed / 2 + false / 2)
    segmentation = float(shared.mean())
    return PanopticQuality(recognition * segmentation, recognition, segmentation, matched, missed, false)


THRESHOLDS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))  # of the Data Science Bowl and of COCO


@dataclass(frozen=True)
class Overlaps:
    """Pairs of objects that share a voxel.

    Attributes:
        pairs: (2, N) of the object of the prediction and of the reference, numbered from 1.
        shares: (N,) intersection over union, above 0 to 1.
        predicted: objects of the prediction.
        real: objects of the reference.
    """

    pairs: np.ndarray
    shares: np.ndarray
    predicted: int
    real: int


def overlaps(prediction: np.ndarray, reference: np.ndarray) -> Overlaps:
    """The pairs of objects that share a voxel.

    Args:
        prediction: integer numbers of the objects, 0 where there is none, 2 or 3 axes; a bool mask stands for its
            connected parts.
        reference: the same, of the same shape.

    Raises:
        InputError: if the shapes differ or numbers are negative.
    """
    prediction, reference = np.asarray(prediction), np.asarray(reference)
    if prediction.shape != reference.shape:
        raise InputError(f"prediction of shape {prediction.shape}: the reference has {reference.shape}")
    (predicted, predicted_sizes), (real, real_sizes) = (_numbered(objects) for objects in (prediction, reference))
    both = (predicted > 0) & (real > 0)
    pairs, shared = np.unique(np.stack([predicted[both], real[both]]), axis=1, return_counts=True)
    unions = predicted_sizes[pairs[0]] + real_sizes[pairs[1]] - shared
    return Overlaps(pairs, shared / unions, len(predicted_sizes) - 1, len(real_sizes) - 1)


def average_precision(prediction: np.ndarray, reference: np.ndarray, thresholds=THRESHOLDS) -> dict[float, float]:
    """Matched objects over matched, missed and false ones, at each threshold of the intersection over union.

    The score of the Data Science Bowl 2018 (Caicedo et al., Nature Methods 2019, doi:10.1038/s41592-019-0612-7), by
    which StarDist and Cellpose compare themselves. It is no area under a curve, as no object has a confidence.

    Args:
        prediction: integer numbers of the objects, 0 where there is none, 2 or 3 axes; a bool mask stands for its
            connected parts.
        reference: the same, of the same shape.
        thresholds: each from 0.5 to below 1; objects match where they share more.

    Returns:
        Threshold to score from 0 to 1; 1 where there is nothing and nothing was found.

    Raises:
        InputError: if the shapes differ, or for another threshold.
    """
    if not all(0.5 <= threshold < 1 for threshold in thresholds):
        raise InputError(f"thresholds {tuple(thresholds)}: expected 0.5 to below 1, where no object has two partners")
    shared_objects = overlaps(prediction, reference)
    scores = {}
    for threshold in thresholds:
        matched = int(np.count_nonzero(shared_objects.shares > threshold))
        everything = shared_objects.predicted + shared_objects.real - matched
        scores[threshold] = matched / everything if everything else 1.0
    return scores


def lesion_dice(prediction: np.ndarray, reference: np.ndarray) -> float:
    """Mean Dice of objects: each with its partner, 0 for every missed and every false one.

    As in BraTS 2023 (arXiv:2305.17033), but that two objects are never taken for one. Partners are the pairs that share
    most, each object in one pair at most.

    Args:
        prediction: integer numbers of the objects, 0 where there is none, 2 or 3 axes; a bool mask stands for its
            connected parts.
        reference: the same, of the same shape.

    Returns:
        1 where there is nothing and nothing was found.

    Raises:
        InputError: if the shapes differ or numbers are negative.
    """
    shared_objects = overlaps(prediction, reference)
    taken, total, matched = (set(), set()), 0.0, 0
    for number in np.argsort(-shared_objects.shares, kind="stable"):
        first, second = shared_objects.pairs[:, number].tolist()
        if first in taken[0] or second in taken[1]:
            continue
        taken[0].add(first)
        taken[1].add(second)
        share = float(shared_objects.shares[number])
        total, matched = total + 2 * share / (1 + share), matched + 1
    everything = shared_objects.predicted + shared_objects.real - matched
    return total / everything if everything else 1.0


def score_objects(prediction: np.ndarray, reference: np.ndarray) -> dict[str, float]:
    """Every score of objects in one case.

    Args:
        prediction: integer numbers of the objects, 0 where there is none, 2 or 3 axes.
        reference: the same, of the same shape.

    Returns:
        "ap" (mean of ``average_precision`` from 0.5 to 0.95), "ap50", "ap75", "pq" (``panoptic_quality``), "f1" (of
        objects that share more than a half), "lesion_dice", "objects" and "reference_objects" (their numbers).

    Raises:
        InputError: if the shapes differ or numbers are negative.
    """
    prediction, reference = np.asarray(prediction), np.asarray(reference)
    scores = average_precision(prediction, reference)
    panoptic = panoptic_quality(prediction, reference)
    return {
        "ap": float(np.mean(list(scores.values()))),
        "ap50": scores[0.5],
        "ap75": scores[0.75],
        "pq": panoptic.quality,
        "f1": panoptic.recognition,
        "lesion_dice": lesion_dice(prediction, reference),
        "objects": panoptic.matched + panoptic.false,
        "reference_objects": panoptic.matched + panoptic.missed,
    }


def _numbered(objects):
    """Objects numbered from 1, and voxel counts by number."""
    if objects.dtype == bool:
        return label_components(objects)
    values, numbers, counts = np.unique(objects, return_inverse=True, return_counts=True)
    if len(values) and values[0] < 0:
        raise InputError(f"objects numbered {values[0]}: expected 0 for none and positive numbers")
    numbers = numbers.reshape(objects.shape)
    if not len(values) or values[0] != 0:
        numbers, counts = numbers + 1, np.concatenate([[0], counts])
    return numbers, counts
