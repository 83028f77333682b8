"""What starting on the device costs: time and peak memory of fresh processes.

    python benchmarks/device/device_start.py --artifact ARTIFACT --scan SCAN

Each row is a process of its own, started anew for every round, the rows in turn. Time is from before the start of the
process to its end, memory the most that it held at once (resident set). The first round only fills the file cache and
is not counted. Linux and macOS. This program imports nothing heavy, because a child's peak is at least what its parent
held when it was started.
"""

import argparse
import dataclasses
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# ru_maxrss counts kilobytes on Linux and bytes on macOS.
RSS_UNIT = 1 if sys.platform == "darwin" else 1024

IMAGES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")


@dataclasses.dataclass(frozen=True)
class Start:
    """What is started, and the limits that it is held to; infinity where there is none."""

    name: str
    arguments: tuple[str, ...]
    limit_s: float = float("inf")
    limit_mb: float = float("inf")


@dataclasses.dataclass(frozen=True)
class Cost:
    """What a start cost over all rounds."""

    name: str
    median_s: float
    min_s: float
    peak_mb: float
    limit_s: float
    limit_mb: float

    @property
    def holds(self) -> bool:
        """Whether the median time and the largest peak stay under the limits."""
        return self.median_s < self.limit_s and self.peak_mb < self.limit_mb


def spawn(arguments) -> tuple[float, float]:
    """Run Python with ``arguments`` in a process of its own.

    Returns:
        Seconds and peak memory in MB (10^6 bytes).
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    nothing = os.open(os.devnull, os.O_WRONLY)
    began = time.perf_counter()
    process = os.posix_spawn(
        sys.executable, [sys.executable, *arguments], environment, file_actions=[(os.POSIX_SPAWN_DUP2, nothing, 1)]
    )
    _, status, usage = os.wait4(process, 0)
    seconds = time.perf_counter() - began
    os.close(nothing)
    if status:
        sys.exit(f"python {' '.join(arguments)}: failed with status {os.waitstatus_to_exitcode(status)}")
    return seconds, usage.ru_maxrss * RSS_UNIT / 1e6


def measure(starts, rounds: int) -> list[Cost]:
    """The cost of each start over ``rounds`` rounds, after one that is not counted."""
    spent = {start.name: [] for start in starts}
    for done in range(rounds + 1):
        for start in starts:
            cost = spawn(start.arguments)
            if done:
                spent[start.name].append(cost)
    costs = []
    for start in starts:
        seconds, peaks = zip(*spent[start.name], strict=True)
        median = statistics.median(seconds)
        costs.append(Cost(start.name, median, min(seconds), max(peaks), start.limit_s, start.limit_mb))
    return costs


def table(costs) -> str:
    """The costs in Markdown."""

    def limit(value, unit):
        return f"{value:g} {unit}" if value < float("inf") else ""

    lines = ["| process | median s | least s | limit | peak MB | limit | |", "|---|---:|---:|---:|---:|---:|---|"]
    lines += [
        f"| {c.name} | {c.median_s:.3f} | {c.min_s:.3f} | {limit(c.limit_s, 's')} | {c.peak_mb:.0f} "
        f"| {limit(c.limit_mb, 'MB')} | {'holds' if c.holds else 'exceeded'} |"
        for c in costs
    ]
    return "\n".join(lines)


def main() -> int:
    """Measure, print the table and return 1 if a limit is exceeded."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--artifact", action="append", default=[], help="artifact folder; may be repeated")
    parser.add_argument("--scan", help="the scan that the artifacts segment")
    parser.add_argument("--rounds", type=int, default=10, help="starts of each that are counted (default 10)")
    parser.add_argument("--json", action="store_true", help="print the costs as JSON")
    args = parser.parse_args()
    if bool(args.artifact) != bool(args.scan):
        parser.error("--artifact and --scan are needed together")
    if args.rounds < 1:
        parser.error(f"--rounds {args.rounds}: expected at least 1")
    with tempfile.TemporaryDirectory() as folder:
        starts = [
            Start("python -c pass", ("-c", "pass")),
            Start("python -c 'import edge'", ("-c", "import edge"), 0.5, 80),
            Start("python -c 'from edge import load'", ("-c", "from edge import load"), 0.5, 80),
            Start("python -c 'import zoo'", ("-c", "import zoo"), 0.3),
        ]
        for number, artifact in enumerate(args.artifact):
            out = os.path.join(folder, f"{number}{'.png' if args.scan.lower().endswith(IMAGES) else '.nii.gz'}")
            command = ("-m", "edge", "predict", artifact, args.scan, "-o", out)
            starts.append(Start(f"zoo-edge predict {os.path.basename(os.path.normpath(artifact))}", command, 1.0, 200))
        costs = measure(starts, args.rounds)
    print(json.dumps([dataclasses.asdict(c) for c in costs], indent=1) if args.json else table(costs))
    return 0 if all(cost.holds for cost in costs) else 1


if __name__ == "__main__":
    sys.exit(main())
