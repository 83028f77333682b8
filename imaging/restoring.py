"""Labels onto the grid of a prepared scan, and its scores back into the geometry of the scan that it was made from."""

from collections.abc import Sequence

import numpy as np

from imaging.filters.registry import get
from imaging.geometry.restoring import onto_prepared, onto_source, restore_class_slabs
from imaging.instances import Decoding, find_objects
from imaging.scan import Scan
from medseg.errors import InputError

NOWHERE = -50.0  # logit of what was cropped away


def prepare_labels(labels: Scan, prepared: Scan, recipe) -> Scan:
    """A label map on the grid of the prepared image.

    Args:
        labels: integer voxels (*spatial, 1), in the geometry of the source image.
        prepared: what ``prepare`` made of the image.
        recipe: the same ``imaging.Recipe``.

    Returns:
        A scan of (*prepared.shape, 1) in the labels' type, with no value that ``labels`` lacks except 0 outside it.

    Raises:
        InputError: if the labels have other axes or more than one channel.
    """
    if labels.rank != recipe.rank or labels.channels != 1:
        raise InputError(
            f"label map of shape {labels.voxels.shape}: expected {recipe.rank} spatial axes and one channel"
        )
    resized = recipe.spacing is not None or recipe.size is not None
    resized = resized or any(get(step.name).moves for step in recipe.filters)
    return Scan(onto_prepared(labels.voxels, labels.affine, prepared, resized), prepared.affine)


def restore(scores: np.ndarray, prepared: Scan, source: Scan) -> np.ndarray:
    """Scores of a prepared scan in the geometry of the scan that it was made from.

    Exact where preparing only flipped, permuted and cropped; linear interpolation where it resampled. Source voxels
    outside the prepared grid (cropped away) are background for certain: class 0 gets the largest score that occurs
    anywhere, the other classes the smallest.

    Args:
        scores: (*prepared.shape, K), probabilities or logits, class 0 the background.
        prepared: what ``prepare`` made of ``source``.
        source: the scan as read.

    Returns:
        float32 (*source.shape, K).

    Raises:
        InputError: if the scores are not on the grid of ``prepared``.
    """
    scores = _on_grid(scores, prepared)
    return onto_source(scores, prepared, source, _background(scores))


def restore_classes(
    scores: np.ndarray, prepared: Scan, source: Scan, slab: int = 16, written: Sequence[int] | None = None
) -> np.ndarray:
    """The class with the largest score at every voxel of the source: ``restore(...).argmax(-1)`` in less memory.

    Of regions it is the class that the last region with a logit above 0 writes.

    The scores are never held in the source geometry whole, only some slices at a time.

    Args:
        scores: (*prepared.shape, K), probabilities or logits of at most 256 classes, class 0 the background.
        prepared: what ``prepare`` made of ``source``.
        source: the scan as read.
        slab: slices of the source that are restored at once.
        written: of the logits of regions, the class index that each writes (``imaging.regions``); None for classes.

    Returns:
        uint8 (*source.shape), class indices; of equal scores the smaller index.

    Raises:
        InputError: if the scores are not on the grid of ``prepared``.
    """
    scores = _on_grid(scores, prepared)
    out = np.zeros(source.shape, np.uint8)  # what was cropped away is background
    for place, classes in restore_class_slabs([(0, scores)], prepared, source, written, slab):
        out[place] = classes
    return out


def restore_objects(scores: np.ndarray, prepared: Scan, source: Scan, decoding: Decoding) -> np.ndarray:
    """The objects that a network of instances finds, in the geometry of the source.

    Args:
        scores: (*prepared.shape, 2), logits of ``imaging.instances.CHANNELS``.
        prepared: what ``prepare`` made of ``source``.
        source: the scan as read.
        decoding: how the scores are cut into objects.

    Returns:
        int32 (*source.shape), numbers from 1, 0 where there is none.

    Raises:
        InputError: if the scores are not on the grid of ``prepared``.
    """
    scores = _on_grid(scores, prepared)
    restored = onto_source(scores, prepared, source, np.full(scores.shape[-1], NOWHERE))
    return find_objects(0.5 * (1 + np.tanh(0.5 * restored)), source.spacing, decoding)


def _on_grid(scores, prepared):
    scores = np.asarray(scores, np.float32)
    if scores.shape[:-1] != prepared.shape:
        raise InputError(f"scores of shape {scores.shape}: expected {prepared.shape} and a class axis")
    return scores


def _background(scores):
    fill = np.full(scores.shape[-1], scores.min())
    if len(fill) > 1:
        fill[0] = scores.max()
    return fill
