"""Classical methods beside each other: Dice, HD95 and seconds, parameters chosen on training cases only.

    python benchmarks/accuracy/classical.py --data DATA --set hippocampus hc18
    python benchmarks/accuracy/classical.py --data DATA --set chase_db1 --method ridges niblack sauvola
    python benchmarks/accuracy/classical.py --data DATA --set hippocampus --method atlas --cases 10

Each method is tuned on --tuning training cases of fold 0 (zoo evaluate --method METHOD DATASET --tune) and scored on at
most --cases validation cases. Methods that find one structure are scored against all labels of a set together; dsb2018
counts as one structure too. The CT has one case: its largest organ is segmented with the defaults, from simulated
clicks where a method needs seeds. Methods that need seeds get five simulated clicks inside and around each label.
"""

import argparse
import dataclasses
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import imaging
from imaging.annotate import simulated_clicks
from imaging.classical import METHODS, get, segment
from medseg.errors import InputError
from train.data.dataset import open_dataset
from train.evaluation.classical import Conditions, evaluate_method, evenly, fold_of

SETS = ("hippocampus", "hc18", "chase_db1", "isbi2012", "dsb2018", "ct")
COLUMNS = ("dice", "hd95")


def binary(folder: Path, place: Path) -> Path:
    """A copy of a dataset of instances in which every instance is 1; images are links."""
    (place / "images").mkdir(parents=True)
    for image in sorted((folder / "images").iterdir()):
        (place / "images" / image.name).symlink_to(image.resolve())
        labels = imaging.read_labels(folder / "labels" / image.name)
        marked = (labels.voxels > 0).astype(np.uint8)
        imaging.write(place / "labels" / image.name, dataclasses.replace(labels, voxels=marked))
    return place


def shortened(dataset, conditions, count):
    """The dataset with fewer validation cases; the training cases, and so the tuning, are those of the whole."""
    training, validation = fold_of(dataset, conditions)
    kept = {case.name for case in (*training, *evenly(validation, count))}
    fold = {case.name: int(case.name not in {c.name for c in validation}) for case in dataset.cases}
    cases = tuple(dataclasses.replace(c, fold=fold[c.name], group=c.name) for c in dataset.cases if c.name in kept)
    return dataclasses.replace(dataset, cases=cases)


def on_set(dataset, method, args):
    """Mean Dice and HD95 over the labels, seconds a case, and the chosen parameters."""
    conditions = Conditions(tuning_cases=args.tuning, clicks=args.clicks)
    dataset = shortened(dataset, conditions, args.cases)
    conditions = dataclasses.replace(conditions, folds=2)
    metrics = evaluate_method(method.name, dataset, conditions, tune=args.tuning > 0)
    defaults = {parameter.name: parameter.default for parameter in method.parameters}
    changed = {k: v for k, v in metrics["parameters"].items() if v != defaults[k]}
    row = [float(np.mean([label[name] for label in metrics["mean"].values()])) for name in COLUMNS]
    return (*row, metrics["seconds"], " ".join(f"{k}={v}" for k, v in changed.items()))


def on_ct(folder, method, clicks):
    """The same on the liver of the CT, with the defaults."""
    scan = imaging.read(folder / "ct.nii.gz")
    labels = imaging.read_labels(folder / "ct_organs.nii.gz").voxels[..., 0]
    mask = labels == 5
    seeded = method.seeds == "needed" or (method.seeds == "optional" and clicks)
    seeds = simulated_clicks(mask, scan.spacing, clicks or 5, np.random.default_rng(0)) if seeded else None
    began = time.perf_counter()
    segmented = segment(scan, method.name, seeds=seeds).voxels[..., 0] == 1
    seconds = time.perf_counter() - began
    names = (imaging.Label("background", 0), imaging.Label("liver", 1))
    scores = imaging.score_case(segmented.astype(np.uint8), mask.astype(np.uint8), names, scan.spacing)["liver"]
    return (*(scores[name] for name in COLUMNS), seconds, "")


def main():
    """Print a table a set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of dataset folders")
    parser.add_argument("--set", nargs="+", choices=SETS, default=SETS)
    parser.add_argument("--method", nargs="+", default=[method.name for method in METHODS])
    parser.add_argument("--cases", type=int, default=20, help="validation cases at most")
    parser.add_argument("--tuning", type=int, default=5, help="training cases that parameters are chosen on; 0: none")
    parser.add_argument("--clicks", type=int, help="in and around each label, also for methods that can do without")
    args = parser.parse_args()
    for name in args.set:
        print(f"\n{name}\n\n| method | Dice | HD95 | seconds | parameters |\n|---|---|---|---|---|", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            path = args.data / name
            if name == "dsb2018":
                path = binary(path, Path(folder) / name)
            dataset = None if name == "ct" else open_dataset(path)
            for method in map(get, args.method):
                if (name == "ct" and method.atlases) or (name not in ("ct", "hippocampus") and 2 not in method.ranks):
                    continue
                if name in ("ct", "hippocampus") and 3 not in method.ranks:
                    continue
                try:
                    row = on_ct(path, method, args.clicks) if name == "ct" else on_set(dataset, method, args)
                except InputError as error:
                    print(f"{name}, {method.name}: {error}", file=sys.stderr)
                    continue
                print("| {} | {:.3f} | {:.1f} | {:.2f} | {} |".format(method.name, *row), flush=True)


if __name__ == "__main__":
    main()
