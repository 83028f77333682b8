"""From folder to device with CT-sized scans: full resolution, low resolution and the cascade of both.

    python benchmarks/large/large_volume.py --out FOLDER --minutes 3
    python benchmarks/large/large_volume.py --out FOLDER --minutes 0.1 --steps 5 --shape 128 128 80

Makes CT-like phantoms (``ct_phantom.py``; int16 NIfTI, compressed), then runs ``zoo plan``, ``zoo train`` on fold 0,
``zoo export`` to int8 and ``zoo-edge predict`` of whole scans that no training saw, each a process of its own whose
largest resident memory (ru_maxrss) and time are taken. Seconds of a prediction are those of the whole command, start,
reading and writing included. Prints a Markdown table, and which limits are kept: 4 GB resident for plan and training,
1.5 GB for a prediction, and a low resolution that is 5 times as quick as full resolution at a mean Dice no more than
0.01 below it. What was done stays in FOLDER: the same command goes on where it was interrupted. Exports are made with
``--no-verify``, as the Dice here is that of the artifact itself.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from ct_phantom import ORGANS, make_dataset

from medseg import record

CONFIGURATIONS = ("3d", "3d-low", "cascade")
LIMITS = {"plan": 4.0, "train": 4.0, "predict": 1.5}  # GB resident
QUICKER, LOWER = 5.0, 0.01
HEADER = ("configuration", "minutes of training", "whole command", "plan, GB", "train, GB", "export, GB")
HEADER += ("scan, s", "of it network", "scan, GB", *ORGANS, "mean Dice", "quicker than 3d")


def main():
    """Make the dataset, take each configuration from folder to segmentation, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of all that is made")
    parser.add_argument("--minutes", type=float, default=3, help="of training, for each network")
    parser.add_argument("--steps", type=int, help="of an epoch, instead of the plan's, to try the script itself")
    parser.add_argument("--cases", type=int, default=5, help="labelled scans; one of five is held back from training")
    parser.add_argument("--test", type=int, default=1, help="further scans, which are segmented and scored")
    parser.add_argument(
        "--shape", type=int, nargs=3, default=(512, 512, 300), help="voxels of a scan, of 410×410×300 mm"
    )
    parser.add_argument("--configurations", nargs="+", default=CONFIGURATIONS, choices=CONFIGURATIONS)
    parser.add_argument("--threads", type=int, default=2, help="of the prediction")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    data = args.out / "data"
    if not (data / "dataset.json").is_file():
        make_dataset(data, args.cases, args.test, tuple(args.shape))
    rows = {}
    for name in args.configurations:
        rows[name] = folder_to_device(name, data, args)
    report(rows, "×".join(map(str, args.shape)))


def folder_to_device(name: str, data: Path, args) -> dict:
    """Plan, train, export and predict in one configuration; what was done already is left as it is.

    Returns:
        Figures of each command (seconds, gigabytes), "dice" (organ to mean), "trained" and "network" (seconds).
    """
    place = args.out / name
    run, artifact, kept = place / "run", place / "artifacts" / "tflite-int8", Figures(place)
    kept.run("plan", ("zoo", "plan", data, "--configuration", name, "--out", place / "plan.json"))
    train = (data, "--plan", place / "plan.json", "--fold", 0, "--minutes", args.minutes)
    train += ("--steps-per-epoch", args.steps) if args.steps else ()
    train = ("--resume",) if (run / "plan.json").is_file() else train
    kept.run("train", ("zoo", "train", *train, "--cache", args.out / "cache", "--out", run))
    kept.run("export", ("zoo", "export", run, "--format", "tflite-int8", "--out", artifact.parent, "--no-verify"))
    scores = {organ: [] for organ in ORGANS}
    seconds, gigabytes, network = [], [], []
    for scan in sorted((data / "imagesTs").iterdir()):
        out = place / scan.name
        words = ("edge", "predict", artifact, scan, "--out", out, "--threads", args.threads, "--json")
        figures = kept.run(f"predict {scan.name}", words)
        seconds.append(figures["seconds"])
        gigabytes.append(figures["gigabytes"])
        network.append(json.loads(kept.answer(f"predict {scan.name}"))["scans"][0]["stages"]["network"])
        for organ, value in dice_of(out, data / "labelsTs" / scan.name).items():
            scores[organ].append(value)
    return {
        **{command: kept.all[command] for command in ("plan", "train", "export")},
        "predict": {"seconds": sum(seconds) / len(seconds), "gigabytes": max(gigabytes)},
        "network": sum(network) / len(network),
        "trained": sum(seconds_trained(path) for path in (run, run / "first") if path.is_dir()),
        "dice": {organ: sum(values) / len(values) for organ, values in scores.items()},
    }


