"""Scores, slab by slab, to what is kept of them on the grid of the scan: classes, probabilities, uncertainty."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np

from edge.manifest import Manifest
from edge.runtime.options import Outputs
from edge.runtime.patches import entropy, sigmoid, softmax
from imaging.cleaning import apply
from imaging.geometry.restoring import restore_class_slabs, restore_slabs
from imaging.instances import CHANNELS, find_objects
from imaging.io.nifti import smallest
from imaging.regions import classes_of, written_classes
from imaging.scan import Scan
from medseg.limits import check_bytes


@dataclass(frozen=True)
class Restored:
    """What was kept.

    Attributes:
        classes: uint8 (*spatial), class indices; of instances int32, numbers of the objects.
        probabilities: float32 (*spatial, K), or None.
        uncertainty: "entropy" and "variance", float32 (*spatial, 1) each, as far as they were asked for.
    """

    classes: np.ndarray
    probabilities: Scan | None = None
    uncertainty: dict[str, Scan] = field(default_factory=dict)


@dataclass(frozen=True)
class Answered:
    """What a network says of a scan.

    Attributes:
        restored: on the grid of the scan.
        features: of the scan and of the answer (``edge.trust.observation``); empty where the manifest knows none.
        seconds: time that the network took.
    """

    restored: Restored
    features: dict[str, float]
    seconds: float


def restore(
    slabs: Iterable[tuple[int, np.ndarray]],
    prepared: Scan,
    grid: Scan,
    manifest: Manifest,
    outputs: Outputs,
    averaged: bool,
) -> Restored:
    """Classify and keep scores as they come.

    Args:
        slabs: of scores, as ``imaging.tiling.predict_slabs`` gives them; the variance is their last channel if it is
            among the outputs.
        prepared: the scan that they are of.
        grid: the source's grid.
        manifest: of the network.
        outputs: what is kept.
        averaged: the scores of classes are probabilities already.

    Raises:
        InputError: if probabilities would take more memory than the limit.
    """
    regions = bool(manifest.regions)
    written = written_classes(manifest.labels, manifest.regions)
    count = len(manifest.regions) or len(manifest.labels)
    classes = np.zeros(grid.shape, np.uint8)  # what was cropped away is background
    if manifest.instances is None and not outputs.scores and not outputs.variance:
        for place, indices in restore_class_slabs(slabs, prepared, grid, written):
            classes[place] = indices
        return Restored(classes)
    maps = {name: np.zeros((*grid.shape, 1), np.float32) for name in ("entropy", "variance") if getattr(outputs, name)}
    if outputs.probabilities:
        check_bytes(f"scan of shape {grid.shape}", 4 * math.prod(grid.shape) * count, "its probabilities")
        maps["probabilities"] = np.zeros((*grid.shape, count), np.float32)
        maps["probabilities"][..., 0] = 0 if regions else 1
    objects = np.zeros((0, len(CHANNELS)), np.float32)
    if manifest.instances is not None:
        check_bytes(f"scan of shape {grid.shape}", 8 * math.prod(grid.shape), "where its objects are")
        objects = np.zeros((*grid.shape, len(CHANNELS)), np.float32)
    for place, values in restore_slabs(slabs, prepared, grid):
        scores = values[..., :count]
        if manifest.instances is not None:
            objects[place] = sigmoid(values[..., : len(CHANNELS)])
        else:
            classes[place] = classes_of(scores, written)
        if outputs.scores:
            chances = sigmoid(scores) if regions else scores if averaged else softmax(scores)
            if outputs.probabilities:
                maps["probabilities"][place] = chances
            if outputs.entropy:
                maps["entropy"][..., 0][place] = entropy(chances, regions)
        if outputs.variance:
            maps["variance"][..., 0][place] = values[..., -1]
    if manifest.instances is not None:
        classes = find_objects(objects, grid.spacing, manifest.instances)
    scans = {name: replace(grid, voxels=voxels) for name, voxels in maps.items()}
    return Restored(classes, scans.pop("probabilities", None), scans)


def labels_of(classes: np.ndarray, manifest: Manifest, grid: Scan) -> Scan:
    """Class indices (*spatial), or numbers of objects, as a segmentation: cleaned up, with the values of the labels."""
    if manifest.postprocessing.classes:
        classes = apply(classes, manifest.postprocessing, manifest.labels, grid.spacing)
    if manifest.instances is None:
        values = smallest(np.array([label.value for label in manifest.labels]))
        if not np.array_equal(values, np.arange(len(values))):
            classes = np.take(values, classes)
    return replace(grid, voxels=classes[..., None])
