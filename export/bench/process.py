"""A contestant and the process that it lives in."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

PEERS = Path(__file__).parent / "runtimes"
PROJECT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Contestant:
    """What runs.

    Attributes:
        name: what it is called.
        runtime: file in ``export/bench/runtimes/`` that runs it.
        job: what that file is told, JSON types; see ``export/bench/runtimes/__init__.py``.
        python: interpreter.
        peer: another's runtime, not an artifact.
        written: the class index that each region writes, of a network of regions (``imaging.regions``); else None.
    """

    name: str
    runtime: Path
    job: dict
    python: str = sys.executable
    peer: bool = False
    written: tuple[int, ...] | None = None


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
