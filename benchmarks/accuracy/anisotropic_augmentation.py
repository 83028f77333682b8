"""What it brings to turn and stretch patches of thick slices in mm and in plane, at equal minutes of training.

    python benchmarks/accuracy/anisotropic_augmentation.py --data DATA/cardiac --minutes 10 --folds 0,1 \\
        --out runs/augmentation

Trains the dataset's own 3D plan per fold twice, in turn and each in a process of its own: "voxels" turns every patch
about all axes as if its voxels were cubes, "mm" is what zoo train does (2D plans, as of thick slices, know no such
difference). Prints a Markdown table of Dice and HD95 (mm) over the held-back cases, then the mean difference per case
and its standard error. What is trained already is used again.
"""

import argparse
import dataclasses
import importlib
import itertools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

KINDS = ("voxels", "mm")


def main():
    """Train and score what is missing, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="dataset folder")
    parser.add_argument("--minutes", type=float, default=10.0, help="of each training (default: 10)")
    parser.add_argument("--folds", default="0", help="numbers joined by commas (default: 0)")
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--kind", choices=KINDS, help=argparse.SUPPRESS)  # of a process that trains
    args = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if args.kind:
        train(args)
        return
    folds = [int(fold) for fold in args.folds.split(",")]
    plan_file = args.out / "plan.json"
    if not plan_file.is_file():
        write_plan(args, plan_file)
    for number, fold in enumerate(folds):
        for kind in KINDS if number % 2 == 0 else KINDS[::-1]:
            if not (run_folder(args.out, kind, fold) / "model.keras").is_file():
                words = ["--data", args.data, "--minutes", args.minutes, "--folds", fold, "--out", args.out]
                command = [sys.executable, __file__, *map(str, words), "--kind", kind]
                subprocess.run(command, check=True, stdout=sys.stderr)
    report(args, folds)


def run_folder(out, kind, fold) -> Path:
    """Where a training lies."""
    return out / f"{kind}_{fold}"


def write_plan(args, path):
    """The plan that all follow."""
    from medseg import record
    from train.data.dataset import open_dataset
    from train.planning.planner import make_plan

    plan = make_plan(open_dataset(args.data), progress=True, configuration="3d")
    training = dataclasses.replace(plan.training, minutes=args.minutes)
    record.save(path, dataclasses.replace(plan, training=training))


def train(args):
    """One training, in this process."""
    from train.data.dataset import open_dataset
    from train.fitting.fit import fit
    from train.input.anisotropy import Grid
    from train.planning.plan import load_plan

    class Cubes(Grid):
        """Voxels that are taken for cubes, of a patch that turns between all its axes."""

        planes = property(lambda self: tuple(itertools.combinations(range(len(self.patch)), 2)))

    if args.kind == "voxels":
        pipeline = importlib.import_module("train.input.pipeline")
        pipeline.grid_of = lambda plan: Cubes(plan.patch, (1.0,) * len(plan.patch))
    fold = int(args.folds)
    plan = load_plan(args.out / "plan.json")
    fit(plan, open_dataset(args.data), run_folder(args.out, args.kind, fold), fold)


def report(args, folds):
    """Score the runs and print the table."""
    from train.data.dataset import open_dataset
    from train.evaluation.averages import mean_scores
    from train.evaluation.evaluate import evaluate
    from train.fitting.run import open_run

    dataset = open_dataset(args.data)
    scores = {kind: {} for kind in KINDS}
    for kind in KINDS:
        for fold in folds:
            run = open_run(run_folder(args.out, kind, fold))
            scores[kind] |= evaluate(run, dataset, progress=True)["cases"]
    names = [label.name for label in run.plan.labels[1:]]
    patch, spacing = "×".join(map(str, run.plan.patch)), "×".join(f"{s:g}" for s in run.plan.recipe.spacing or ())
    print(f"{run.plan.network.name}, patch {patch} at {spacing} mm, {args.minutes:g} minutes, {len(folds)} folds\n")
    columns = ("augmentation", "cases", *(f"{metric} {name}" for metric in ("Dice", "HD95") for name in names))
    print(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
    for kind, cases in scores.items():
        means = mean_scores(cases)
        cells = [f"{means[name][metric]:.{digits}f}" for metric, digits in (("dice", 4), ("hd95", 2)) for name in names]
        print(f"| {' | '.join([kind, str(len(cases)), *cells])} |")
    print()
    for name in names:
        gains = [scores["mm"][case][name]["dice"] - scores["voxels"][case][name]["dice"] for case in scores["mm"]]
        error = np.std(gains, ddof=1) / len(gains) ** 0.5
        print(f"{name}: mm over voxels, Dice {np.mean(gains):+.4f} ± {error:.4f} (standard error of the cases)")


if __name__ == "__main__":
    main()
