"""2D, 2.5D and 3D on one dataset at equal minutes: Dice of the int8 artifact on the held-back volumes, and its time.

    python benchmarks/accuracy/configurations.py --data DATA --set cardiac --minutes 20
    python benchmarks/accuracy/configurations.py --data DATA --set hippocampus --minutes 20 --configurations 2d 3d

A run that is there already is not trained again. Artifacts are scored by what ``zoo-edge predict`` writes, volume by
volume in its own geometry; the time is that of the whole command's network, reading and writing not counted.
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))


def command(*words, module="zoo"):
    """Run a command of the product; its output goes to standard error."""
    subprocess.run([sys.executable, "-m", module, *map(str, words)], check=True, stdout=sys.stderr)


def scores(artifact: Path, run: Path) -> tuple[dict[str, float], float]:
    """Mean Dice by label name of the held-back volumes, and seconds of the network a volume."""
    import imaging
    from imaging.io.cases import Cases
    from imaging.measure.overlap import dice
    from medseg import record
    from train.planning.plan import load_plan

    labels = load_plan(run / "plan.json").labels[1:]
    scores, seconds = {label.name: [] for label in labels}, []
    for case in record.load(run / "cases.json", Cases).validation:
        with tempfile.TemporaryDirectory() as place:
            out = Path(place) / "out.nii.gz"
            process = subprocess.run(
                [sys.executable, "-m", "edge", "predict", artifact, ",".join(case.images), "-o", out, "--json"],
                check=True,
                capture_output=True,
                text=True,
            )
            (answer,) = json.loads(process.stdout)["scans"]
            seconds.append(answer["stages"]["network"])
            segmentation, reference = imaging.read_labels(out).voxels, imaging.read_labels(case.label).voxels
        for label in labels:
            scores[label.name].append(dice(segmentation == label.value, reference == label.value))
    return {name: sum(values) / len(values) for name, values in scores.items()}, sum(seconds) / len(seconds)


def main():
    """Train if need be, export, score, print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of dataset folders")
    parser.add_argument("--set", default="cardiac", help="dataset folder in it")
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--fold", type=int, default=0)
    parser.add_argument("--configurations", nargs="+", default=["2d", "2.5d", "3d"])
    parser.add_argument("--out", type=Path, default=Path("runs"), help="folder of run and artifact folders")
    args = parser.parse_args()
    rows = []
    for name in args.configurations:
        run = args.out / f"{args.set}-{name}-fold{args.fold}"
        if not (run / "model.keras").is_file():
            chosen = ("--configuration", name, "--fold", args.fold, "--minutes", args.minutes)
            command("train", args.data / args.set, *chosen, "--out", run)
        artifact = run / "artifacts" / "tflite-int8"
        if not artifact.is_dir():
            command("export", run, "--format", "tflite-int8", "--out", artifact.parent, "--ship-anyway")
        dice, seconds = scores(artifact, run)
        with open(run / "history.csv", newline="", encoding="utf-8") as file:
            epochs = list(csv.DictReader(file))
        rows.append((name, f"{float(epochs[-1]['seconds']) / 60:.0f}", len(epochs), dice, seconds))
    labels = list(rows[0][3])
    print(f"| {args.set} | minutes | epochs | {' | '.join(labels)} | mean | int8 ms a volume |")
    print("|---|" + "---|" * (len(labels) + 4))
    for name, minutes, epochs, dice, seconds in rows:
        each = " | ".join(f"{value:.4f}" for value in dice.values())
        mean = sum(dice.values()) / len(dice)
        print(f"| {name} | {minutes} | {epochs} | {each} | {mean:.4f} | {1000 * seconds:.0f} |")


if __name__ == "__main__":
    main()
