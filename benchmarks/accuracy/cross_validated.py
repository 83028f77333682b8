"""Scores of fold runs of one dataset, fold by fold and over all their cases, with and without test-time augmentation.

    python benchmarks/accuracy/cross_validated.py --data DATA/hippocampus --run runs/fold_0 --run runs/fold_1 \\
        --run runs/fold_2

Prints one Markdown table: fold, cases, epochs, minutes of training, and Dice and HD95 (mm) of each class, first with
the mean over flips, then as the network gives it. The line "all" is the mean over the cases of all the folds.
"""

import argparse
import csv
from pathlib import Path

import numpy as np


def main():
    """Score every run twice, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="dataset folder")
    parser.add_argument("--run", type=Path, action="append", required=True, help="run folder of a fold; repeated")
    args = parser.parse_args()
    from train.data.dataset import open_dataset
    from train.evaluation.evaluate import evaluate
    from train.fitting.run import open_run

    runs = [open_run(folder) for folder in args.run]
    plan = runs[0].plan
    dataset = open_dataset(args.data, plan.labels_folder, labels=plan.labels)
    names = [label.name for label in plan.labels[1:]]
    columns = ["fold", "cases", "epochs", "minutes", "flips", *(f"{m} {n}" for m in ("Dice", "HD95") for n in names)]
    print(f"{plan.network.name}, {runs[0].model().count_params():,} parameters\n")
    print(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
    for flips in (True, False):
        every = {}
        for run in runs:
            cases = evaluate(run, dataset, mirror=flips, progress=True)["cases"]
            print(line([run.fold, len(cases), *effort(run), "yes" if flips else "no"], cases, names), flush=True)
            every |= cases
        print(line(["all", len(every), "", "", "yes" if flips else "no"], every, names), flush=True)


def line(first, cases, names) -> str:
    """A line of the table: ``first``, then the means over ``cases``."""
    means = [
        f"{np.mean([case[name][metric] for case in cases.values()]):.{digits}f}"
        for metric, digits in (("dice", 4), ("hd95", 2))
        for name in names
    ]
    return f"| {' | '.join([*map(str, first), *means])} |"


def effort(run) -> list[str]:
    """Epochs and minutes of a training."""
    with open(run.folder / "history.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [rows[-1]["epoch"], f"{float(rows[-1]['seconds']) / 60:.0f}"]


if __name__ == "__main__":
    main()
