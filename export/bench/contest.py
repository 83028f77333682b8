"""Contestants in turn, each in a process that is stopped while the others run."""

import contextlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from export.bench.process import Contestant, Worker, WorkerError
from imaging.regions import classes_of
from medseg.errors import InputError, UsageError

# Runs of a turn that are timed, after one that is not.
TURN = 3
# Runs on which variants of a contestant are compared.
TRIAL = 5


@dataclass(frozen=True)
class Result:
    """What was measured of a contestant.

    Attributes:
        name, peer: of the contestant.
        runtime: which, and its version.
        how: the variant that was fastest, where there were several.
        threads: processor threads.
        median_ms, p10_ms, p90_ms, min_ms: of a run, input and output as float32 NumPy arrays.
        first_ms: opening and the first run together; the runtime is imported before.
        import_ms: that import.
        peak_bytes: most that the process held at once.
        size_bytes: of its model files.
        runs: that were timed.
        agreement: share of voxels of the same class as the reference.
    """

    name: str
    peer: bool
    runtime: str
    how: str
    threads: int
    median_ms: float
    p10_ms: float
    p90_ms: float
    min_ms: float
    first_ms: float
    import_ms: float
    peak_bytes: int
    size_bytes: int
    runs: int
    agreement: float


@dataclass(frozen=True)
class Rounds:
    """How often everybody runs.

    Attributes:
        threads: numbers of processor threads, one contest each.
        rounds: turns of each, three runs long.
        warmup: turns before those.
    """

    threads: Sequence[int] = (2,)
    rounds: int = 20
    warmup: int = 3


@dataclass(frozen=True)
class Contest:
    """What came out.

    Attributes:
        results: by number of threads, then in the order given.
        failures: reason by name of a contestant that could not run.
    """

    results: tuple[Result, ...]
    failures: dict[str, str] = field(default_factory=dict)


def contest(
    contestants: Sequence[Contestant],
    folder,
    *,
    threads: Sequence[int] = (2,),
    rounds: int = 20,
    warmup: int = 2,
    reference: np.ndarray | None = None,
    progress: Callable[[int, int], None] | None = None,
    tell: Callable[[str], None] | None = None,
) -> Contest:
    """Time contestants in turn: A B C, A B C, ...; a turn is one run that is not counted and three that are.

    Args:
        contestants: with different names.
        folder: for what is made on the way.
        threads: numbers of processor threads, one contest each.
        rounds: turns of each.
        warmup: turns before those.
        reference: class of each voxel (*patch); by default what the first contestant answers.
        progress: called after each round with the number of rounds done and of all.
        tell: takes a line on what is being prepared.

    Raises:
        UsageError: if there is nobody, a name is given twice, or a number is out of range.
        InputError: if nobody could run.
    """
    names = [c.name for c in contestants]
    if not names:
        raise UsageError("nothing to time: give at least one artifact folder or peer")
    if len(set(names)) != len(names):
        raise InputError(f"{', '.join(names)}: one is given twice; give each once")
    if rounds < 1 or warmup < 0 or not threads or min(threads) < 1:
        raise UsageError(
            f"{rounds} rounds after {warmup} of warm-up with {threads} threads: expected at least 1, 0 and 1"
        )
    folder = Path(folder)
    variants, failures = _prepared(contestants, folder, max(threads), tell)
    results, every, done = [], (warmup + rounds) * len(threads), 0
    for count in threads:
        runners = {}
        try:
            for contestant in contestants:
                with _noted(contestant.name, failures):
                    if contestant.name not in failures:
                        opened = open_best(contestant, variants[contestant.name], count, folder, tell)
                        runners[contestant.name] = opened
            for turn in range(warmup + rounds):
                for name, runner in runners.items():
                    with _noted(name, failures):
                        if name not in failures:
                            spent = runner.worker.ask("run", uncounted=1, counted=TURN)["ms"]
                            runner.ms.extend(spent if turn >= warmup else ())
                done += 1
                if progress is not None:
                    progress(done, every)
            for name, runner in runners.items():
                with _noted(name, failures):
                    if name not in failures:
                        classes = runner.classes(folder)
                        reference = classes if reference is None else reference
                        results.append(runner.result(count, reference, classes))
        finally:
            for runner in runners.values():
                runner.worker.close()
    if not results:
        raise InputError("; ".join(f"{name}: {reason}" for name, reason in failures.items()))
    return Contest(tuple(results), failures)


