"""Augmented patches per second of the input pipeline against nnU-Net's augmenters, and how long keras.fit waits for it.

    python benchmarks/training/pipeline_speed.py --data DATA --batchgenerators PYTHON [--batchgeneratorsv2 PYTHON]

PYTHON is an interpreter that has the peer (pip install batchgenerators; batchgeneratorsv2). All read the same
preprocessed cases and make the same patches with the transforms, ranges and probabilities of the plan, two workers
each; every one has a process of its own that is stopped while another is timed. nnU-Net interpolates images cubically
with batchgenerators; ours, batchgeneratorsv2 and the row "linear" do so linearly.

Prints two Markdown tables: patches per second (median of the rounds) and CPU time per patch, and the share of a step of
keras.fit, set up as zoo train does, that passes in waiting for the next batch.
"""

import argparse
import dataclasses
import functools
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

from turns import Contestant, in_turns

PEERS = Path(__file__).with_name("pipeline_peers.py")


def main():
    """Time the augmenters and a fit and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of dataset folders")
    parser.add_argument("--set", default="hippocampus", help="dataset folder in it")
    parser.add_argument("--batchgenerators", help="interpreter that has it")
    parser.add_argument("--batchgeneratorsv2", help="interpreter that has it")
    parser.add_argument("--cache", type=Path, help="folder of preprocessed cases")
    parser.add_argument("--workers", type=int, default=2, help="threads or processes of each")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batches", type=int, default=60, help="per round")
    parser.add_argument("--steps", type=int, default=100, help="of keras.fit that are timed; 0 for none")
    args = parser.parse_args()
    plan, cases = prepare(args.data / args.set, args.cache)
    augmenters = [("ours", sys.executable)]
    if args.batchgenerators:
        augmenters += [(name, args.batchgenerators) for name in ("batchgenerators", "batchgenerators_linear")]
    if args.batchgeneratorsv2:
        augmenters.append(("batchgeneratorsv2", args.batchgeneratorsv2))
    with tempfile.TemporaryDirectory() as folder:
        job = Path(folder) / "job.json"
        job.write_text(json.dumps(job_of(plan, cases, args.workers)), encoding="utf-8")
        measured = compare(augmenters, job, args.rounds, args.batches)
    size = " × ".join(map(str, plan.patch))
    print(
        f"{args.set}, patch {size}, batch {plan.training.batch}, {args.workers} workers each, {args.rounds} rounds of "
        f"{args.batches} batches in turn\n"
    )
    print("| augmenter | patches per second | CPU ms per patch | ours is faster by | by CPU |\n|---|---|---|---|---|")
    patches = args.batches * plan.training.batch
    rates = {name: statistics.median(patches / wall for wall, _ in times) for name, times in measured.items()}
    costs = {name: 1000 * statistics.median(cpu / patches for _, cpu in times) for name, times in measured.items()}
    for name in measured:
        print(
            f"| {name.replace('_', ', ')} | {rates[name]:.0f} | {costs[name]:.2f} | {rates['ours'] / rates[name]:.2f} "
            f"| {costs[name] / costs['ours']:.2f} |"
        )
    if args.steps:
        print(f"\n{waiting(plan, cases, args.steps)}")


def prepare(folder: Path, cache):
    """The dataset's plan and its preprocessed training cases of fold 0."""
    from train.data.dataset import open_dataset
    from train.fitting.fit import network
    from train.fitting.step_time import open_step
    from train.hardware.precision import choose, with_precision
    from train.input.cache import cache_cases
    from train.input.pipeline import fold_cases
    from train.planning.planner import make_plan

    dataset = open_dataset(folder)
    plan = make_plan(dataset, progress=True)
    plan = with_precision(plan, choose(plan, functools.partial(open_step, network)).chosen)
    return plan, cache_cases(fold_cases(dataset, plan, 0)[0], plan.recipe, plan.labels, cache, progress=True)


def job_of(plan, cases, workers: int) -> dict:
    """What the processes need to know, as plain JSON types."""
    from train.input.anisotropy import grid_of, region

    return {
        "plan": dataclasses.asdict(plan),
        "cases": [str(case.folder.resolve()) for case in cases],
        "patch": plan.patch,
        "region": region(plan.training.augmentation, grid_of(plan)),
        "batch": plan.training.batch,
        "foreground": plan.training.foreground,
        "mirror": plan.training.mirror,
        "augmentation": dataclasses.asdict(plan.training.augmentation),
        "workers": workers,
    }


def compare(augmenters, job: Path, rounds: int, count: int) -> dict[str, list[tuple[float, float]]]:
    """(seconds, CPU seconds) of ``count`` batches of each augmenter in each round."""

    def begin(name, python):
        threads = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")}  # as nnU-Net's workers
        own = {"PYTHONPATH": str(PEERS.parents[2])} if name == "ours" else threads
        return Contestant([python, str(PEERS), name, str(job)], own)

    start = {name: lambda name=name, python=python: begin(name, python) for name, python in augmenters}
    # Before each timing more batches are taken than any queue holds of the time before.
    return in_turns(start, rounds, count, warm=20, drained=12)


def waiting(plan, cases, steps: int) -> str:
    """A Markdown table: how long a step of ``keras.fit`` takes and how much of it is waiting for the next batch."""
    import tensorflow as tf

    from train.fitting.fit import network, objective, optimizer
    from train.hardware.fused import fuse
    from train.input.pipeline import batches

    model = fuse(network(plan, plan.training.precision))
    model.compile(optimizer=optimizer(plan), **objective(plan, 1), jit_compile=False)
    waits, whole = [], []

    @tf.function(reduce_retracing=True)
    def step(data):
        return model.train_step(data)

    def train_function(iterator):
        began = time.perf_counter()
        data = next(iterator)
        waits.append(time.perf_counter() - began)
        logs = {name: float(value) for name, value in step(data).items()}  # the step has ended when its loss is here
        whole.append(time.perf_counter() - began)
        return logs

    # What fit calls for each step; Keras' own does both in one graph, where they cannot be told apart.
    model.train_function = train_function
    warm = 10
    model.fit(batches(cases, plan, training=True), steps_per_epoch=warm + steps, epochs=1, verbose=0, shuffle=False)
    waits, whole = waits[warm:], whole[warm:]
    share = sum(waits) / sum(whole)
    return (
        f"keras.fit of {plan.network.name}, {plan.training.precision}, {len(whole)} steps\n\n"
        "| step ms (median) | waiting ms (median) | waiting ms (largest) | share of all step time | limit |\n"
        "|---|---|---|---|---|\n"
        f"| {1000 * statistics.median(whole):.0f} | {1000 * statistics.median(waits):.2f} | {1000 * max(waits):.1f} "
        f"| {100 * share:.2f} % | 5 % |"
    )


if __name__ == "__main__":
    main()
