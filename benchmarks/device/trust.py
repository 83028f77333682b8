"""How well flags tell altered scans from those of the training's kind, and how near the predicted quality comes.

    python benchmarks/device/trust.py --data DATASET --artifact ARTIFACT [--cases N] [--group PATTERN] [--other SCANS]

DATASET holds imagesTr and labelsTr, or images and labels. Every third case makes the fingerprint and the predicted
quality, as an export does; N of the others are judged, as they are and altered: noise, blur, contrast, orientation,
spacing in the header, field of view, region, and with --other scans of another kind. Cases whose names begin with the
same match of PATTERN are of one patient and stay together. The last rows are of alterations that
only decided between features that did equally well on the others.
"""

import argparse
import dataclasses
import re
import sys
import time
from pathlib import Path

import numpy as np
from scipy import ndimage
from scipy.stats import rankdata, spearmanr

import edge
import imaging
from edge.trust.brightness import brightness_features, centre_features
from edge.trust.fingerprint import unlikeness
from edge.trust.layout import cells_of, layout_features
from edge.trust.texture import texture_features
from export.source.source import Source
from export.verify import training_scans
from export.verify.references import read_reference
from imaging.io.cases import CaseFiles
from imaging.recipe import prepare
from imaging.scan import Scan

LIKE = "as it is"
# Alterations that keep voxels in their places, so that the labels still say how good a segmentation is.
SCORED = (LIKE, "noise", "strong noise", "blur", "strong blur", "gamma 0.4", "gamma 2.5")


