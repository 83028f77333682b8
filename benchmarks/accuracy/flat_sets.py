"""Plan, train and score four sets of flat images by the same two commands, without an option for any of them.

    python benchmarks/accuracy/flat_sets.py --data DATA --runs runs/flat --epochs 60

Folds are those of the plan (by fetus, by patient); fold 0 is held back, or others by --fold. Finished runs are not
trained again. Prints one Markdown table: set, fold, cases trained on and held back, minutes, the score, and what it is
held against:
hc18 (Dice of the head), sunnybrook (Dice of the endocardium, of a patient's slices together and of each slice alone),
chase_db1 (Dice of the vessels, against the second observer's agreement with the first on the same images) and isbi2012
(share of wrong pixels, and how many of them touch a border between the classes).
"""

import argparse
import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
from patients import patient_dice

SETS = {"hc18": (), "sunnybrook": ("--labels", "labels_endo"), "chase_db1": (), "isbi2012": ()}


def main():
    """Train what is not trained, score, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of dataset folders")
    parser.add_argument("--set", action="append", choices=SETS, help="may be repeated; all by default")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of run folders, one a set")
    parser.add_argument("--epochs", type=int, help="instead of the plan's, for all sets")
    parser.add_argument("--fold", type=int, action="append", help="held back; may be repeated; 0 by default")
    parser.add_argument("--mirror", action="store_true", help="test-time augmentation by flips")
    parser.add_argument("--train-only", action="store_true")
    args = parser.parse_args()
    each = [(name, fold) for name in args.set or SETS for fold in args.fold or (0,)]
    for name, fold in each:
        train(args, name, fold)
    if not args.train_only:
        print("| set | fold | trained on | held back | minutes | score | held against |\n|---|---|---|---|---|---|---|")
        for name, fold in each:
            print(row(args, name, fold), flush=True)


def folder(args, name, fold) -> Path:
    """The run folder of a set's fold."""
    return args.runs / (f"{name}-fold{fold}" if fold else name)


def train(args, name, fold):
    """Train a set's fold if its run has not finished."""
    run = folder(args, name, fold)
    if (run / "model.keras").is_file():
        return
    words = [args.data / name, *SETS[name], "--fold", fold, "--out", run]
    words += ["--epochs", args.epochs] if args.epochs else []
    words += ["--resume"] if (run / "plan.json").is_file() else []
    subprocess.run([sys.executable, "-m", "zoo", "train", *map(str, words)], check=True, stdout=sys.stderr)


def row(args, name, fold) -> str:
    """The table's line of a set and fold."""
    from train.data.dataset import open_dataset
    from train.evaluation.evaluate import evaluate
    from train.fitting.run import open_run

    run = open_run(folder(args, name, fold))
    dataset = open_dataset(args.data / name, *SETS[name][1:], labels=run.plan.labels)
    metrics = evaluate(run, dataset, mirror=args.mirror, keep=True, progress=True)
    cases = json.loads((run.folder / "cases.json").read_text(encoding="utf-8"))
    with open(run.folder / "history.csv", newline="", encoding="utf-8") as file:
        minutes = float(list(csv.DictReader(file))[-1]["seconds"]) / 60
    if name == "isbi2012":
        wrong, beside = pixel_error(run, dataset, metrics)
        score, against = f"{wrong:.4f} of the pixels wrong, {beside:.0%} of them beside a border", "0.07"
    elif name == "sunnybrook":
        ((label, slices),) = metrics["mean"].items()
        scored = ((dataset.case(name).group, case[label]) for name, case in metrics["cases"].items())
        patients = patient_dice((who, s["dice"], s["area_mm2"] + s["reference_mm2"]) for who, s in scored)
        score = f"Dice {np.mean(list(patients.values())):.4f} by patient, {slices['dice']:.4f} by slice"
        against = "0.90 by patient"
    else:
        (scores,) = metrics["mean"].values()
        score = f"Dice {scores['dice']:.4f}"
        against = "0.97" if name == "hc18" else f"second observer {observers(args, dataset, metrics)}"
    held = len(metrics["cases"])
    return f"| {name} | {fold} | {len(cases['training'])} | {held} | {minutes:.0f} | {score} | {against} |"


def pixel_error(run, dataset, metrics) -> tuple[float, float]:
    """Mean share of the pixels of each held-back image whose class is wrong (ISBI 2012's pixel error), and how many of
    these touch a pixel of the other class in the reference, where the hand that drew it decides.
    """
    from scipy import ndimage

    from train.evaluation.predictions import load_prediction
    from train.evaluation.reference import read_reference

    labels = run.plan.labels
    wrong, beside = [], []
    for name in metrics["cases"]:
        reference = read_reference(dataset.case(name), labels).voxels[..., 0].squeeze()
        missed = np.squeeze(load_prediction(run, name)) != reference
        border = ndimage.minimum_filter(reference, 3) != ndimage.maximum_filter(reference, 3)
        wrong.append(np.mean(missed))
        beside.append(np.sum(missed & border) / max(np.sum(missed), 1))
    return float(np.mean(wrong)), float(np.mean(beside))


def observers(args, dataset, metrics) -> str:
    """Dice of the second observer's vessels with the first's, over the held-back images."""
    import imaging
    from imaging.measure.overlap import dice

    agreement = []
    for name in metrics["cases"]:
        first = Path(dataset.case(name).label)
        second = args.data / "chase_db1" / "labels_2nd_observer" / first.name.replace("1stHO", "2ndHO")
        masks = [imaging.read_labels(path).voxels > 0 for path in (first, second)]
        agreement.append(dice(*masks))
    return f"{np.mean(agreement):.4f}"


if __name__ == "__main__":
    main()
