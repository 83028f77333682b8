"""How well flags tell altered scans from those of the training's kind, and how near the predicted quality comes.

    python benchmarks/device/trust.py --data DATASET --artifact ARTIFACT [--cases N] [--other SCANS]

DATASET holds imagesTr and labelsTr, or images and labels. Every third case makes the fingerprint and the predicted
quality, as an export does; N of the others are judged, as they are and altered: noise, blur, contrast, orientation,
spacing in the header, field of view, region, and with --other scans of another kind.
"""

import argparse
import dataclasses
import sys
from pathlib import Path

import numpy as np
from scipy import ndimage
from scipy.stats import rankdata, spearmanr

import edge
import imaging
from edge.trust.fingerprint import unlikeness
from export.source.source import Source
from export.verify import training_scans
from export.verify.references import read_reference
from imaging.io.cases import CaseFiles
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
    made["upside down"] = dataclasses.replace(scan, voxels=np.flip(voxels, rank - 1).copy())
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


def area_under_curve(like, unlike) -> float:
    """Chance that an unlike scan scores above a like one (Mann and Whitney 1947)."""
    ranks = rankdata([*like, *unlike])
    return float((ranks[len(like) :].sum() - len(unlike) * (len(unlike) + 1) / 2) / (len(like) * len(unlike)))


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
    parser.add_argument("--other", type=Path, help="folder of scans of another kind")
    args = parser.parse_args()
    segmenter, cases = edge.load(args.artifact), find_cases(args.data)
    manifest = segmenter.manifest
    source = Source(
        manifest.name, manifest.recipe, manifest.patch, manifest.overlap, manifest.labels, manifest.channels, (),
        tuple(cases[::3]), Path(manifest.model),
    )  # fmt: skip
    training = training_scans.fingerprint(segmenter, source)
    segmenter = dataclasses.replace(segmenter, manifest=dataclasses.replace(manifest, training=training))
    scores, flagged, pairs = {}, {}, []

    def judge(name, scan):
        segmentation = segmenter.predict(scan)
        scores.setdefault(name, []).append(unlikeness(segmentation.features, training))
        flagged.setdefault(name, []).append(bool(segmentation.flags))
        return segmentation

    for number, case in enumerate([case for i, case in enumerate(cases) if i % 3][: args.cases]):
        scan = imaging.read(list(case.images), len(manifest.channels))
        reference = read_reference(case, scan, manifest.labels)
        for name, changed in alterations(scan, 1000 + number).items():
            segmentation = judge(name, changed)
            if name in SCORED and segmentation.quality:
                dice = training_scans.mean_dice(segmentation.labels.voxels[..., 0], reference, source)
                pairs.append(
                    (dice, segmentation.quality.dice, segmentation.quality.low <= dice <= segmentation.quality.high)
                )
    for path in sorted(args.other.iterdir())[: args.cases] if args.other else ():
        judge("other scans", imaging.read(path, len(manifest.channels)))
    print(f"{manifest.name}: {training.cases} cases in the fingerprint, {len(scores[LIKE])} judged\n")
    print("| scans | flagged | AUROC |\n|---|---|---|")
    for name, values in scores.items():
        auroc = "" if name == LIKE else f"{area_under_curve(scores[LIKE], values):.3f}"
        print(f"| {name} | {np.mean(flagged[name]):.0%} | {auroc} |")
    unlike = [value for name, values in scores.items() if name != LIKE for value in values]
    print(f"| all altered | | {area_under_curve(scores[LIKE], unlike):.3f} |\n")
    if pairs:
        true, predicted, covered = np.array(pairs, float).T
        print(
            f"Predicted quality, {len(pairs)} segmentations: Spearman {spearmanr(true, predicted).statistic:.2f}, mean "
            f"absolute error {np.abs(true - predicted).mean():.3f}, {covered.mean():.0%} within their interval"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
