"""Time of a training step of unet3d as zoo train makes it, against PyTorch and against plain Keras.

    python benchmarks/training/training_step.py --torch PYTHON

PYTHON is an interpreter that has PyTorch. The same network (the number of weights is compared), batch, loss (Dice and
cross-entropy), optimizer (AdamW, gradient clipping, moving average of the weights) and precision (bfloat16 by
autocast), PyTorch with tensors in either order of axes; each in a process of its own that is stopped while another is
timed.

Prints a Markdown table of the medians; the share is ours of the faster PyTorch.
"""

import argparse
import dataclasses
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path

from turns import Contestant, in_turns

WORKERS = Path(__file__).with_name("step_peers.py")
SIZES = ((40, 56, 40), (48, 48, 48))
PRECISIONS = ("float32", "mixed_bfloat16")
LIMIT = 0.80


def main():
    """Time the steps and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--torch", required=True, help="interpreter that has PyTorch")
    parser.add_argument("--batch", type=int, default=4, help="the one that zoo plan gives hippocampus")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=6, help="per round")
    parser.add_argument("--sizes", type=int, default=len(SIZES), help="how many of the patch sizes")
    args = parser.parse_args()
    print(
        f"unet3d, batch {args.batch}, {args.threads} threads of {os.cpu_count()} cores, ms per step, median of "
        f"{args.rounds} rounds of {args.steps} steps in turn\n"
    )
    print(
        "| patch | precision | weights | ours | Keras | PyTorch | PyTorch, channels last | ours of PyTorch "
        f"| by CPU time | limit {LIMIT:.2f} |\n|---|---|---|---|---|---|---|---|---|---|"
    )
    for patch in SIZES[: args.sizes]:
        for precision in PRECISIONS:
            print(row(patch, precision, args), flush=True)


def row(patch, precision: str, args) -> str:
    """A line of the table."""
    weights = {}
    with tempfile.TemporaryDirectory() as folder:
        job = Path(folder) / "job.json"
        plan = dataclasses.asdict(plan_of(patch, precision, args.batch))
        settings = {"plan": plan, "patch": patch, "batch": args.batch, "classes": 3, "threads": args.threads}
        job.write_text(json.dumps(settings), encoding="utf-8")

        def begin(name):
            python = args.torch if name.startswith("torch") else sys.executable
            threads = {"OMP_NUM_THREADS": str(args.threads)}
            paths = {} if name.startswith("torch") else {"PYTHONPATH": str(WORKERS.parents[2])}
            contestant = Contestant([python, str(WORKERS), name, str(job)], {**threads, **paths})
            weights[name] = int(contestant.line())
            return contestant

        names = ("ours", "keras", "torch", "torch_channels_last")
        measured = in_turns({n: lambda n=n: begin(n) for n in names}, args.rounds, args.steps, warm=3)
    if len(set(weights.values())) != 1:
        raise SystemExit(f"the networks differ in their trainable weights: {weights}")
    wall = {n: 1000 * statistics.median(t for t, _ in times) / args.steps for n, times in measured.items()}
    cpu = {n: statistics.median(c for _, c in times) for n, times in measured.items()}
    share, by_cpu = (t["ours"] / min(t["torch"], t["torch_channels_last"]) for t in (wall, cpu))
    cells = (" × ".join(map(str, patch)), precision, f"{weights['ours']:,}", *(f"{wall[n]:.0f}" for n in names))
    verdict = "holds" if share <= LIMIT else "missed"
    return "| " + " | ".join((*cells, f"{share:.2f}", f"{by_cpu:.2f}", verdict)) + " |"


def plan_of(patch, precision: str, batch: int):
    """A plan of unet3d with three classes; data play no part."""
    from imaging.labels import Label
    from imaging.recipe import Recipe
    from train.planning.plan import Network, Plan, Training

    return Plan(
        dataset="none",
        labels=tuple(Label(name, value) for value, name in enumerate(("background", "anterior", "posterior"))),
        channels=("MRI",),
        recipe=Recipe(rank=3),
        network=Network("unet3d"),
        patch=patch,
        overlap=0.5,
        training=Training(batch=batch, precision=precision),
        folds=(("a",), ("b",)),
    )


if __name__ == "__main__":
    main()
