"""The fingerprint of an artifact's training scans, and its predicted quality, fitted to held-back cases."""

import dataclasses

import numpy as np
from scipy import ndimage

import imaging
from edge.measure import of_classes
from edge.runtime.segmenter import Segmenter
from edge.trust.fingerprint import MIN_CASES, Fingerprint, Quality, fit_quality, make_fingerprint
from edge.trust.layout import cells_of
from export.quantize.calibration import choose
from export.source.source import Source
from export.verify.references import read_reference
from imaging.io.dicom.reference import is_there
from imaging.measure.overlap import dice
from imaging.recipe import prepare
from imaging.regions import mask_of, structure_values
from imaging.scan import Scan

CASES = 64  # that ranges are made of
QUALITY_CASES = 16


def fingerprint(segmenter: Segmenter, source: Source, labelled: bool = True) -> Fingerprint | None:
    """What scans like those of the training look like, by what an artifact makes of them.

    Held-back cases come first, of which the network says what it will say of new ones; training cases fill up.

    Args:
        segmenter: of the artifact.
        source: gives the cases.
        labelled: read the held-back cases and compare with their labels, to predict the quality; else training cases
            alone are read.

    Returns:
        The fingerprint, or None where fewer than ``edge.trust.fingerprint.MIN_CASES`` scans are at hand.
    """
    observing = dataclasses.replace(
        segmenter, manifest=dataclasses.replace(segmenter.manifest, training=Fingerprint(0, {}))
    )
    held, seen = (
        tuple(case for case in cases if all(is_there(image) for image in case.images))
        for cases in (source.validation, source.training)
    )
    held = held if labelled else ()
    cases = choose(held, CASES) if held else ()
    cases += choose(seen, CASES - len(cases)) if seen and len(cases) < CASES else ()
    if len(cases) < MIN_CASES:  # before whole scans are segmented for nothing
        return None
    features, cells = [], []
    for case in cases:
        scan = _read(case, source)
        features.append(observing.predict(scan).features)
        cells.append(cells_of(prepare(scan, source.recipe)))
    return make_fingerprint(features, _quality(observing, source, held), cells)


def altered(scan: Scan, seed: int = 0) -> list[Scan]:
    """Copies of a scan that are worse in ways that scanners know: noise, blur, another contrast.

    Args:
        scan: voxels (*spatial, C).
        seed: of the noise.
    """
    voxels = scan.voxels.astype(np.float32)
    axes = tuple(range(scan.rank))
    deviation = voxels.std(axis=axes, keepdims=True)
    low, high = voxels.min(axis=axes, keepdims=True), voxels.max(axis=axes, keepdims=True)
    unit = (voxels - low) / np.maximum(high - low, 1e-6)
    noise = np.random.default_rng(seed).normal(size=voxels.shape).astype(np.float32)
    made = [voxels + strength * deviation * noise for strength in (0.3, 1.0)]
    made += [ndimage.gaussian_filter(voxels, (*(sigma,) * scan.rank, 0)) for sigma in (1.0, 2.5)]
    made += [low + (high - low) * unit**power for power in (0.4, 2.5)]
    return [dataclasses.replace(scan, voxels=v) for v in made]


def mean_dice(labels: np.ndarray, reference: np.ndarray, source: Source) -> float:
    """Mean Dice of the structures that the reference or the segmentation holds; 1 where neither holds any.

    Args:
        labels: label values (*spatial).
        reference: the same.
        source: gives classes and regions.
    """
    values = structure_values(source.labels, source.regions)
    pairs = [(mask_of(labels, v), mask_of(reference, v)) for v in values.values()]
    return float(np.mean([dice(a, b) for a, b in pairs if a.any() or b.any()] or [1.0]))


def _quality(observing, source, held) -> Quality | None:
    cases = [case for case in held if case.label is not None]
    if not cases:
        return None
    observed, scores, groups = [], [], []
    for number, case in enumerate(choose(tuple(cases), QUALITY_CASES)):
        scan = _read(case, source)
        reference = read_reference(case, scan, source.labels, source.ignore)
        for copy in (scan, *altered(scan, number)):
            segmentation = observing.predict(copy)
            observed.append(segmentation.features)
            predicted = of_classes(segmentation.labels, observing.manifest).voxels[..., 0]
            scores.append(mean_dice(predicted, reference, source))
            groups.append(case.name)
    return fit_quality(observed, scores, groups)


def _read(case, source):
    return imaging.read(list(case.images), len(source.channels), source.recipe.nan)
