"""Strokes that correct a proposal: a network's probabilities, or labels that are there already."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from imaging.annotate.annotation import Annotation, entropy
from imaging.annotate.correction import correction
from imaging.classical.seeds.drawing import Seeds, as_seeds
from imaging.io.nifti import smallest
from imaging.scan import Scan
from medseg.errors import InputError

REACH = 3.0
EDGES = 0.3
_CERTAIN = 0.95  # probability of a label that was there already


def refine(
    scan: Scan,
    strokes,
    probabilities: np.ndarray,
    values: Sequence[int],
    *,
    reach: float = REACH,
    edges: float = EDGES,
) -> Annotation:
    """Labels by a proposal, corrected near the strokes that contradict it.

    A stroke counts 1 where it lies and ever less with the geodesic distance from it, edges of the image making the way
    longer (Wang et al., DeepIGeoS, IEEE PAMI 2019); the probabilities are mixed in that proportion with the stroke's
    label. So a proposal that is sure holds out longer. It reaches as far as the error seems to be large: ``reach``
    times the distance to where the proposal has the stroke's label already. Strokes that agree with the proposal end
    the reach of others; without any that contradict it, the proposal stands.

    Args:
        scan: 2D or 3D.
        strokes: of labels among ``values``, see ``imaging.classical.read_strokes``; empty for the proposal alone.
        probabilities: float32 (*spatial, K).
        values: label value of each class, background first, ascending.
        reach: how far strokes reach.
        edges: how much longer edges of the image make the way; 0 leaves the plain distance.

    Returns:
        Labels, each stroke's voxels in its own, and the entropy of their probabilities.

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
        corrected = correction(scan, seeds, labels, reach, edges)
        near = corrected.share > 0
        share = corrected.share[near][:, None]
        mixed = (1 - share) * probabilities[near]
        mixed += share * (corrected.label[near][:, None] == np.asarray(values))
        labels[near] = np.asarray(values, np.int32)[mixed.argmax(axis=-1)]
        doubt[near] = entropy(mixed)
        marked = seeds.labels >= 0
        labels[marked] = seeds.labels[marked]
        doubt[marked] = 0
    return Annotation(
        replace(scan, voxels=smallest(labels)[..., None]), replace(scan, voxels=doubt[..., None].astype(np.float32))
    )


def refine_labels(scan: Scan, strokes, labels: Scan, *, reach: float = REACH, edges: float = EDGES) -> Annotation:
    """Labels that are there already, corrected by strokes; see ``refine``.

    Args:
        scan: 2D or 3D.
        strokes: what is wrong, in the label that is right there; other values than those of ``labels`` may come.
        labels: label values (*spatial, 1) on the scan's grid.
        reach: how far strokes reach.
        edges: how much longer edges of the image make the way.

    Raises:
        InputError: as ``refine`` does, and for labels of another shape.
    """
    if labels.voxels.shape != (*scan.shape, 1):
        raise InputError(f"labels of shape {labels.voxels.shape}: expected {(*scan.shape, 1)} as the scan has")
    seeds = as_seeds(scan, strokes)
    values = tuple(sorted({0, *np.unique(labels.voxels).tolist(), *seeds.values}))
    rest = (1 - _CERTAIN) / max(1, len(values) - 1)
    probabilities = np.where(labels.voxels == np.asarray(values), np.float32(_CERTAIN), np.float32(rest))
    return refine(scan, seeds, probabilities, values, reach=reach, edges=edges)


def _check_values(seeds, values):
    strange = [value for value in seeds.values if value not in values]
    if strange:
        raise InputError(
            f"strokes: label {strange[0]} is none of the proposal's; expected {', '.join(map(str, values))}"
        )
    if seeds.box is not None:
        raise InputError("strokes: a box tells a proposal nothing; expected points or scribbles")
