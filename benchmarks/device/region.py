"""What a region of interest saves in time and costs in Dice.

    python benchmarks/device/region.py --artifact artifacts/ct/tflite-int8 --roi threshold:-300 --data ct
    python benchmarks/device/region.py --artifact artifacts/ct/tflite-int8 \\
        --roi artifacts/ct-coarse/tflite-int8 --data ct

``--data`` holds ``images/`` and ``labels/`` (or ``imagesTr/`` and ``labelsTr/``) with NIfTI files of the same names.
Every scan is segmented whole and with the region; a Markdown table gives the mean Dice of each label for both, and the
median seconds of a scan. Scans in which the region finds nothing are counted and left out.
"""

import argparse
import time
from pathlib import Path

import numpy as np

import edge
from edge.runtime.region import Coarse, parse_threshold
from imaging.io.files import read_labels
from imaging.measure.overlap import dice
from medseg.errors import InputError
from medseg.quiet import native_logs_hidden


def main():
    """Segment, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--artifact", required=True)
    parser.add_argument("--roi", required=True, help="threshold:VALUE, or an artifact")
    parser.add_argument("--margin", type=float, default=10.0, help="mm around what was found")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cases", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    with native_logs_hidden():
        segmenter = edge.load(args.artifact, args.threads)
        threshold = parse_threshold(args.roi, args.margin)
        region = threshold or Coarse(edge.load(args.roi, args.threads), args.margin)
    labels = segmenter.manifest.labels[1:]
    how = {"whole": edge.Options(), "region": edge.Options(region=region)}
    scores = {name: {label.name: [] for label in labels} for name in how}
    seconds, nothing = {name: [] for name in how}, 0
    for image, reference in cases(args.data)[: args.cases]:
        truth = read_labels(reference).voxels[..., 0]
        try:
            predicted = {name: timed(segmenter, image, options) for name, options in how.items()}
        except InputError as error:
            nothing += 1
            print(f"{image.name}: {error}")
            continue
        for name, (voxels, spent) in predicted.items():
            seconds[name].append(spent)
            for label in labels:
                scores[name][label.name].append(dice(voxels == label.value, truth == label.value))
    print("| | " + " | ".join(f"Dice {label.name}" for label in labels) + " | seconds a scan |")
    print("|---" * (2 + len(labels)) + "|")
    for name in how:
        means = " | ".join(f"{np.mean(scores[name][label.name]):.4f}" for label in labels)
        print(f"| {name} | {means} | {np.median(seconds[name]):.2f} |")
    print(f"\n{len(seconds['whole'])} scans; in {nothing} others the region was not found")


def timed(segmenter, image: Path, options) -> tuple[np.ndarray, float]:
    """Label values of a scan and the seconds that they took."""
    began = time.perf_counter()
    return segmenter.predict_file(image, options=options).labels.voxels[..., 0], time.perf_counter() - began


def cases(folder: Path) -> list[tuple[Path, Path]]:
    """Image and label files of the same name."""
    for images, labels in (("images", "labels"), ("imagesTr", "labelsTr")):
        if (folder / images).is_dir():
            files = sorted(path for path in (folder / images).glob("[!.]*.nii*"))
            return [(path, folder / labels / path.name) for path in files if (folder / labels / path.name).is_file()]
    raise SystemExit(f"{folder}: expected images/ and labels/, or imagesTr/ and labelsTr/")


if __name__ == "__main__":
    main()
