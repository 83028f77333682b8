"""What converting costs: time and peak memory of ``zoo export``, calibration and gate included, a fresh process each.

    python benchmarks/quantization/conversion_cost.py --data DATA --run runs/hippo

A --run that holds no network is trained first, on DATA/hippocampus. Time is from before the start of the process to its
end; processor time is what all its threads used together, which says more while other programs run. Memory is the
largest sum of the resident sets of the process and those it started, sampled, and never less than the kernel's own
account of the largest process. The goals are 2 minutes and 2 GB (10^9 bytes). Linux. This program imports nothing
heavy, because a child's peak is at least what its parent held when it was started.
"""

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FORMATS = ("tflite-int8", "onnx-int8")
SECONDS, MEGABYTES = 120, 2000


@dataclasses.dataclass(frozen=True)
class Cost:
    """What an export cost; time in seconds, memory in MB (10^6 bytes)."""

    format: str
    seconds: float
    processor_seconds: float
    peak_mb: float
    verdict: str

    @property
    def holds(self) -> bool:
        """Whether both goals are met."""
        return self.seconds <= SECONDS and self.peak_mb <= MEGABYTES


class Sampler(threading.Thread):
    """Watches the resident sets of a process and its descendants until it ends."""

    def __init__(self, pid: int):
        super().__init__(daemon=True)
        self.pid, self.peak, self.done = pid, 0, threading.Event()

    def run(self):
        while not self.done.wait(0.05):
            self.peak = max(self.peak, sum(map(_resident, _family(self.pid))))


def _family(pid) -> list[int]:
    pids = [pid]
    for parent in pids:
        for file in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                pids += map(int, file.read_text().split())
            except OSError:  # it ended meanwhile
                continue
    return pids


def _resident(pid) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def measure(run: Path, name: str, threads: int, options: list[str]) -> Cost:
    """Export a run in one format by a process of its own.

    Args:
        run: run folder.
        name: format.
        threads: for the verification.
        options: further words for ``zoo export``.
    """
    with tempfile.TemporaryDirectory() as out:
        command = ["export", str(run), "--format", name, "--out", out, "--threads", str(threads), *options]
        began = time.perf_counter()
        process = os.posix_spawn(
            sys.executable,
            [sys.executable, "-m", "zoo", *command],
            {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"},
            file_actions=[(os.POSIX_SPAWN_DUP2, 2, 1)],
        )
        sampler = Sampler(process)
        sampler.start()
        _, status, usage = os.wait4(process, 0)
        seconds = time.perf_counter() - began
        sampler.done.set()
        sampler.join()
        if status:
            sys.exit(f"zoo {' '.join(command)}: failed with status {os.waitstatus_to_exitcode(status)}")
        manifest = json.loads((Path(out) / name / "manifest.json").read_text(encoding="utf-8"))
    peak = max(sampler.peak, usage.ru_maxrss * 1024) / 1e6
    verdict = manifest["fidelity"].get("verdict", "not verified")
    return Cost(name, seconds, usage.ru_utime + usage.ru_stime, peak, verdict)


def table(costs) -> str:
    """The costs in Markdown."""
    lines = [
        f"| format | s | goal | processor s | peak MB | goal | verdict | |\n|---|{'---:|' * 5}---|---|",
        *(
            f"| {c.format} | {c.seconds:.1f} | {SECONDS} s | {c.processor_seconds:.1f} | {c.peak_mb:.0f} "
            f"| {MEGABYTES} MB | {c.verdict} | {'holds' if c.holds else 'exceeded'} |"
            for c in costs
        ),
    ]
    return "\n".join(lines)


def main() -> int:
    """Train if need be, export in each format, print the table; 1 if a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of dataset folders; needed only to train a run")
    parser.add_argument("--set", default="hippocampus", help="dataset folder in it (default: hippocampus)")
    parser.add_argument("--run", type=Path, required=True, help="run folder; trained if it holds no model")
    parser.add_argument("--minutes", type=float, default=40, help="of that training (default: 40)")
    parser.add_argument("--format", action="append", help=f"may be repeated (default: {', '.join(FORMATS)})")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true", help="print the costs as JSON")
    parser.add_argument("options", nargs="*", help="further words for zoo export, after --")
    args = parser.parse_args()
    if not (args.run / "model.keras").is_file():
        if args.data is None:
            parser.error(f"--run {args.run}: holds no network; give --data to train one")
        words = ("train", args.data / args.set, "--fold", "0", "--minutes", str(args.minutes), "--out", args.run)
        subprocess.run([sys.executable, "-m", "zoo", *map(str, words)], cwd=ROOT, check=True, stdout=sys.stderr)
    costs = [measure(args.run, name, args.threads, args.options) for name in args.format or FORMATS]
    cases = len(json.loads((args.run / "cases.json").read_text(encoding="utf-8"))["validation"])
    if args.json:
        print(json.dumps([dataclasses.asdict(c) for c in costs], indent=1))
    else:
        print(f"{args.run.name}, {cases} validation cases, {os.cpu_count()} cores\n\n{table(costs)}")
    return 0 if all(cost.holds for cost in costs) else 1


if __name__ == "__main__":
    sys.exit(main())
