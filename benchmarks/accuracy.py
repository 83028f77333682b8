"""Train on a fold, score whole scans, export to int8, and score the artifacts through the device runtime.

    python benchmarks/accuracy.py --data DATA --set hippocampus --minutes 40
    python benchmarks/accuracy.py --data DATA --set hc18 --minutes 28 --run runs/hc18

A --run that holds a trained network is not trained again, and an artifact that is there not exported again.

Prints one Markdown table a dataset: mean Dice by class of the Keras network and of every artifact on the validation
cases, the largest drop in a single case and, of slices, in all slices of a patient together, the size of the file, and
how long the training took.
"""

import argparse
import csv
import json
import subprocess
import sys
from pathlib import Path

FORMATS = ("onnx-float32", "tflite-float32", "tflite-int8", "onnx-int8")


def zoo(*words):
    """Run a command of the front door; its output goes to standard error."""
    subprocess.run([sys.executable, "-m", "zoo", *map(str, words)], check=True, stdout=sys.stderr)


def main():
    """Train if need be, evaluate, export, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of dataset folders")
    parser.add_argument("--set", default="hippocampus", help="dataset folder in it")
    parser.add_argument("--labels", help="labels folder, for sets with several")
    parser.add_argument("--minutes", type=float, default=40)
    parser.add_argument("--fold", type=int, default=0)
    parser.add_argument("--run", type=Path, help="run folder; trained if it holds no model")
    parser.add_argument("--out", type=Path, default=Path("artifacts"), help="folder of artifact folders")
    args = parser.parse_args()
    data = args.data / args.set
    run = args.run or Path("runs") / f"{args.set}-fold{args.fold}"
    artifacts = args.out / f"{args.set}-fold{args.fold}"
    if not (run / "model.keras").is_file():
        labels = ("--labels", args.labels) if args.labels else ()
        zoo("train", data, "--fold", args.fold, "--minutes", args.minutes, "--out", run, *labels)
    if not (run / "metrics.json").is_file():
        zoo("evaluate", run, data, "--fold", args.fold)
    missing = [name for name in FORMATS if not (artifacts / name / "manifest.json").is_file()]
    if missing:
        zoo("export", run, "--out", artifacts, *(word for name in missing for word in ("--format", name)))
    print(table(args.set, run, artifacts, patients(data, args.labels)))


def patients(data, labels) -> dict[str, str]:
    """The patient of each case."""
    from train.dataset import open_dataset

    return {case.name: case.group for case in open_dataset(data, *([labels] if labels else [])).cases}


def patient_drop(report, patient) -> float:
    """The largest drop in the Dice of any patient's slices together, which is that of the volume."""
    both, sizes = {}, {}
    for case in report["fidelity"]["cases"]:
        for label, found in case["labels"].items():
            for kind in ("network", "artifact"):
                size = found[kind]["volume"] + found["reference_volume"]
                key = (patient[case["name"]], label, kind)
                both[key] = both.get(key, 0) + found[kind]["dice"] * size
                sizes[key] = sizes.get(key, 0) + size
    dice = {key: both[key] / sizes[key] for key in both if sizes[key]}
    return max(dice[key] - dice[(*key[:2], "artifact")] for key in dice if key[2] == "network")


def table(name, run, artifacts, patient) -> str:
    """The Markdown table of a run and its artifacts; of slices, the largest drop in a patient too."""
    mean = json.loads((run / "metrics.json").read_text(encoding="utf-8"))["mean"]
    with open(run / "history.csv", newline="", encoding="utf-8") as file:
        epochs = list(csv.DictReader(file))
    minutes = float(epochs[-1]["seconds"]) / 60
    labels = list(mean)
    manifests = {f: json.loads((artifacts / f / "manifest.json").read_text(encoding="utf-8")) for f in FORMATS}
    float_size = (artifacts / "tflite-float32" / "model.tflite").stat().st_size
    source = manifests["tflite-int8"]["source"]
    cases = manifests["tflite-int8"]["fidelity"]["cases"]
    slices = len({patient[case] for case in cases}) < len(cases)
    lines = [
        f"{name}, fold {source['fold']}: {source['network']}, {source['parameters']:,} parameters, "
        f"trained {minutes:.0f} minutes ({len(epochs)} epochs), {len(cases)} validation cases",
        "",
        "| | "
        + " | ".join(f"Dice {label}" for label in labels)
        + f" | largest drop in a case | {'in a patient | ' if slices else ''}MB | of float32 | verdict |",
        "|---|" + "---|" * (len(labels) + 4 + slices),
        "| Keras float32 | " + " | ".join(f"{mean[label]['dice']:.4f}" for label in labels) + " |" * (5 + slices),
    ]
    for form, manifest in manifests.items():
        fidelity = manifest["fidelity"]
        size = (artifacts / form / manifest["model"]).stat().st_size
        dice = " | ".join(f"{fidelity['labels'][label]['dice_artifact']:.4f}" for label in labels)
        worst = max(f["worst_drop"] for f in fidelity["labels"].values())
        if slices:
            report = json.loads((artifacts / form / "report.json").read_text(encoding="utf-8"))
            dice, worst = f"{dice} | {worst:.4f}", patient_drop(report, patient)
        lines.append(
            f"| {form} | {dice} | {worst:.4f} | {size / 1e6:.2f} | {size / float_size:.0%} | {fidelity['verdict']} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
