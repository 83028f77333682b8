"""What can be measured of a scan and of the network's answer to it, as numbers that are alike for scans of one kind."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from edge.manifest import Manifest
from edge.runtime.patches import entropy, sigmoid, softmax
from edge.trust.brightness import brightness_features, centre_features
from edge.trust.layout import Layout, cells_of, layout_features
from edge.trust.texture import texture_features
from imaging.regions import classes_of, written_classes
from imaging.scan import Scan, grid_of

QUANTILES = (1, 10, 25, 50, 75, 90, 99)
UNSURE = 0.7  # a voxel whose largest probability is below
_SAMPLE = 1_000_000  # voxels that intensities are taken from
_BLOCK = 128  # voxels along each axis of the middle of a scan, where its detail is measured


class Answer:
    """Adds up what a network says of a prepared scan, slab by slab, so that its scores are never held whole.

    Args:
        manifest: of the network.
        averaged: the scores of classes are probabilities already.
    """

    def __init__(self, manifest: Manifest, averaged: bool = False):
        self.regions = bool(manifest.regions)
        self.count = len(manifest.regions) or len(manifest.labels)
        self.written = written_classes(manifest.labels, manifest.regions)
        self.averaged = averaged
        self.names = [label.name for label in manifest.labels]
        self.voxels = np.zeros(len(self.names))
        self.sums = {"confidence": 0.0, "entropy": 0.0, "unsure": 0.0}
        self.place = np.zeros(manifest.recipe.rank)

    def watch(self, slabs: Iterable[tuple[int, np.ndarray]]) -> Iterator[tuple[int, np.ndarray]]:
        """The same slabs, each looked at as it passes.

        Args:
            slabs: as ``imaging.tiling.predict_slabs`` gives them.
        """
        for start, scores in slabs:
            self._add(start, scores[..., : self.count])
            yield start, scores

    def features(self, prepared: Scan, whole: bool = True) -> dict[str, float]:
        """Name to number; of an answer without any structure only the volumes.

        Args:
            prepared: the scan that the slabs were of.
            whole: it was not cut to a region of interest, within which a place says nothing.
        """
        inside = self.voxels[1:].sum()
        ml = abs(float(np.linalg.det(prepared.affine[:3, :3]))) / 1000
        share = 1 / math.prod(prepared.shape) if prepared.rank == 2 else ml
        statistics = {f"volume of {n}": float(v * share) for n, v in zip(self.names[1:], self.voxels[1:], strict=True)}
        if inside:
            statistics |= {name: float(total / inside) for name, total in self.sums.items()}
        if inside and whole:
            middle = self.place / inside / np.array(prepared.shape)
            statistics |= {f"place {axis}": float(value) for axis, value in enumerate(middle)}
        return statistics

    def _add(self, start, scores):
        classes = classes_of(scores, self.written)
        self.voxels += np.bincount(classes.ravel(), minlength=len(self.names))
        where = np.nonzero(classes)
        if not len(where[0]):
            return
        here = scores[where]
        if self.regions:
            chances = sigmoid(here)
            largest = np.maximum(chances, 1 - chances).mean(axis=-1)
        else:
            chances = here if self.averaged else softmax(here)
            largest = chances.max(axis=-1)
        self.sums["confidence"] += float(largest.sum(dtype=np.float64))
        self.sums["entropy"] += float(entropy(chances, self.regions).sum(dtype=np.float64))
        self.sums["unsure"] += float(np.count_nonzero(largest < UNSURE))
        self.place += [float(w.sum()) + (start + 0.5) * len(w) if a == 0 else float(w.sum()) + 0.5 * len(w)
                       for a, w in enumerate(where)]  # fmt: skip


@dataclass(frozen=True)
class AsRead:
    """What is kept of a scan before the recipe.

    Attributes:
        grid: shape and affine of the scan; no voxels.
        features: name to number, of its geometry and its texture (``edge.trust.texture``); none where the manifest does
            not know its training. "spacing" and "field of view" in mm, absent where the file has none.
    """

    grid: Scan
    features: dict[str, float]


def as_read(scan: Scan, manifest: Manifest) -> AsRead:
    """Look at a scan before the recipe.

    Args:
        scan: as read.
        manifest: of the network.
    """
    if manifest.training is None:
        return AsRead(grid_of(scan), {})
    features = {}
    if scan.has_spacing:
        spacing = np.array(scan.spacing, float)
        extent = spacing * scan.shape
        for name, values in (("spacing", spacing), ("field of view", extent)):
            features |= {f"{name}, smallest": float(values.min()), f"{name}, largest": float(values.max())}
    of_voxels = texture_features(scan, manifest.recipe.nan) | brightness_features(scan, manifest.recipe.nan)
    return AsRead(grid_of(scan), features | of_voxels)


def scan_features(prepared: Scan, layout: Layout | None = None) -> dict[str, float]:
    """Numbers of a prepared scan: its intensities, its detail and its layout.

    Args:
        prepared: what the recipe made of a scan.
        layout: of the training scans, or None.

    Returns:
        Name to number: "intensity" quantiles; "detail": the mean step between neighbours, by that between next
        neighbours (1 in white noise, 0.5 where an image is smooth), and "edges": the same by the deviation; and those
        of ``edge.trust.layout``.
    """
    statistics: dict[str, float] = {} if layout is None else layout_features(cells_of(prepared), layout)
    statistics |= centre_features(prepared)
    step = max(1, math.ceil((math.prod(prepared.shape) / _SAMPLE) ** (1 / prepared.rank)))
    sample = prepared.voxels[(slice(None, None, step),) * prepared.rank]
    middle = tuple(slice(max(0, (n - _BLOCK) // 2), max(0, (n - _BLOCK) // 2) + _BLOCK) for n in prepared.shape)
    block = prepared.voxels[middle]
    for channel in range(prepared.channels):
        of = f" of channel {channel}" if prepared.channels > 1 else ""
        quantiles = np.percentile(sample[..., channel], QUANTILES)
        statistics |= {f"intensity {q} %{of}": float(v) for q, v in zip(QUANTILES, quantiles, strict=True)}
        statistics |= {f"{name}{of}": value for name, value in _detail(block[..., channel]).items()}
    return statistics


def _detail(block) -> dict[str, float]:
    near = far = 0.0
    for axis, n in enumerate(block.shape):
        if n > 2:
            first, second, third = (np.take(block, range(k, n - 2 + k), axis) for k in range(3))
            near += float(np.abs(second - first).mean(dtype=np.float64))
            far += float(np.abs(third - first).mean(dtype=np.float64))
    deviation = float(block.std(dtype=np.float64))
    return {"detail": near / far if far else 0.0, "edges": near / deviation if deviation else 0.0}
