"""The next version of a network from corrections, on phantoms: an honest one, and one whose labels were shifted.

    python benchmarks/review/review_improve.py --epochs 6

A network is trained for a short time, exported, and reviews 16 scans that it never saw; "corrections" are the phantoms'
own labels. The next version is trained on them by the review itself (``zoo train --from``, ``zoo export``), compared
with the first on the fixed test set, and waits for a person or is refused. Then the same with the training labels moved
by 3 voxels along each axis. Prints a Markdown table; exits with 1 if the honest one is refused or the other is not.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nibabel
import numpy as np

from medseg.process import environment, module_command
from review.corrections import correct
from review.improvement import commands
from review.improvement.improver import RUNNING, WAITING, Improver
from review.segmenting import segment_case
from review.service import open_service
from review.store.cases import all_cases

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
    parser.add_argument("--model", default="mobile_unet3d")
    parser.add_argument("--format", default="onnx-float32")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="review-improve-") as root:
        return run(Path(root), args)


def run(root: Path, args) -> int:
    """The whole way in a folder; returns the exit status."""
    zoo("data", "phantom", "--out", root / "first", "--cases", 12, "--seed", 1)
    zoo("data", "phantom", "--out", root / "second", "--cases", args.cases, "--seed", 2)
    start = ("train", root / "first", "--model", args.model, "--epochs", args.epochs)
    zoo(*start, "--steps-per-epoch", 20, "--out", root / "run")
    zoo("export", root / "run", "--format", args.format, "--out", root / "artifact", "--ship-anyway")
    print("| training labels | state | mean Dice before | now | 95 % interval of the difference | minutes |")
    print("|---|---|---|---|---|---|")
    states = []
    for name, make in (("corrected", commands), ("moved by 3 voxels", Sabotaged)):
        service = open_service(root / "second" / "imagesTr", [root / "artifact" / args.format], root / name, 2)
        review(service, root / "second" / "labelsTr")
        improver, began = Improver(service, str(root / "run"), make=make), time.monotonic()
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
    return int(states[0] != WAITING or states[1] == WAITING)


def review(service, labels):
    """Segment every case and take its own labels for the correction."""
    for case in all_cases(service.database):
        version = segment_case(service, case)
        correct(service, case, service.check_labels(case, labels / f"{case.id}.nii.gz"), version, "benchmark", 30.0)


def zoo(*words):
    """Run a command of the front door; its words are shown only if it fails."""
    ended = subprocess.run(
        module_command("zoo", *words), env=environment(), capture_output=True, text=True, check=False
    )
    if ended.returncode:
        raise SystemExit(f"zoo {words[0]}: {ended.stderr}{ended.stdout}")


if __name__ == "__main__":
    sys.exit(main())
