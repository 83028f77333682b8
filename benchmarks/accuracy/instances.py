"""Objects told apart by int8 on the device: scores and times on the held-back cases of a fold, by kind of picture.

    python benchmarks/accuracy/instances.py --data DATA --set dsb2018 --artifact unet-nuclei --fold 0
    python benchmarks/accuracy/instances.py --data DATA --set dsb2018 --artifact artifacts/nuclei/tflite-int8 --fold 0

The plan of the fold is made anew by ``zoo plan``, whose split depends on the names of the cases and the seed alone.
Prints a Markdown table: mean average precision from 0.5 to 0.95, at 0.5 and 0.75, panoptic quality, F1, and the median
milliseconds of a picture from its pixels to its objects, and of cutting the objects alone, by size of picture.
"""

import argparse
import sys
import time
from collections import defaultdict
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

NAMES = ("ap", "ap50", "ap75", "pq", "f1")


def main():
    """Score an artifact and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of dataset folders")
    parser.add_argument("--set", default="dsb2018", help="dataset folder in it, whose labels number objects")
    parser.add_argument("--artifact", default="unet-nuclei", help="artifact folder, or the name of a shipped one")
    parser.add_argument("--fold", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0, help="of the split")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--mirror", action="store_true", help="average over flips, as zoo-edge predict --mirror does")
    args = parser.parse_args()

    import edge
    import imaging
    from imaging.instances import find_objects
    from train.data.dataset import open_dataset
    from train.evaluation.reference import read_case_objects
    from train.planning.split import split

    dataset = open_dataset(args.data / args.set)
    held = split(dataset.cases, 5, args.seed)[args.fold]
    segmenter = edge.load(args.artifact, args.threads)
    options = edge.Options(mirror=(0, 1)) if args.mirror else None
    scores, times = defaultdict(list), defaultdict(list)
    for name in held:
        scan, objects = read_case_objects(dataset.case(name), segmenter.manifest.recipe.channels)
        began = time.perf_counter()
        numbers = segmenter.predict(scan, options=options).labels.voxels[..., 0]
        spent = time.perf_counter() - began
        grey = (scan.voxels == scan.voxels[..., :1]).all()
        kinds = ("all", "grey" if grey else "coloured", "×".join(map(str, scan.shape)))
        row = imaging.score_objects(numbers, objects.voxels[..., 0])
        cut = _seconds(find_objects, _answer(numbers), scan.spacing, segmenter.manifest.instances)
        for kind in kinds:
            scores[kind].append([row[metric] for metric in NAMES])
            times[kind].append((spent, cut))
    mirrored = ", mirrored" if args.mirror else ""
    print(f"{args.artifact}, fold {args.fold} of {args.set}, {args.threads} threads{mirrored}\n")
    print(f"| pictures | | {' | '.join(NAMES)} | ms | cutting, ms |")
    print("|---|---|" + "---|" * (len(NAMES) + 2))
    for kind, rows in scores.items():
        cells = " | ".join(f"{value:.4f}" for value in np.mean(rows, axis=0))
        median = " | ".join(f"{1000 * value:.1f}" for value in np.median(times[kind], axis=0))
        print(f"| {kind} | {len(rows)} | {cells} | {median} |")


def _answer(objects):
    """What a perfect network would say of these objects."""
    from imaging.instances import distance_levels

    depth = distance_levels(objects, (1.0,) * objects.ndim)
    return np.stack([depth > 0, depth / 255], -1).astype(np.float32)


def _seconds(function, *args):
    began = time.perf_counter()
    function(*args)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
