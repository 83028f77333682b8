"""How fast artifacts run beside each other: interleaved, so that a slow moment of the machine hits all alike."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edge.runtime.runner import open_runner
from edge.shipped import locate
from edge.trust.opening import read_artifact
from medseg.columns import aligned
from medseg.errors import InputError, UsageError


@dataclass(frozen=True)
class Timing:
    """What was measured of one contestant.

    Attributes:
        name: what it is called.
        median_ms: median time of a run.
        min_ms: least time of a run.
        cold_start_ms: opening it and the first run together; the runtime is imported before.
        rounds: runs that were timed.
        size_bytes: size of its model file, 0 where there is none.
    """

    name: str
    median_ms: float
    min_ms: float
    cold_start_ms: float
    rounds: int
    size_bytes: int = 0


def interleave(
    openers: Mapping[str, Callable[[], Callable[[], object]]],
    rounds: int = 20,
    warmup: int = 3,
    progress: Callable[[int, int], None] | None = None,
    uncounted: int = 0,
) -> tuple[Timing, ...]:
    """Time several things in turn: A B C, A B C, ...

    Args:
        openers: name to a function that gets the thing ready and returns a function without arguments that runs it
            once. A cold start is one call of both.
        rounds: timed runs of each.
        warmup: rounds before those, not counted.
        progress: called after each round with the number of rounds done and of all.
        uncounted: runs at the start of each turn that are not timed: after one, a thing finds caches and threads as it
            does from patch to patch.

    Returns:
        A timing per name, in the order given.

    Raises:
        UsageError: if there is nothing to time, or rounds or warm-up are not whole numbers in range.
    """
    if not openers:
        raise UsageError("nothing to time: give at least one artifact folder")
    if rounds < 1 or warmup < 0:
        raise UsageError(f"{rounds} rounds after {warmup} of warm-up: expected at least 1 and at least 0")
    calls, cold, spent = {}, {}, {name: [] for name in openers}
    for name, opener in openers.items():
        began = time.perf_counter()
        calls[name] = opener()
        calls[name]()
        cold[name] = time.perf_counter() - began
    for done in range(warmup + rounds):
        for name, call in calls.items():
            for _ in range(uncounted):
                call()
            began = time.perf_counter()
            call()
            if done >= warmup:
                spent[name].append(time.perf_counter() - began)
        if progress is not None:
            progress(done + 1, warmup + rounds)
    return tuple(
        Timing(name, 1e3 * float(np.median(times)), 1e3 * min(times), 1e3 * cold[name], rounds)
        for name, times in spent.items()
    )


def compare(
    folders: Sequence,
    threads: int = 2,
    rounds: int = 20,
    warmup: int = 3,
    progress=None,
    trust=None,
    uncounted: int = 0,
) -> tuple[Timing, ...]:
    """Time the networks of artifacts on one patch of random numbers each, interleaved.

    Args:
        folders: artifact folders, or names of shipped artifacts.
        threads: processor threads for each.
        rounds: timed runs of each.
        warmup: rounds before those, not counted.
        progress: called after each round with the number of rounds done and of all.
        trust: as for ``edge.load``; the model files are then opened from memory.
        uncounted: as for ``interleave``.

    Returns:
        A timing per folder, in the order given.

    Raises:
        InputError: as ``edge.load`` does, and for a folder given twice.
        UsageError: as ``interleave`` does.
    """
    names = [str(folder) for folder in folders]
    if len(set(names)) != len(names):
        raise InputError(f"{', '.join(names)}: a folder is given twice; give each once")
    openers, sizes = {}, {}
    for folder, name in zip(folders, names, strict=True):
        manifest, content = read_artifact(folder, trust)
        model = locate(folder) / manifest.model
        opener = _opener(model, manifest, threads, content)
        opener()  # imports the runtime and finds what cannot run before anything is timed
        openers[name] = opener
        sizes[name] = model.stat().st_size
    timings = interleave(openers, rounds, warmup, progress, uncounted)
    return tuple(Timing(**{**vars(t), "size_bytes": sizes[t.name]}) for t in timings)


def table(timings: Sequence[Timing]) -> str:
    """Timings as text; "speed" is how many times as fast as the first by the median."""
    rows = [("artifact", "MB", "median ms", "min ms", "cold ms", "speed")]
    for timing in timings:
        times = (f"{timing.median_ms:.2f}", f"{timing.min_ms:.2f}", f"{timing.cold_start_ms:.1f}")
        speed = f"{timings[0].median_ms / timing.median_ms:.2f}x"
        rows.append((timing.name, f"{timing.size_bytes / 1e6:.2f}", *times, speed))
    return "\n".join(aligned(rows))


def _opener(model, manifest, threads, content):
    patch = np.random.default_rng(0).standard_normal((*manifest.patch, manifest.recipe.patch_channels), np.float32)

    def opener():
        runner = open_runner(model, manifest, threads, content=content)
        return lambda: runner.run(patch)

    return opener
