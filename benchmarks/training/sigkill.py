"""Kill a training with SIGKILL at random moments, resume it, and compare its weights with an undisturbed one's.

    python benchmarks/training/sigkill.py --data DATA --set hippocampus --moments 20

A quarter of the moments lie in preprocessing (a random number of cases is in the cache), a quarter in the writing of a
checkpoint (its temporary folder has just appeared), the others at a random time in the epochs. Every trial has its own
run folder and its own cache. Prints one Markdown table: moment, what was there when the process died, and whether the
resumed run's weights are those of the undisturbed run, bit for bit. Exits with 1 if one differs.
"""

import argparse
import csv
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

POLL = 0.001  # seconds


def main() -> int:
    """Train undisturbed, then kill, resume and compare as often as asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of dataset folders")
    parser.add_argument("--set", default="hippocampus", help="dataset folder in it")
    parser.add_argument("--model", default="unet3d")
    parser.add_argument("--moments", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--steps", type=int, default=6, help="per epoch")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    chance = random.Random(args.seed)
    root = Path(tempfile.mkdtemp(prefix="sigkill-"))
    try:
        whole = Trial(args, root / "whole")
        finish(whole.start())
        expected = weights(whole.run)
        seconds = training_seconds(whole.run)
        print("| moment | when it died | weights after --resume |\n|---|---|---|", flush=True)
        different = 0
        for number in range(args.moments):
            trial = Trial(args, root / f"trial{number}")
            kind = ("preprocessing", "checkpoint", "epochs", "epochs")[number % 4]
            state = kill(trial, kind, chance, seconds)
            finish(trial.start("--resume"))
            same = all(np.array_equal(a, b) for a, b in zip(expected, weights(trial.run), strict=True))
            different += not same
            print(f"| {kind} | {state} | {'equal' if same else 'DIFFERENT'} |", flush=True)
            shutil.rmtree(trial.folder)
        print(f"\n{args.moments - different} of {args.moments} resumed runs equal the undisturbed one")
        return 1 if different else 0
    finally:
        shutil.rmtree(root, ignore_errors=True)


class Trial:
    """A run folder and a cache of their own.

    Args:
        args: of the command line.
        folder: that holds both.
    """

    def __init__(self, args, folder):
        self.folder, self.run, self.cache = folder, folder / "run", folder / "cache"
        self.words = ["train", args.data / args.set, "--model", args.model, "--epochs", args.epochs]
        self.words += ["--steps-per-epoch", args.steps, "--cache", self.cache, "--out", self.run]
        folder.mkdir(parents=True)

    def start(self, *further):
        """The training as a process."""
        with open(self.folder / "output.txt", "ab") as output:
            command = [sys.executable, "-m", "zoo", *map(str, self.words), *further]
            return subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)

    def cached(self) -> int:
        """How many cases are preprocessed."""
        return sum(not name.startswith(".") for name in os.listdir(self.cache)) if self.cache.is_dir() else 0

    def epochs(self) -> int:
        """How many epochs are complete."""
        return len(history(self.run))


def kill(trial: Trial, kind: str, chance: random.Random, seconds: float) -> str:
    """Start a training and kill it at a moment of ``kind``; returns what was there when it died."""
    process = trial.start()
    if kind == "preprocessing":
        goal = chance.randint(1, 150)
        wait(process, lambda: trial.cached() >= goal)
    elif kind == "checkpoint":
        goal = chance.randint(0, 2)
        wait(process, lambda: trial.epochs() >= goal and writing(trial.run / "checkpoints"))
    else:
        # The first epoch traces the graph; the moment lies anywhere from the first step to the last.
        wait(process, lambda: (trial.run / "tensorboard").is_dir())
        time.sleep(chance.uniform(0, seconds))
    alive = process.poll() is None
    if alive:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return f"{'' if alive else 'finished: '}{trial.cached()} cases preprocessed, {trial.epochs()} epochs complete" + (
        ", checkpoint half-written" if writing(trial.run / "checkpoints") else ""
    )


def wait(process, reached):
    """Until ``reached()`` or the process has ended."""
    while process.poll() is None and not reached():
        time.sleep(POLL)


def writing(folder: Path) -> bool:
    """Whether something lies in ``folder`` that has not got its final name yet."""
    return folder.is_dir() and any(name.startswith(".") or ".tmp" in name for name in os.listdir(folder))


def finish(process):
    """Wait for a training that must succeed."""
    if process.wait():
        sys.exit(f"training failed with {process.returncode}: {' '.join(process.args)}")


def history(run: Path) -> list[dict]:
    """The rows of ``history.csv``; none if there is none yet."""
    if not (run / "history.csv").is_file():
        return []
    with open(run / "history.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def training_seconds(run: Path) -> float:
    """How long the epochs of a finished run took."""
    return float(history(run)[-1]["seconds"])


def weights(run: Path) -> list[np.ndarray]:
    """The weights of a finished run's network."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from train.fitting.run import open_run

    return open_run(run).model().get_weights()


if __name__ == "__main__":
    sys.exit(main())
