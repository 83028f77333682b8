"""What the default command learns in given minutes: Dice and HD95 of the volumes held back, by ``zoo evaluate``.

    python benchmarks/accuracy/default_run.py --data DATA --set cardiac --minutes 60

Trains by ``zoo train DATA/SET --fold F --minutes M``, no other option; a run that is there already is not trained
again. Each label is scored as the network gives it (``--no-mirror``), with the postprocessing that the run decided, and
with that and the mean over flips (``--mirror``). Which of these a prediction is by default the plan says. HD95 in mm.
"""

import argparse
import csv
import json
import subprocess
import sys
from pathlib import Path

HEADINGS = ("label", "Dice", "cleaned", "flips and cleaned", "HD95", "cleaned", "flips and cleaned")


def main():
    """Train if need be, evaluate with flips and without, print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of dataset folders")
    parser.add_argument("--set", default="cardiac", help="dataset folder in it")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--fold", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs"), help="folder of run folders")
    args = parser.parse_args()
    run = args.out / f"{args.set}-fold{args.fold}-{args.minutes:g}min"
    if not (run / "model.keras").is_file():
        resume = ("--resume",) if (run / "plan.json").is_file() else ()
        zoo("train", args.data / args.set, "--fold", args.fold, "--minutes", args.minutes, "--out", run, *resume)
    scores = []
    averages = json.loads((run / "plan.json").read_text(encoding="utf-8")).get("average_flips", False)
    for word, suffix in (("--no-mirror", "_plain" * averages), ("--mirror", "_mirror" * (not averages))):
        zoo("evaluate", run, word)
        scores.append(json.loads((run / f"metrics{suffix}.json").read_text(encoding="utf-8")))
    with open(run / "history.csv", newline="", encoding="utf-8") as file:
        epochs = list(csv.DictReader(file))
    minutes, held_back = float(epochs[-1]["seconds"]) / 60, len(scores[0]["cases"])
    print(f"{args.set}, fold {args.fold}: {held_back} volumes held back; {len(epochs)} epochs, {minutes:.0f} minutes\n")
    print("\n".join(table(*scores)))


def zoo(*words):
    """Run a command of the product; its output goes to standard error."""
    subprocess.run([sys.executable, "-m", "zoo", *map(str, words)], check=True, stdout=sys.stderr)


def table(plain: dict, mirrored: dict) -> list[str]:
    """Lines of Markdown, a label each and their mean; where the run decided no postprocessing, "-".

    Args:
        plain: the scores without flips.
        mirrored: those of the mean over flips.
    """
    means = [plain["mean"], *((scores["postprocessed"] or {}).get("mean") for scores in (plain, mirrored))]
    rows = [
        [label, *(cell(mean, label, "dice", 4) for mean in means), *(cell(mean, label, "hd95", 1) for mean in means)]
        for label in plain["mean"]
    ]
    overall = [f"{sum(mean[label]['dice'] for label in mean) / len(mean):.4f}" if mean else "-" for mean in means]
    rows.append(["mean", *overall, "", "", ""])
    lines = [f"| {' | '.join(row)} |" for row in [HEADINGS, *rows]]
    return [lines[0], "|" + "---|" * len(HEADINGS), *lines[1:]]


def cell(mean: dict | None, label: str, metric: str, digits: int) -> str:
    """A number of a table, or "-" where there is none."""
    value = mean and mean[label][metric]
    return "-" if value is None else f"{value:.{digits}f}"


if __name__ == "__main__":
    main()
