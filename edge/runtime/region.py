"""Where in a scan to look: a threshold, or a quick network, finds a box, and the slow network looks nowhere else."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge.measure import of_classes
from imaging.geometry.affine import index_map, moved
from imaging.measure.components import label_components
from imaging.scan import Scan
from medseg.errors import InputError, UsageError

MARGIN_MM = 10.0
MAX_MARGIN_MM = 1000.0
# A threshold is looked at on a grid of no more voxels along an axis than this.
COARSE = 128


@dataclass(frozen=True)
class Threshold:
    """The largest connected part of voxels above a value.

    Attributes:
        value: in the scan's own intensities, for example Hounsfield units.
        margin_mm: added on all sides.
    """

    value: float
    margin_mm: float = MARGIN_MM

    def find(self, scan: Scan, cancel=None) -> tuple[slice, ...]:
        """The box of that part, in voxels of ``scan``.

        Raises:
            InputError: if no voxel is above the value.
        """
        numbered, counts, steps = self._parts(scan, [max(1, math.ceil(n / COARSE)) for n in scan.shape])
        if not counts.any():  # a small structure lies between the voxels looked at
            numbered, counts, steps = self._parts(scan, [1] * scan.rank)
        if not counts.any():
            raise InputError(
                f"--roi threshold:{self.value:g}: no voxel is above it (the largest is "
                f"{float(scan.voxels.max()):g}); lower it, or segment without --roi"
            )
        box = bounding_box(numbered == int(np.argmax(counts)))
        wide = tuple(
            slice((s.start - 1) * step + 1, s.stop * step) for s, step in zip(box, steps, strict=True)
        )  # what lies between the voxels looked at
        return widened(wide, scan, self.margin_mm)

    def _parts(self, scan, steps):
        bright = scan.voxels[tuple(slice(None, None, step) for step in steps)].max(axis=-1) > self.value
        return *label_components(bright), steps


@dataclass(frozen=True)
class Coarse:
    """What another network finds, for example one of low resolution.

    Attributes:
        segmenter: an opened artifact (``edge.load``).
        margin_mm: added on all sides.
    """

    segmenter: Any
    margin_mm: float = MARGIN_MM

    def find(self, scan: Scan, cancel=None) -> tuple[slice, ...]:
        """The box of its foreground, in voxels of ``scan``.

        Raises:
            InputError: if it finds nothing.
        """
        labels = self.segmenter.predict(scan, cancel=cancel).labels
        mask = of_classes(labels, self.segmenter.manifest).voxels[..., 0] != self.segmenter.manifest.labels[0].value
        if not mask.any():
            raise InputError(f"--roi {self.segmenter.manifest.name}: found nothing in the scan; segment without --roi")
        return widened(bounding_box(mask), scan, self.margin_mm)


def parse_threshold(text: str, margin_mm: float = MARGIN_MM) -> Threshold | None:
    """The threshold that ``threshold:VALUE`` names; None for other texts, which name an artifact.

    Raises:
        UsageError: if VALUE is no number.
    """
    kind, _, value = text.partition(":")
    if kind != "threshold":
        return None
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise UsageError(f"--roi {text}: expected a number after threshold:, such as threshold:-300")
    return Threshold(number, margin_mm)


def bounding_box(mask: np.ndarray) -> tuple[slice, ...]:
    """The smallest box that holds a mask, which must not be empty."""
    box = []
    for axis in range(mask.ndim):
        hit = np.flatnonzero(mask.any(axis=tuple(a for a in range(mask.ndim) if a != axis)))
        box.append(slice(int(hit[0]), int(hit[-1]) + 1))
    return tuple(box)


def widened(box: Sequence[slice], scan: Scan, margin_mm: float) -> tuple[slice, ...]:
    """A box with a margin on all sides, cut to the scan."""
    margins = [math.ceil(margin_mm / size) for size in scan.spacing]
    return tuple(
        slice(max(0, s.start - m), min(n, s.stop + m)) for s, m, n in zip(box, margins, scan.shape, strict=True)
    )


def cut(prepared: Scan, source: Scan, box: Sequence[slice], patch: Sequence[int]) -> Scan:
    """The part of a prepared scan that covers a box of its source, at least a patch in size where the scan is.

    Args:
        prepared: what ``imaging.prepare`` made of ``source``.
        source: the scan as read; its shape and affine count.
        box: in voxels of ``source``.
        patch: spatial shape.

    Returns:
        A scan whose voxels are a view and whose affine says where they lie.
    """
    if prepared.warp is not None:  # a box of the source is no box there
        return prepared
    matrix, offset = index_map(prepared.affine, source.affine, source.rank)
    corners = np.array(np.meshgrid(*[(s.start - 0.5, s.stop - 0.5) for s in box], indexing="ij"))
    places = matrix @ corners.reshape(source.rank, -1) + offset[:, None]
    slices = []
    for low, high, length, size in zip(places.min(axis=1), places.max(axis=1), prepared.shape, patch, strict=True):
        start, stop = max(0, math.floor(low + 0.5)), min(length, math.ceil(high + 0.5))
        lacking = max(0, min(size, length) - (stop - start))
        start = min(max(0, start - lacking // 2), length - max(1, min(size, length), stop - start))
        stop = min(length, max(stop, start + min(size, length)))
        slices.append(slice(start, stop))
    return Scan(prepared.voxels[tuple(slices)], moved(prepared.affine, [s.start for s in slices]))