def alterations(scan: Scan, seed: int) -> dict[str, Scan]:
    """Name to altered scan, the scan itself first."""
    made = dict(zip(SCORED, (scan, *training_scans.altered(scan, seed)), strict=True))
    voxels, rank = scan.voxels, scan.rank
    made["inverted"] = dataclasses.replace(scan, voxels=voxels.max() + voxels.min() - voxels)
    made["first axes swapped"] = dataclasses.replace(scan, voxels=np.swapaxes(voxels, 0, 1).copy())
    # The rows of a picture run down, the last axis of a volume up.
    made["upside down"] = dataclasses.replace(scan, voxels=np.flip(voxels, 0 if rank == 2 else 2).copy())
    half = (slice(0, voxels.shape[0] // 2), slice(0, voxels.shape[1] // 2))
    made["a corner of it"] = dataclasses.replace(scan, voxels=voxels[half].copy())
    shift = tuple(n // 2 for n in scan.shape)
    made["another region"] = dataclasses.replace(scan, voxels=np.roll(voxels, shift, tuple(range(rank))))
    if scan.has_spacing:
        stretched = scan.affine.copy()
        stretched[:3, :3] *= 2
        made["spacing doubled"] = dataclasses.replace(scan, affine=stretched)
        thick = ndimage.zoom(voxels, (*(1,) * (rank - 1), 0.25, 1), order=1)
        affine = scan.affine.copy()
        affine[:3, rank - 1] *= 4
        made["thick slices"] = Scan(thick, affine)
    return made


def further_alterations(scan: Scan, seed: int) -> dict[str, Scan]:
    """Name to altered scan, of kinds that hardly played a part when features were chosen."""
    random, voxels = np.random.default_rng(seed), scan.voxels.astype(np.float32)
    low, high = voxels.min(), voxels.max()
    coarse = voxels[(slice(None, None, 3),) * scan.rank]
    factors = [n / c for n, c in zip(voxels.shape, coarse.shape, strict=True)]
    made = {
        "speckle": voxels * (1 + 0.4 * random.normal(size=voxels.shape)).astype(np.float32),
        "motion": ndimage.uniform_filter1d(voxels, 7, axis=0),
        "saturation": np.clip(voxels, low, low + 0.3 * (high - low)),
        "bright spots": np.where(random.random(voxels.shape) < 0.02, high, voxels),
        "low resolution": ndimage.zoom(coarse, factors, order=1),
        "turned by 180 degrees": np.flip(voxels, (0, 1)).copy(),
    }
    return {name: dataclasses.replace(scan, voxels=changed) for name, changed in made.items()}


def split(cases: list[CaseFiles], pattern: str | None) -> tuple[list[CaseFiles], list[CaseFiles]]:
    """Every third case and the others; cases of one patient stay together."""
    matches = [re.match(pattern, case.name) if pattern else None for case in cases]
    groups = [match.group() if match else case.name for case, match in zip(cases, matches, strict=True)]
    third = set(sorted(set(groups))[::3])
    pairs = list(zip(cases, groups, strict=True))
    return [case for case, group in pairs if group in third], [case for case, group in pairs if group not in third]


def area_under_curve(like, unlike) -> float:
    """Chance that an unlike scan scores above a like one (Mann and Whitney 1947)."""
    ranks = rankdata([*like, *unlike])
    return float((ranks[len(like) :].sum() - len(unlike) * (len(unlike) + 1) / 2) / (len(like) * len(unlike)))


def feature_seconds(manifest, scan: Scan) -> float:
    """Time that texture, brightness, centres of detail and layout of a scan take, beside the network."""
    prepared = prepare(scan, manifest.recipe)
    began = time.perf_counter()
    texture_features(scan, manifest.recipe.nan)
    brightness_features(scan, manifest.recipe.nan)
    centre_features(prepared)
    layout_features(cells_of(prepared), manifest.training.layout)
    return time.perf_counter() - began


def find_cases(data: Path) -> list[CaseFiles]:
    """The labelled cases of a folder."""
    images, labels = next((data / a, data / b) for a, b in (("imagesTr", "labelsTr"), ("images", "labels"))
                          if (data / a).is_dir())  # fmt: skip
    cases = []
    for path in sorted(images.iterdir()):
        name = path.name.split(".")[0]
        label = next((p for p in sorted(labels.glob(f"{name}*")) if p.name.startswith((f"{name}.", f"{name}_"))), None)
        if label is not None:
            cases.append(CaseFiles(name, (str(path),), str(label)))
    return cases


def main() -> int:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--artifact", required=True)
    parser.add_argument("--cases", type=int, default=20)
    parser.add_argument("--group", metavar="PATTERN", help="regular expression of the patient in a case's name")
    parser.add_argument("--other", type=Path, help="folder of scans of another kind")
    args = parser.parse_args()
    segmenter, (training_cases, judged) = edge.load(args.artifact), split(find_cases(args.data), args.group)
    manifest = segmenter.manifest
    source = Source(
        manifest.name, manifest.recipe, manifest.patch, manifest.overlap, manifest.labels, manifest.channels, (),
        tuple(training_cases), Path(manifest.model),
    )  # fmt: skip
    training = training_scans.fingerprint(segmenter, source)
    segmenter = dataclasses.replace(segmenter, manifest=dataclasses.replace(manifest, training=training))
    scores, flagged, pairs, seconds = {}, {}, [], {"features": [], "all": []}

    def judge(name, scan):
        segmentation = segmenter.predict(scan)
        scores.setdefault(name, []).append(unlikeness(segmentation.features, training))
        flagged.setdefault(name, []).append(bool(segmentation.flags))
        return segmentation

    known, further = [LIKE], []
    for number, case in enumerate(judged[:: max(1, len(judged) // args.cases)][: args.cases]):
        scan = imaging.read(list(case.images), len(manifest.channels))
        reference = read_reference(case, scan, manifest.labels)
        changed_scans = alterations(scan, 1000 + number)
        further_scans = further_alterations(scan, 1000 + number)
        known, further = list(changed_scans), list(further_scans)
        for name, changed in (changed_scans | further_scans).items():
            segmentation = judge(name, changed)
            if name in SCORED and segmentation.quality:
                dice = training_scans.mean_dice(segmentation.labels.voxels[..., 0], reference, source)
                pairs.append(
                    (dice, segmentation.quality.dice, segmentation.quality.low <= dice <= segmentation.quality.high)
                )
        seconds["all"].append(segmentation.seconds)
        seconds["features"].append(feature_seconds(segmenter.manifest, scan))
    if args.other:
        known.append("other scans")
        for path in sorted(args.other.iterdir())[: args.cases]:
            judge("other scans", imaging.read(path, len(manifest.channels)))
    print(f"{manifest.name}: {training.cases} cases in the fingerprint, {len(scores[LIKE])} judged\n")
    print("| scans | flagged | AUROC |\n|---|---|---|")
    for name in (*known, *further):
        values = scores[name]
        auroc = "" if name == LIKE else f"{area_under_curve(scores[LIKE], values):.3f}"
        print(f"| {name} | {np.mean(flagged[name]):.0%} | {auroc} |")
    for title, names in (("all above but the last", known), ("the last", further)):
        values = [value for name in names if name != LIKE for value in scores[name]]
        rate = np.mean([flag for name in names if name != LIKE for flag in flagged[name]])
        print(f"| {title} {len(further)} | {rate:.0%} | {area_under_curve(scores[LIKE], values):.3f} |")
    least = {name: 1000 * min(values) for name, values in seconds.items()}
    print(
        f"\nThe features of the scan take {least['features']:.1f} ms, a prediction {least['all']:.1f} ms, the least "
        "of all."
    )
    if pairs:
        true, predicted, covered = np.array(pairs, float).T
        print(
            f"Predicted quality, {len(pairs)} segmentations: Spearman {spearmanr(true, predicted).statistic:.2f}, mean "
            f"absolute error {np.abs(true - predicted).mean():.3f}, {covered.mean():.0%} within their interval"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
