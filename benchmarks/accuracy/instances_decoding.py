"""How a network's answer is best cut into objects: settings tried one after the other on training images of a fold.

    python benchmarks/accuracy/instances_decoding.py --data DATA --set dsb2018 --artifact artifacts/nuclei/tflite-int8
    python benchmarks/accuracy/instances_decoding.py --data DATA --set dsb2018 --artifact unet-nuclei --images 60

The artifact's network runs once over each image, a random choice of those that the fold does not hold back. Then each
field of ``imaging.instances.Decoding`` in turn takes the value with the highest score, all images counting alike, until
none improves it. Prints a Markdown table of what was tried, and then the artifact's own setting beside the chosen one
on the images that the fold holds back, which decided nothing.
"""

import argparse
import dataclasses
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

VALUES = {
    "threshold": (0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55),
    "smallest": (12, 18, 25, 40),
    "depth": (0.05, 0.07, 0.1, 0.13),
    "smoothing": (0.5, 1.0, 1.5),
    "peak": (0.0, 0.8, 0.85, 0.9, 0.95),
}
METRICS = ("ap50", "ap")
KINDS = ("all", "grey", "coloured")


@dataclasses.dataclass(frozen=True)
class Answer:
    """What the network says of an image: chances (H, W, 2), the true objects (H, W), and what kind of image it is."""

    chances: np.ndarray
    objects: np.ndarray
    spacing: tuple[float, ...]
    kind: str


def main():
    """Choose a setting and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of dataset folders")
    parser.add_argument("--set", default="dsb2018", help="dataset folder in it, whose labels number objects")
    parser.add_argument("--artifact", default="unet-nuclei", help="artifact folder, or the name of a shipped one")
    parser.add_argument("--fold", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0, help="of the split and of the choice of images")
    parser.add_argument("--images", type=int, default=80, help="training images to choose by")
    parser.add_argument("--metric", choices=METRICS, default="ap50", help="to choose by")
    parser.add_argument(
        "--only", action="append", choices=VALUES, help="field to choose; may be repeated (default: all)"
    )
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()

    import edge
    from train.data.dataset import open_dataset
    from train.planning.split import split

    dataset = open_dataset(args.data / args.set)
    held = split(dataset.cases, 5, args.seed)[args.fold]
    others = sorted(case.name for case in dataset.cases if case.label is not None and case.name not in held)
    drawn = np.random.default_rng(args.seed).permutation(others)[: args.images].tolist()
    segmenter = edge.load(args.artifact, args.threads)
    answers = [_answer(segmenter, dataset.case(name)) for name in drawn]
    kinds = ", ".join(f"{sum(a.kind == kind for a in answers)} {kind}" for kind in KINDS[1:])
    print(f"{args.artifact}, {len(answers)} training images of fold {args.fold} of {args.set}: {kinds}\n")
    own = segmenter.manifest.instances
    columns = [*dataclasses.asdict(own), *(f"{metric} {kind}" for metric in METRICS for kind in KINDS)]
    print(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
    chosen = choose(answers, own, args.metric, args.only or VALUES)
    held_answers = [_answer(segmenter, dataset.case(name)) for name in held]
    print(f"\nThe {len(held)} images held back, the artifact's own setting and the chosen one:\n")
    for decoding in dict.fromkeys((own, chosen)):
        print(_row(decoding, _scores(held_answers, decoding)))


def choose(answers, start, metric, fields):
    """The decoding that the search by one of the ``fields`` after the other ends at, from ``start``."""
    tried = {}

    def value(decoding):
        if decoding not in tried:
            tried[decoding] = _scores(answers, decoding)
            print(_row(decoding, tried[decoding]), flush=True)
        return tried[decoding][metric, "all"]

    best = start
    while True:
        before = best
        for field in fields:
            best = max([best, *(dataclasses.replace(best, **{field: v}) for v in VALUES[field])], key=value)
        if best == before:
            return best


def _answer(segmenter, case):
    import imaging
    from edge.runtime.patches import sigmoid
    from train.evaluation.reference import read_case_objects

    scan, objects = read_case_objects(case, segmenter.manifest.recipe.channels)
    logits = segmenter.logits(imaging.prepare(scan, segmenter.manifest.recipe).voxels)
    grey = (scan.voxels == scan.voxels[..., :1]).all()
    return Answer(sigmoid(logits), objects.voxels[..., 0], scan.spacing, "grey" if grey else "coloured")


def _scores(answers, decoding):
    """The mean of each metric over all images and those of each kind."""
    from imaging.instances import find_objects
    from imaging.measure.detection import average_precision

    rows = {kind: [] for kind in KINDS}
    for answer in answers:
        precision = average_precision(find_objects(answer.chances, answer.spacing, decoding), answer.objects)
        row = {"ap50": precision[0.5], "ap": np.mean(list(precision.values()))}
        rows["all"].append(row)
        rows[answer.kind].append(row)
    return {
        (metric, kind): float(np.mean([row[metric] for row in rows[kind]])) if rows[kind] else float("nan")
        for metric in METRICS
        for kind in KINDS
    }


def _row(decoding, scores):
    settings = dataclasses.astuple(decoding)
    return "| " + " | ".join([*(f"{value:g}" for value in settings), *(f"{s:.4f}" for s in scores.values())]) + " |"


if __name__ == "__main__":
    main()
