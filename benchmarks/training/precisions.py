"""The same training in float32 and in bfloat16: time of a step, and Dice after the same epochs.

    python benchmarks/training/precisions.py --data DATA --set hippocampus --epochs 8 --out runs/precisions

Trains fold 0 with the plan of ``zoo plan`` once in each precision, one after the other, with the same seed, and scores
each run by ``zoo evaluate``. The first is trained with ``--precision auto``, which measures a step in each precision
and keeps the milliseconds in run.json; the second in the precision that it did not choose. The time of a step is the
epoch's, patches and validation included, the median over the epochs; beside it stands what was measured of a step
alone. ``zoo compare`` gives paired differences of Dice with their intervals. What is there is not trained again.
"""

import argparse
import csv
import itertools
import json
import statistics
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

PRECISIONS = ("float32", "mixed_bfloat16")
LIMIT = 0.003


def main():
    """Train in each precision, score, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of dataset folders")
    parser.add_argument("--set", default="hippocampus", help="dataset folder in it")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--out", type=Path, default=Path("runs/precisions"))
    args = parser.parse_args()
    folder = args.out / args.set
    folder.mkdir(parents=True, exist_ok=True)
    plan = folder / "plan.json"
    if not plan.is_file():
        zoo("plan", args.data / args.set, "--out", plan)
    first = trained(args, folder, plan, "auto")
    alone = json.loads((first / "run.json").read_text(encoding="utf-8"))["step_ms"]
    chosen = plan_of(first)["training"]["precision"]
    runs = [first if name == chosen else trained(args, folder, plan, name) for name in PRECISIONS]
    scores = [json.loads((run / "metrics.json").read_text(encoding="utf-8"))["mean"] for run in runs]
    names = list(scores[0])
    print(f"{args.set}, fold 0, {args.epochs} epochs\n")
    print(f"| precision | ms a step | step alone | {' | '.join(f'Dice {name}' for name in names)} | mean |")
    print("|---|" + "---|" * (len(names) + 3))
    means = []
    for precision, run, score in zip(PRECISIONS, runs, scores, strict=True):
        values = [score[name]["dice"] for name in names]
        means.append(statistics.mean(values))
        step, measured = step_ms(run), alone.get(precision)
        cells = [f"{step:.0f}", "" if measured is None else f"{measured:.0f}", *(f"{v:.4f}" for v in values)]
        print(f"| {precision} | {' | '.join(cells)} | {means[-1]:.4f} |")
    difference = means[1] - means[0]
    verdict = "kept" if abs(difference) <= LIMIT else "missed"
    print(f"\nmean Dice {difference:+.4f}, limit {LIMIT} either way: {verdict}\n", flush=True)
    subprocess.run([sys.executable, "-m", "zoo", "compare", *map(str, runs)], check=True)


def zoo(*words):
    """Run a command of the front door; its output goes to standard error."""
    subprocess.run([sys.executable, "-m", "zoo", *map(str, words)], check=True, stdout=sys.stderr)


def trained(args, folder: Path, plan: Path, precision: str) -> Path:
    """A scored run in a precision, trained if it is not there."""
    run = folder / precision
    if not (run / "model.keras").is_file():
        words = ("--plan", plan, "--fold", 0, "--epochs", args.epochs, "--precision", precision)
        zoo("train", args.data / args.set, *words, "--cache", folder / "cache", "--out", run)
    if not (run / "metrics.json").is_file():
        zoo("evaluate", run)
    return run


def plan_of(run: Path) -> dict:
    """The plan that a run was trained with."""
    return json.loads((run / "plan.json").read_text(encoding="utf-8"))


def step_ms(run: Path) -> float:
    """Median milliseconds of a step over the epochs after the first, which builds the graph."""
    steps = plan_of(run)["training"]["steps_per_epoch"]
    with open(run / "history.csv", newline="", encoding="utf-8") as file:
        ends = [float(row["seconds"]) for row in csv.DictReader(file)]
    return 1000 * statistics.median(later - earlier for earlier, later in itertools.pairwise(ends)) / steps


if __name__ == "__main__":
    main()