@contextlib.contextmanager
def _noted(name, failures):
    """Note the failure of one contestant; the others go on."""
    try:
        yield
    except WorkerError as error:
        failures[name] = str(error)


def _prepared(contestants, folder, threads, tell):
    """Variants by name of a contestant, and the reason by name of one that has none."""
    variants, failures = {}, {}
    for contestant in contestants:
        if tell is not None and contestant.peer:
            tell(f"{contestant.name}: preparing")
        worker = Worker(contestant, threads, _own(folder, contestant))
        try:
            with _noted(contestant.name, failures):
                variants[contestant.name] = worker.ask("prepare")["variants"]
        finally:
            worker.close()
    return variants, failures


def _own(folder, contestant):
    return folder / contestant.name.replace("/", "_")


@dataclass
class Runner:
    """An opened contestant."""

    contestant: Contestant
    variant: dict
    worker: Worker
    opened: dict
    ms: list = field(default_factory=list)

    def classes(self, folder: Path) -> np.ndarray:
        """Class of each voxel of the patch."""
        file = folder / "logits.npy"
        self.worker.ask("logits", file=str(file))
        return classes_of(np.load(file), self.contestant.written)

    def result(self, threads: int, reference: np.ndarray, classes: np.ndarray) -> Result:
        """What was measured."""
        same = float(np.mean(classes == reference)) if classes.shape == reference.shape else 0.0
        p10, median, p90 = np.percentile(self.ms, (10, 50, 90))
        return Result(
            name=self.contestant.name,
            peer=self.contestant.peer,
            runtime=self.opened["runtime"],
            how=self.variant["how"],
            threads=threads,
            median_ms=float(median),
            p10_ms=float(p10),
            p90_ms=float(p90),
            min_ms=float(min(self.ms)),
            first_ms=self.opened["first_ms"],
            import_ms=self.opened["import_ms"],
            peak_bytes=self.worker.ask("memory")["peak_bytes"],
            size_bytes=sum(os.path.getsize(file) for file in self.variant["files"]),
            runs=len(self.ms),
            agreement=same,
        )


def open_best(contestant: Contestant, variants: list[dict], threads: int, folder: Path, tell=None) -> Runner:
    """Open every variant, each in a fresh process, and keep the one of least median over a few runs.

    ``tell`` takes a line on every variant that does not run.

    Raises:
        WorkerError: if no variant runs.
    """
    best, least, errors = None, float("inf"), []
    for number, variant in enumerate(variants):
        worker = Worker(contestant, threads, _own(folder, contestant) / f"{threads}-{number}")
        try:
            runner = Runner(contestant, variant, worker, worker.ask("open", variant=variant))
            spent = 0.0
            if len(variants) > 1:
                spent = float(np.median(worker.ask("run", uncounted=2, counted=TRIAL)["ms"]))
        except WorkerError as error:
            worker.close()
            errors.append(f"{variant['how']}: {error}" if len(variants) > 1 else str(error))
            if tell is not None:
                tell(f"{contestant.name}: {errors[-1]}")
            continue
        except BaseException:
            worker.close()
            if best is not None:
                best.worker.close()
            raise
        if spent < least:
            if best is not None:
                best.worker.close()
            best, least = runner, spent
        else:
            worker.close()
    if best is None:
        raise WorkerError("; ".join(errors))
    return best
