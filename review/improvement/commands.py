"""Training and export, each a process of its own, which may be killed without harm to the server."""

import contextlib
import csv
import os
import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

from medseg.errors import InputError
from medseg.process import environment, module_command
from medseg.untrusted import read_json

_POLL_S = 0.5
_LAST = 5


def train_command(data, run, start, plan=None, network="", epochs=None, minutes=None) -> list[str]:
    """``zoo train`` on a dataset folder.

    Args:
        data: the folder.
        run: to write.
        start: what to start from.
        plan: plan.json to follow, or None to plan anew.
        network: registry entry, where there is no plan.
        epochs, minutes: how long; the plan's own by default.
    """
    words = ["train", data, "--out", run, "--from", start, "--fold", "0"]
    if plan is not None:  # which has its folds
        words += ["--plan", plan]
    else:
        words += ["--groups", Path(data) / "groups.csv", *(["--model", network] if network else [])]
    words += ["--epochs", epochs] if epochs is not None else []
    words += ["--minutes", minutes] if minutes is not None else []
    return module_command("zoo", *words)


def export_command(run, file_format: str, out) -> list[str]:
    """``zoo export``, through the gate."""
    return module_command("zoo", "export", run, "--format", file_format, "--out", out)


def run_command(name: str, command: list[str], tell: Callable[[str], None], stop: threading.Event, look=None) -> None:
    """Run a process until it ends or is stopped.

    Args:
        name: what a message calls it.
        command: its words.
        tell: is told every line that it prints.
        stop: ends it with all that it started.
        look: called twice a second, to see how far it is.

    Raises:
        InputError: with its last words, if it fails; if it was stopped, says so.
    """
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", env=environment(),
        start_new_session=os.name != "nt",
    )  # fmt: skip
    lines: list[str] = []

    def read():
        for line in process.stdout:
            if line.strip():
                lines.append(line.strip()[:500])
                tell(lines[-1])

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        while process.poll() is None:
            if stop.wait(_POLL_S):
                _end(process)
                raise InputError("stopped")
            if look is not None:
                look()
    finally:
        if process.poll() is None:
            _end(process)
        reader.join(5)
        process.stdout.close()
    if process.returncode:
        last = next((line for line in reversed(lines) if "error" in line.lower()), " ".join(lines[-1:]))
        raise InputError(f"{name} failed: {last or f'status {process.returncode}'}")


def epochs_done(run) -> tuple[int, int | None]:
    """Epochs that a run has done, by its ``history.csv``, and how many its plan has."""
    done = 0
    history = Path(run) / "history.csv"
    if history.is_file():
        with history.open(newline="", encoding="utf-8") as file:
            done = max(0, sum(1 for _ in csv.reader(file)) - 1)
    total = None
    with contextlib.suppress(InputError, KeyError, TypeError):
        total = read_json(Path(run) / "plan.json", "plan")["training"]["epochs"]
    return done, total


def _end(process):
    """End a process and all that it started."""
    with contextlib.suppress(ProcessLookupError):
        if os.name == "nt":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()