class Figures:
    """Commands that are run once, and what they took, kept in a folder.

    Args:
        folder: of a configuration; figures.json and the commands' output lie there.
    """

    def __init__(self, folder: Path):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.file = folder, folder / "figures.json"
        self.all = json.loads(self.file.read_text()) if self.file.is_file() else {}

    def run(self, name: str, words) -> dict:
        """Run ``python -m words``, unless it was run; its "seconds" and "gigabytes" resident at most."""
        if name in self.all:
            return self.all[name]
        command = [sys.executable, "-m", *map(str, words)]
        print(" ".join(command[2:]), file=sys.stderr, flush=True)
        began = time.monotonic()
        with open(self.answer_file(name), "wb") as answer, open(self.folder / f"{name}.log", "ab") as log:
            process = subprocess.Popen(command, stdout=answer, stderr=log)
            _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            sys.exit(f"failed with {process.returncode}: {' '.join(command)}; see {log.name}")
        taken = {"seconds": round(time.monotonic() - began, 1), "gigabytes": round(used.ru_maxrss * 1024 / 1e9, 2)}
        print(taken, file=sys.stderr, flush=True)
        self.all[name] = taken
        record.write_text(self.file, json.dumps(self.all, indent=1))
        return taken

    def answer_file(self, name: str) -> Path:
        """Where a command's standard output lies."""
        return self.folder / f"{name}.txt"

    def answer(self, name: str) -> str:
        """A command's standard output."""
        return self.answer_file(name).read_text()


def seconds_trained(run: Path) -> float:
    """Seconds that the epochs of a run took."""
    with open(run / "history.csv", newline="", encoding="utf-8") as file:
        return float(list(csv.DictReader(file))[-1]["seconds"])


def dice_of(segmentation: Path, reference: Path) -> dict[str, float]:
    """Dice of each organ of one scan."""
    import imaging
    from imaging.measure.overlap import dice

    segmented, expected = imaging.read_labels(segmentation).voxels, imaging.read_labels(reference).voxels
    return {organ: dice(segmented == value, expected == value) for value, organ in enumerate(ORGANS, 1)}


def report(rows: dict[str, dict], size: str) -> None:
    """Print the table, and of each limit whether it is kept."""
    print(f"Scans of {size} voxels, {len(ORGANS) + 1} classes, int8\n\n| {' | '.join(HEADER)} |")
    print("|" + "---|" * len(HEADER))
    full = rows.get("3d")
    for name, row in rows.items():
        dice = [*row["dice"].values(), mean(row)]
        gigabytes = [f"{row[command]['gigabytes']:.2f}" for command in ("plan", "train", "export")]
        cells = [name, f"{row['trained'] / 60:.1f}", f"{row['train']['seconds'] / 60:.1f}", *gigabytes]
        cells += [f"{row['predict']['seconds']:.1f}", f"{row['network']:.1f}", f"{row['predict']['gigabytes']:.2f}"]
        cells += [f"{value:.4f}" for value in dice]
        cells += ["" if full is None else f"{full['predict']['seconds'] / row['predict']['seconds']:.1f}"]
        print(f"| {' | '.join(cells)} |")
    print()
    for command, limit in LIMITS.items():
        most = max(row[command]["gigabytes"] for row in rows.values())
        print(f"- {command}: {most:.2f} GB resident at most, limit {limit} GB: {kept(most <= limit)}")
    if full is None or "3d-low" not in rows:
        return
    low = rows["3d-low"]
    quicker = full["predict"]["seconds"] / low["predict"]["seconds"]
    print(f"- low resolution: {quicker:.1f} times as quick, limit {QUICKER:g}: {kept(quicker >= QUICKER)}")
    lower = mean(full) - mean(low)
    print(f"- low resolution: mean Dice {lower:+.4f} below full resolution's, limit {LOWER}: {kept(lower <= LOWER)}")


def mean(row) -> float:
    """Mean Dice over the organs."""
    return sum(row["dice"].values()) / len(row["dice"])


def kept(true: bool) -> str:
    """Whether a limit is kept, in words."""
    return "kept" if true else "missed"


if __name__ == "__main__":
    main()
