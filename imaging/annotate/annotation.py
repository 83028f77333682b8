"""From strokes on a scan to labels in its geometry."""

from dataclasses import dataclass

import numpy as np

from imaging.annotate.focus import crop, focus, pasted
from imaging.classical import random_walker
from imaging.classical.registry import get
from imaging.classical.seeds.drawing import as_seeds
from imaging.classical.segmentation import check_scan, clean_up, image_of, segment
from imaging.geometry.resampling import onto
from imaging.io.nifti import smallest
from imaging.scan import Scan
from medseg.errors import InputError, UsageError

METHODS = ("random-walker", "graph-cut", "region-growing", "grabcut", "watershed", "confidence-connected")


@dataclass(frozen=True)
class Annotation:
    """What strokes make of a scan.

    Attributes:
        labels: label values (*spatial, 1) in the scan's geometry.
        uncertainty: float32 (*spatial, 1), entropy of the labels' probabilities, 0 (certain) to 1 (all alike); None for
            methods that have no probabilities.
    """

    labels: Scan
    uncertainty: Scan | None = None


def annotate(scan: Scan, strokes, method: str = "random-walker", **parameters) -> Annotation:
    """Segment what strokes mark. Only the surroundings of the strokes are looked at, so that large scans are quick.

    Args:
        scan: 2D or 3D.
        strokes: of label 0 (background) and of each structure, see ``imaging.classical.read_strokes``; a box around
            the structure does instead of background. Or a seed array, as for ``imaging.classical.segment``.
        method: one of ``METHODS``.
        parameters: of the method.

    Returns:
        Labels, and where they are unsure ("random-walker").

    Raises:
        UsageError: for an unknown method or parameter.
        InputError: for strokes outside the scan, two labels on one voxel, only one label, a constant scan.

    Example:
        >>> strokes = imaging.classical.read_strokes("seeds.json")
        >>> imaging.write("labels.nii.gz", imaging.annotate.annotate(scan, strokes).labels)
    """
    if method not in METHODS:
        raise UsageError(f"method {method!r}: expected one of {', '.join(METHODS)}")
    seeds = as_seeds(scan, strokes)
    box = focus(scan, seeds)
    part, marks = crop(scan, seeds, box)
    if method != "random-walker":
        labels = segment(part, method, seeds=marks, **parameters).voxels
        return Annotation(pasted(scan, labels, box))
    values = get(method).complete(parameters)
    check_scan(get(method), scan, values)
    image = image_of(part, values)
    if float(image.voxels.min()) == float(image.voxels.max()):
        raise InputError(f"every voxel near the strokes is {float(image.voxels.min()):g}; expected contrast there")
    settings = values["beta"], values["prior"], values["max_voxels"]
    probabilities, coarse, known = random_walker.probabilities(image, marks, *settings)
    labels = clean_up(random_walker.classes_of(probabilities, coarse, known, part, marks), part.spacing, values)
    doubt = onto(entropy(probabilities)[..., None], coarse.affine, part)
    return Annotation(
        pasted(scan, smallest(labels)[..., None], box), pasted(scan, doubt.astype(np.float32, copy=False), box)
    )


def entropy(probabilities: np.ndarray) -> np.ndarray:
    """Entropy of probabilities (*, K) over that of K equal ones: 0 to 1, float32 (*)."""
    safe = np.clip(probabilities, 1e-7, 1)
    return (-(safe * np.log(safe)).sum(axis=-1) / np.log(probabilities.shape[-1])).clip(0, 1).astype(np.float32)
