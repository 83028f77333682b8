"""The representative dataset: prepared patches of training cases, and of no others."""

import hashlib
import heapq

import numpy as np

import imaging
from export.source.first import open_first
from export.source.source import Source
from imaging import tiling
from imaging.io.cases import CaseFiles
from imaging.prior import prior_of
from imaging.slices import images
from medseg.errors import InputError, naming

CASES = 32
PATCHES = 48
# Prepared scans of one kind differ in their largest value by small factors; a forgotten normalisation makes thousands.
FAR = 1000.0


def choose(training: tuple[CaseFiles, ...], count: int = CASES) -> tuple[CaseFiles, ...]:
    """``count`` cases spread evenly over the list of training cases.

    Raises:
        InputError: if there is none.
    """
    if not training:
        raise InputError("calibration: the run lists no training cases; int8 needs at least one")
    picks = np.unique(np.linspace(0, len(training) - 1, min(count, len(training))).round().astype(int))
    return tuple(training[i] for i in picks)


def patches(source: Source, cases: tuple[CaseFiles, ...], most: int = PATCHES) -> list[np.ndarray]:
    """Prepared patches of ``cases``, each (*patch, channels) float32, cut into slices and tiled as on the device.

    Of a scan with several those with the largest variance come first, since empty ones say nothing of the range.

    Args:
        source: gives recipe and patch.
        cases: what to read.
        most: number of patches that is not exceeded.
    """
    each = max(1, most // len(cases))
    first = open_first(source)
    drawn = []
    for case in cases:
        scan = imaging.read(list(case.images), len(source.channels), source.recipe.nan)
        with naming(case.images[0]):
            prepared = imaging.prepare(scan, source.recipe)
            prior = None if first is None else prior_of(first(scan), scan, prepared, source.recipe)
        tiles = heapq.nlargest(each, _tiles(prepared.voxels, source, prior), key=lambda tile: float(np.var(tile)))
        drawn.extend(np.ascontiguousarray(tile, np.float32) for tile in tiles)
    return drawn


def _tiles(prepared, source, prior):
    for image in images(prepared, source.recipe.slices):
        block, shape, _ = tiling.padded_blocks(image, source.patch, prior)
        for place in tiling.tiles(shape, source.patch, source.overlap):
            yield block(place)


def fingerprint(cases: tuple[CaseFiles, ...], prepared: list[np.ndarray]) -> str:
    """SHA-256, hexadecimal, of what a network was calibrated with: names of the cases and values of the patches.

    Args:
        cases: that were read.
        prepared: their patches, as ``patches`` returns them.
    """
    digest = hashlib.sha256("\0".join(case.name for case in cases).encode())
    for patch in prepared:
        digest.update(repr(patch.shape).encode())
        digest.update(np.ascontiguousarray(patch, "<f4").tobytes())
    return digest.hexdigest()


def check_patches(calibration, shape: tuple[int, ...]) -> list[np.ndarray]:
    """Representative patches as float32 arrays.

    Args:
        calibration: sequence of arrays (*patch, channels).
        shape: what each must have.

    Raises:
        InputError: if there are none, one has another shape, one holds NaN or infinity, all are constant, or one lies
            far outside the range of the others.
    """
    checked = [np.asarray(patch, np.float32) for patch in calibration]
    if not checked:
        raise InputError("calibration: expected at least one patch for int8, better 20 or more, got none")
    for i, patch in enumerate(checked):
        if patch.shape != tuple(shape):
            raise InputError(f"calibration patch {i} has shape {patch.shape}; expected {tuple(shape)}")
        if not np.isfinite(patch).all():
            raise InputError(f"calibration patch {i} holds NaN or infinite values; leave that case out or mend it")
    if all(patch.max() == patch.min() for patch in checked):
        raise InputError(f"calibration: all {len(checked)} patches are constant; give patches of real scans")
    largest = np.array([np.abs(patch).max() for patch in checked])
    usual = float(np.median(largest))
    if usual and largest.max() > FAR * usual:
        raise InputError(
            f"calibration patch {largest.argmax()} holds values up to {largest.max():g}, the others up to about "
            f"{usual:g}; prepare all of them as in training, or leave it out"
        )
    return checked
