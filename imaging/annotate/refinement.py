"""Strokes that correct a proposal: a network's probabilities, or labels that are there already."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from imaging.annotate.annotation import Annotation, entropy
from imaging.annotate.focus import crop
from imaging.classical.grid import coarsened, restored
from imaging.classical.prior import windowed
from imaging.classical.random_walker import walk
from imaging.classical.seeding import markers_on
from imaging.classical.segmentation import grey
from imaging.classical.strokes import Seeds, as_seeds
from imaging.geometry.resampling import onto
from imaging.io.nifti import smallest
from imaging.scan import Scan
from medseg.errors import InputError

BETA = 2.5
WEIGHT = 0.05  # of the proposal where strokes agree with it; an edge of an even image has weight 1
_LEAST_TRUST = 0.01  # share of that weight at a stroke that contradicts the proposal
_CERTAIN = 0.95  # probability of a label that was there already
_GROW_MM = 15.0  # around the strokes; what lies farther away stays as it was proposed
_MAX_VOXELS = 60_000


def refine(
    scan: Scan,
    strokes,
    probabilities: np.ndarray,
    values: Sequence[int],
    *,
    beta: float = BETA,
    weight: float = WEIGHT,
) -> Annotation:
    """Labels by a proposal, corrected by strokes: a random walk whose prior is the proposal.

    Strokes that contradict the proposal lower its weight within 15 mm, the nearer the more; where there is no stroke
    within 15 mm the proposal stands.

    Args:
        scan: 2D or 3D.
        strokes: of labels among ``values``, see ``imaging.classical.read_strokes``; empty for the proposal alone.
        probabilities: float32 (*spatial, K).
        values: label value of each class, background first.
        beta: how strongly edges hold a stroke's influence.
        weight: of the proposal against the strokes.

    Returns:
        Labels, and the entropy of their probabilities.

    Raises:
        InputError: for a proposal of another shape, strokes of labels that it lacks, outside the scan, or two labels on
            one voxel.
    """
    values = tuple(values)
    if probabilities.shape != (*scan.shape, len(values)):
        raise InputError(
            f"probabilities of shape {probabilities.shape}: expected {(*scan.shape, len(values))}, the scan's and one "
            "for each label"
        )
    labels = np.asarray(values, np.int32)[probabilities.argmax(axis=-1)]
    doubt = entropy(probabilities)
    if isinstance(strokes, Seeds | np.ndarray) or strokes:
        seeds = as_seeds(scan, strokes)
        _check_values(seeds, values)
        box = _surroundings(scan, seeds)
        part, marks = crop(scan, seeds, box)
        coarse = coarsened(part, _MAX_VOXELS)
        prior = onto(probabilities[box], part.affine, coarse, antialias=True)
        markers, marked = markers_on(coarse, part, marks, minimum=1)
        markers = np.where(markers >= 0, np.searchsorted(values, marked)[np.maximum(markers, 0)], -1)
        weights = weight * _trust(markers, prior, coarse.spacing)
        walked = walk(windowed(grey(coarse), markers), coarse.spacing, markers, prior, beta, weights)
        labels[box] = np.asarray(values, np.int32)[restored(walked, coarse, part)]
        labels = np.where(seeds.labels >= 0, seeds.labels, labels)
        doubt[box] = onto(entropy(walked)[..., None], coarse.affine, part)[..., 0]
        doubt[seeds.labels >= 0] = 0
    return Annotation(
        replace(scan, voxels=smallest(labels)[..., None]), replace(scan, voxels=doubt[..., None].astype(np.float32))
    )


def refine_labels(scan: Scan, strokes, labels: Scan, *, beta: float = BETA, weight: float = WEIGHT) -> Annotation:
    """Labels that are there already, corrected by strokes; see ``refine``.

    Args:
        scan: 2D or 3D.
        strokes: what is wrong, in the label that is right there; other values than those of ``labels`` may come.
        labels: label values (*spatial, 1) on the scan's grid.
        beta: how strongly edges hold a stroke's influence.
        weight: of the labels against the strokes.

    Raises:
        InputError: as ``refine`` does, and for labels of another shape.
    """
    if labels.voxels.shape != (*scan.shape, 1):
        raise InputError(f"labels of shape {labels.voxels.shape}: expected {(*scan.shape, 1)} as the scan has")
    seeds = as_seeds(scan, strokes)
    values = tuple(sorted({0, *np.unique(labels.voxels).tolist(), *seeds.values}))
    rest = (1 - _CERTAIN) / max(1, len(values) - 1)
    probabilities = np.where(labels.voxels == np.asarray(values), np.float32(_CERTAIN), np.float32(rest))
    return refine(scan, seeds, probabilities, values, beta=beta, weight=weight)


def _trust(markers, prior, spacing):
    """How much of its weight the proposal keeps (*spatial): 1 far from strokes that contradict it, little at them."""
    from scipy.ndimage import distance_transform_edt

    contradicted = (markers >= 0) & (markers != prior.argmax(axis=-1))
    if not contradicted.any():
        return 1.0
    distance = distance_transform_edt(~contradicted, spacing)
    return np.clip((distance / _GROW_MM) ** 2, _LEAST_TRUST, 1)


def _check_values(seeds, values):
    strange = [value for value in seeds.values if value not in values]
    if strange:
        raise InputError(
            f"strokes: label {strange[0]} is none of the proposal's; expected {', '.join(map(str, values))}"
        )
    if seeds.box is not None:
        raise InputError("strokes: a box tells a proposal nothing; expected points or scribbles")


def _surroundings(scan, seeds):
    places = np.argwhere(seeds.labels >= 0)
    margin = np.ceil(_GROW_MM / np.asarray(scan.spacing)).astype(int)
    low = np.maximum(places.min(axis=0) - margin, 0)
    high = np.minimum(places.max(axis=0) + margin + 1, scan.shape)
    return tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
