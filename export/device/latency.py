"""How long an artifact takes for a patch on the machine that exports it, by number of threads."""

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge.manifest import load_manifest
from edge.runtime.benchmark import interleave
from edge.runtime.runner import open_runner

SECONDS = 2.0
ROUNDS = 20
MOST = 8


@dataclass(frozen=True)
class Latency:
    """Time for one patch.

    Attributes:
        threads: processor threads.
        median_ms: median of the runs.
        min_ms: least of the runs.
        cold_start_ms: opening the file and the first run together.
        rounds: runs that were timed.
    """

    threads: int
    median_ms: float
    min_ms: float
    cold_start_ms: float
    rounds: int


def by_threads(folder, counts: Sequence[int] = (), seconds: float = SECONDS) -> tuple[Latency, ...]:
    """Time an artifact on a patch of random numbers, the thread counts in turn.

    Args:
        folder: artifact folder.
        counts: thread counts; by default 1, 2, 4, ... as many as there are cores, 8 at most.
        seconds: what it may take about; at least one round is run, at most 20.

    Returns:
        One for each count.
    """
    manifest = load_manifest(folder, verify=False)
    model = Path(folder) / manifest.model
    patch = np.random.default_rng(0).standard_normal((*manifest.patch, manifest.recipe.patch_channels), np.float32)
    counts = tuple(counts) or tuple(2**i for i in range(MOST.bit_length()) if 2**i <= min(MOST, cores()))

    def opener(threads):
        def opened():
            runner = open_runner(model, manifest, threads)
            return lambda: runner.run(patch)

        return opened

    openers = {str(n): opener(n) for n in counts}
    (slow,) = interleave({"1": openers[str(counts[0])]}, rounds=1, warmup=0)
    rounds = int(np.clip(1e3 * seconds / max(1e-3, slow.min_ms * len(counts)), 1, ROUNDS))
    timings = interleave(openers, rounds=rounds, warmup=1)
    return tuple(Latency(int(t.name), t.median_ms, t.min_ms, t.cold_start_ms, t.rounds) for t in timings)


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine() -> dict:
    """Processor, cores and system that latencies hold for."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        name = platform.processor() or platform.machine()
    return {"processor": name, "cores": cores(), "system": f"{platform.system()} {platform.machine()}"}
