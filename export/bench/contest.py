"""Contestants in turn, each in a process that is stopped while the others run."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from imaging.errors import InputError, UsageError

PEERS = Path(__file__).parents[1] / "peers"
PROJECT = Path(__file__).parents[2]
# Runs of a turn that are timed, after one that is not.
TURN = 3
# Runs on which variants of a contestant are compared.
TRIAL = 5


@dataclass(frozen=True)
class Contestant:
    """What runs.

    Attributes:
        name: what it is called.
        runtime: file in ``export/peers/`` that runs it.
        job: what that file is told, JSON types; see ``export/peers/__init__.py``.
        python: interpreter.
        peer: another's runtime, not an artifact.
    """

    name: str
    runtime: Path
    job: dict
    python: str = sys.executable
    peer: bool = False


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
class Contest:
    """What came out.

    Attributes:
        results: by number of threads, then in the order given.
        failures: reason by name of a contestant that could not run.
    """

    results: tuple[Result, ...]
    failures: dict[str, str] = field(default_factory=dict)


class WorkerError(Exception):
    """A contestant could not do what it was asked."""


class Worker:
    """A contestant's process; stopped but while it answers, so that no spinning thread of it takes a core."""

    def __init__(self, contestant: Contestant, threads: int, folder: Path):
        folder.mkdir(parents=True, exist_ok=True)
        job = {**contestant.job, "threads": threads, "work": str(folder), "project": str(PROJECT)}
        (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
        self._log = folder / "stderr.txt"
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "CUDA_VISIBLE_DEVICES": "-1"}
        environment |= {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"}
        with open(self._log, "ab") as log:
            self._process = subprocess.Popen(
                [
                    contestant.python,
                    str(Path(__file__).with_name("worker.py")),
                    contestant.runtime,
                    folder / "job.json",
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment,
                text=True,
            )

    def ask(self, do: str, **arguments) -> dict:
        """Let it answer one request.

        Raises:
            WorkerError: in the words of the runtime, or the last line that a process left behind that died.
        """
        try:
            self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise WorkerError(self._last_words()) from None
        self._signal("SIGCONT")
        line = self._process.stdout.readline()
        if not line:
            raise WorkerError(self._last_words())
        self._signal("SIGSTOP")
        reply = json.loads(line)
        if "error" in reply:
            raise WorkerError(reply["error"])
        return reply

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            pipe.close()

    def _signal(self, name):
        if hasattr(signal, name):
            self._process.send_signal(getattr(signal, name))
        elif name == "SIGSTOP":
            time.sleep(0.3)  # a system without that signal: what spins is given the time to go to sleep

    def _last_words(self):
        status = self._process.wait()
        lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return f"its process ended with status {status}" + (f": {lines[-1].strip()}" if lines else "")


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
            f"{rounds} rounds after {warmup} of warm-up with {threads} threads: accepted are at least 1, 0 and 1"
        )
    folder, failures, variants = Path(folder), {}, {}
    for contestant in contestants:
        if tell is not None and contestant.peer:
            tell(f"{contestant.name}: preparing")
        worker = Worker(contestant, max(threads), folder / contestant.name.replace("/", "_"))
        try:
            variants[contestant.name] = worker.ask("prepare")["variants"]
        except WorkerError as error:
            failures[contestant.name] = str(error)
        finally:
            worker.close()
    results, every, done = [], (warmup + rounds) * len(threads), 0
    for count in threads:
        runners: dict[str, Runner] = {}
        try:
            for contestant in contestants:
                if contestant.name in failures:
                    continue
                try:
                    runners[contestant.name] = open_best(contestant, variants[contestant.name], count, folder, tell)
                except WorkerError as error:
                    failures[contestant.name] = str(error)
            for turn in range(warmup + rounds):
                for name in list(runners):
                    try:
                        spent = runners[name].worker.ask("run", uncounted=1, counted=TURN)["ms"]
                    except WorkerError as error:
                        failures[name] = str(error)
                        runners.pop(name).worker.close()
                        continue
                    if turn >= warmup:
                        runners[name].ms.extend(spent)
                done += 1
                if progress is not None:
                    progress(done, every)
            for runner in runners.values():
                found = runner.classes(folder)
                reference = found if reference is None else reference
                results.append(runner.result(count, reference, found))
        finally:
            for runner in runners.values():
                runner.worker.close()
    if not results:
        raise InputError("; ".join(f"{name}: {reason}" for name, reason in failures.items()))
    return Contest(tuple(results), failures)


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
        file = folder / "classes.npy"
        self.worker.ask("classes", file=str(file))
        return np.load(file)

    def result(self, threads: int, reference: np.ndarray, found: np.ndarray) -> Result:
        """What was measured."""
        same = float(np.mean(found == reference)) if found.shape == reference.shape else 0.0
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
        worker = Worker(contestant, threads, folder / contestant.name.replace("/", "_") / f"{threads}-{number}")
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
