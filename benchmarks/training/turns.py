"""Programs that are timed in turns, each in a process that stands still while another runs."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path


class Contestant:
    """A process that answers a number N on standard input with the seconds that it took to do something N times.

    Args:
        command: to start it; what it writes to standard error is dropped.
        environment: added to this process' own.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]):
        self.command = command
        self.process = subprocess.Popen(
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, **environment},
            start_new_session=True,
        )

    def line(self) -> str:
        """The next line that it writes."""
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit(f"ended early: {' '.join(map(str, self.command))}; run it by hand to see why")
        return answer.strip()

    def take(self, count: int) -> tuple[float, float]:
        """Do it ``count`` times; its own wall-clock seconds, and the CPU seconds of the process and its children."""
        before = self.cpu()
        self.process.stdin.write(f"{count}\n")
        self.process.stdin.flush()
        return float(self.line()), self.cpu() - before

    def cpu(self) -> float:
        """CPU seconds so far of all processes of its group."""
        ticks = 0
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(fields[2]) == self.process.pid:
                    ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def signal(self, number) -> None:
        """Send a signal to all processes of its group."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)


def in_turns(
    start: Mapping[str, Callable[[], Contestant]], rounds: int, count: int, warm: int, drained: int = 0
) -> dict[str, list[tuple[float, float]]]:
    """Time contestants in turns.

    Args:
        start: name to a function that starts it.
        rounds: in each of which every one is timed once.
        count: how often it does its work in a round.
        warm: how often before the first round.
        drained: how often before each timing, for those that work ahead.

    Returns:
        Name to (seconds, CPU seconds) of each round.
    """
    running, measured = {}, {name: [] for name in start}
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that nobody is left standing still
    try:
        for name, begin in start.items():
            running[name] = begin()
            running[name].take(warm)
            running[name].signal(signal.SIGSTOP)
        for _ in range(rounds):
            for name, contestant in running.items():
                contestant.signal(signal.SIGCONT)
                if drained:
                    contestant.take(drained)
                measured[name].append(contestant.take(count))
                contestant.signal(signal.SIGSTOP)
    finally:
        for contestant in running.values():
            contestant.signal(signal.SIGKILL)
    return measured
