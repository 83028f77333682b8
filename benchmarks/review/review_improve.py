"""The next version of a network from corrections: an honest one, and one whose labels were shifted.

    python benchmarks/review/review_improve.py --epochs 6
    python benchmarks/review/review_improve.py --data HIPPOCAMPUS --first runs/strategies/first/run --cases 40

A network is exported and reviews scans that it never saw; "corrections" are their reference labels. The next version is
trained on them by the review itself (``zoo train --from``, ``zoo export``), compared with the first on the fixed test
set, and waits for a person or is refused. Then the same with the training labels moved by 3 voxels along each axis.
Prints a Markdown table; exits with 1 if the honest one is refused or the other is not.

The first network is trained here for a short time, on phantoms; with --data and --first it is a run that stands, and
the scans are cases of the dataset folder that it neither trained on nor held back, drawn with a fixed seed.
"""

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import nibabel
import numpy as np
from review_process import link_scans, zoo

from imaging.io.cases import Cases
from medseg import record
from review.corrections import correct
from review.improvement import commands
from review.improvement.improver import REFUSED, RUNNING, WAITING, Improver
from review.segmenting import segment_case
from review.service import open_service
from review.store.cases import all_cases
from train.data.dataset import open_dataset

SHIFT = (3, 3, 3)


class Sabotaged:
    """The commands, which move the labels of the training set before it is used."""

    export_command = staticmethod(commands.export_command)

    @staticmethod
    def train_command(data, *rest):
        """``commands.train_command`` on labels that lie elsewhere."""
        for path in sorted((Path(data) / "labels").glob("*.nii.gz")):
            image = nibabel.load(path)
            moved = np.roll(np.asarray(image.dataobj), SHIFT, axis=(0, 1, 2))
            nibabel.save(nibabel.Nifti1Image(moved, image.affine, image.header), path)
        return commands.train_command(data, *rest)


def main() -> int:
    """Train, review, improve twice."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--cases", type=int, default=16, help="reviewed")
    parser.add_argument("--model", default="mobile_unet3d", help="of the first network on phantoms")
    parser.add_argument("--format", default="onnx-float32")
    parser.add_argument("--data", type=Path, help="dataset folder, with --first")
    parser.add_argument("--first", type=Path, help="run folder of the first network, with --data")
    args = parser.parse_args()
    if (args.data is None) != (args.first is None):
        parser.error("--data and --first go together; give both, or none for phantoms")
    with tempfile.TemporaryDirectory(prefix="review-improve-") as root:
        return run(Path(root), args)


def run(root: Path, args) -> int:
    """The whole way in a folder; returns the exit status."""
    scans, labels, first = on_phantoms(root, args) if args.data is None else on_dataset(root, args)
    zoo("export", first, "--format", args.format, "--out", root / "artifact", "--ship-anyway")
    print("| training labels | state | mean Dice before | now | 95 % interval of the difference | minutes |")
    print("|---|---|---|---|---|---|")
    states = []
    for name, make in (("corrected", commands), ("moved by 3 voxels", Sabotaged)):
        service = open_service(scans, [root / "artifact" / args.format], root / name, 2)
        review(service, labels)
        improver, began = Improver(service, str(first), make=make), time.monotonic()
        improver.start("benchmark", args.epochs)
        while improver.progress.state in RUNNING:
            time.sleep(1)
        now = improver.progress
        if now.comparison is None:
            print(f"| {name} | {now.state}: {now.error} | | | | |", *improver.log[-5:], sep="\n")
        else:
            mean = now.comparison["mean"]
            span = f"{mean['low']:+.4f} to {mean['high']:+.4f}"
            minutes = (time.monotonic() - began) / 60
            print(
                f"| {name} | {now.state} | {mean['champion']:.4f} | {mean['challenger']:.4f} | {span} | {minutes:.1f} |"
            )
        states.append(now.state)
        service.close()
    return int(states != [WAITING, REFUSED])


def on_phantoms(root: Path, args) -> tuple[Path, dict[str, Path], Path]:
    """A network after a short training on phantoms; returns a folder of others, their labels by case, and the run."""
    zoo("data", "phantom", "--out", root / "first", "--cases", 12, "--seed", 1)
    zoo("data", "phantom", "--out", root / "second", "--cases", args.cases, "--seed", 2)
    start = ("train", root / "first", "--model", args.model, "--epochs", args.epochs)
    zoo(*start, "--steps-per-epoch", 20, "--out", root / "run")
    labels = {case.name: case.label for case in open_dataset(root / "second").cases}
    return root / "second" / "imagesTr", labels, root / "run"


def on_dataset(root: Path, args) -> tuple[Path, dict[str, Path], Path]:
    """The same with a run that stands, and cases of the dataset that it has not seen."""
    known = record.load(args.first / "cases.json", Cases)
    seen = {case.name for case in (*known.training, *known.validation)}
    unseen = [case for case in open_dataset(args.data).cases if case.name not in seen]
    if len(unseen) < args.cases:
        raise SystemExit(
            f"{args.data}: holds {len(unseen)} cases that {args.first} has not seen, expected {args.cases}"
        )
    drawn = random.Random(0).sample(unseen, args.cases)
    return link_scans(drawn, root / "scans"), {case.name: case.label for case in drawn}, args.first


def review(service, labels):
    """Segment every case and take its reference labels for the correction."""
    for case in all_cases(service.database):
        version = segment_case(service, case)
        correct(service, case, service.check_labels(case, labels[case.id]), version, "benchmark", 30.0)


if __name__ == "__main__":
    sys.exit(main())
