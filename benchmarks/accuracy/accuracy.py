"""Train on a fold, score whole scans, export to int8, and score the artifacts through the device runtime.

    python benchmarks/accuracy/accuracy.py --data DATA --set hippocampus --minutes 40
    python benchmarks/accuracy/accuracy.py --data DATA --set hc18 --minutes 28 --run runs/hc18
    python benchmarks/accuracy/accuracy.py --data DATA --set sunnybrook --labels labels_endo --slices

A --run that holds a trained network is not trained again.

Prints one Markdown table a dataset: mean Dice by class of the Keras network and of every artifact on the validation
cases, the largest drop in a single case and, with --slices, in all slices of a patient together, the size of the file,
and how long the training took.
"""

import argparse
import csv
import json
import subprocess
import sys
from pathlib import Path

from patients import patient_dice

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
    parser.add_argument("--slices", action="store_true", help="a case is a slice of a patient's scan")
    args = parser.parse_args()
    data = args.data / args.set
    run = args.run or Path("runs") / f"{args.set}-fold{args.fold}"
    artifacts = args.out / f"{args.set}-fold{args.fold}"
    if not (run / "model.keras").is_file():
        labels = ("--labels", args.labels) if args.labels else ()
        zoo("train", data, "--fold", args.fold, "--minutes", args.minutes, "--out", run, *labels)
    if not (run / "metrics.json").is_file():
        zoo("evaluate", run, data, "--fold", args.fold)
    zoo("export", run, "--out", artifacts, *(word for name in FORMATS for word in ("--format", name)))
    print(table(args.set, run, artifacts, patients(data, args.labels) if args.slices else None))


def patients(data, labels) -> dict[str, str]:
    """The patient of each case."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    from train.data.dataset import open_dataset

    return {case.name: case.group for case in open_dataset(data, *([labels] if labels else [])).cases}


def patient_drop(report, patient) -> float:
    """The largest drop in the Dice of any label of any patient."""
    cases = report["fidelity"]["cases"]

    def dice(label, kind):
        labelled = ((patient[case["name"]], case["labels"][label]) for case in cases)
        return patient_dice((who, s[kind]["dice"], s[kind]["volume"] + s["reference_volume"]) for who, s in labelled)

    labels = list(cases[0]["labels"])
    return max(
        before - dice(label, "artifact")[who] for label in labels for who, before in dice(label, "network").items()
    )


def table(name, run, artifacts, patient=None) -> str:
    """The Markdown table of a run and its artifacts; with the patient of each slice, their largest drop too."""
    mean = json.loads((run / "metrics.json").read_text(encoding="utf-8"))["mean"]
    with open(run / "history.csv", newline="", encoding="utf-8") as file:
        epochs = list(csv.DictReader(file))
    minutes = float(epochs[-1]["seconds"]) / 60
    labels = list(mean)
    manifests = {f: json.loads((artifacts / f / "manifest.json").read_text(encoding="utf-8")) for f in FORMATS}
    float_size = (artifacts / "tflite-float32" / "model.tflite").stat().st_size
    source = manifests["tflite-int8"]["source"]
    cases = len(manifests["tflite-int8"]["fidelity"]["cases"])
    lines = [
        f"{name}, fold {source['fold']}: {source['network']}, {source['parameters']:,} parameters, "
        f"trained {minutes:.0f} minutes ({len(epochs)} epochs), {cases} validation cases",
        "",
        "| | "
        + " | ".join(f"Dice {label}" for label in labels)
        + f" | largest drop in a case | {'in a patient | ' if patient else ''}MB | of float32 | verdict |",
        "|---|" + "---|" * (len(labels) + 4 + bool(patient)),
        "| Keras float32 | "
        + " | ".join(f"{mean[label]['dice']:.4f}" for label in labels)
        + " |" * (5 + bool(patient)),
    ]
    for format, manifest in manifests.items():
        fidelity = manifest["fidelity"]
        size = (artifacts / format / manifest["model"]).stat().st_size
        dice = " | ".join(f"{fidelity['labels'][label]['dice_artifact']:.4f}" for label in labels)
        worst = f"{max(f['worst_drop'] for f in fidelity['labels'].values()):.4f}"
        if patient:
            report = json.loads((artifacts / format / "report.json").read_text(encoding="utf-8"))
            worst += f" | {patient_drop(report, patient):.4f}"
        lines.append(
            f"| {format} | {dice} | {worst} | {size / 1e6:.2f} | {size / float_size:.0%} | {fidelity['verdict']} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
