"""A cohort while workers are killed: every case once, the table complete, gone on with after the whole was killed.

    python benchmarks/dicom/cohort.py --cases 200 --jobs 2 --kills 10
    python benchmarks/dicom/cohort.py --cases 100 --jobs 2 --kills 2 --shape 80,112,64

Makes phantom scans and runs ``zoo-edge predict --cohort`` in a process of its own. Workers are killed at random
moments; once a third of the cases is done the whole is killed, and the same command given again. Prints what is missing
and the times of undisturbed runs with one worker and with ``--jobs``. Status 1 if a case is missing, failed or differs.
"""

import argparse
import csv
import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

import imaging
from imaging.scan import Scan
from medseg.process import environment, module_command

SHAPE = "40,56,32"


def main() -> int:
    """Run the cohorts; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--artifact", default="unet3d-hippocampus")
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--shape", default=SHAPE, help=f"voxels of a scan along each axis (default: {SHAPE})")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-times", action="store_true", help="leave out the undisturbed run with one worker")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="medseg-cohort-") as folder:
        return run(args, Path(folder))


def run(args, folder) -> int:
    """Make the scans, run undisturbed, then with kills."""
    shape = tuple(map(int, args.shape.split(",")))
    for number in range(args.cases):
        voxels = np.random.default_rng(number).normal(100, 20, shape).astype(np.float32)
        imaging.write(folder / "scans" / f"case{number:04d}.nii.gz", Scan(voxels[..., None], np.eye(4)))
    seconds = {}
    for jobs in (args.jobs,) if args.no_times else (1, args.jobs):
        began = time.perf_counter()
        start(args, folder, folder / f"calm{jobs}", jobs).wait()
        seconds[jobs] = time.perf_counter() - began
    killed = disturbed(args, folder)
    rows = table(folder / "killed")
    expected = digests(folder / f"calm{args.jobs}")
    differing = [name for name, digest in expected.items() if digests(folder / "killed").get(name) != digest]
    failed = [row for row in rows if row["state"] != "done"]
    print(f"{args.cases} cases of {args.shape} voxels, {args.jobs} workers")
    print(f"workers killed {killed}, the whole killed once")
    print(f"rows {len(rows)}, failed {len(failed)}, results that are missing or differ {len(differing)}")
    gain = f", {seconds[1] / seconds[args.jobs]:.2f} times as quick" if 1 in seconds else ""
    print("undisturbed: " + ", ".join(f"{jobs} workers {value:.1f} s" for jobs, value in seconds.items()) + gain)
    return 1 if len(rows) != args.cases or failed or differing else 0


def disturbed(args, folder) -> int:
    """Run with kills, and again after the whole was killed; returns how many workers were."""
    out, chance, killed = folder / "killed", random.Random(args.seed), 0
    process = start(args, folder, out, args.jobs)
    whole = threading.Event()
    for number in range(args.kills):
        time.sleep(chance.uniform(1, 4))
        done = len(list(out.glob("*.nii.gz")))
        if not whole.is_set() and (done > args.cases / 3 or number == args.kills // 2):
            whole.set()
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            process = start(args, folder, out, args.jobs)
            continue
        while process.poll() is None:  # workers take a while to start
            workers = [pid for pid in descendants(process.pid) if b"spawn_main" in command_of(pid)]
            if workers:
                os.kill(chance.choice(workers), signal.SIGKILL)
                killed += 1
                break
            time.sleep(0.2)
    process.wait()
    return killed


def start(args, folder, out, jobs):
    """The command, in a process group of its own."""
    words = ["predict", args.artifact, folder / "scans", "-o", out, "--cohort", "--jobs", jobs, "--threads", 1]
    with open(folder / "log", "ab") as log:
        return subprocess.Popen(
            module_command("edge", *words), stdout=log, stderr=log, env=environment(), start_new_session=True
        )


def descendants(pid) -> list[int]:
    """The processes below one."""
    below, parents = [], {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            parents.setdefault(int((place / "stat").read_text().rpartition(")")[2].split()[1]), []).append(
                int(place.name)
            )
        except OSError:
            continue
    waiting = [pid]
    while waiting:
        children = parents.get(waiting.pop(), [])
        below += children
        waiting += children
    return below


def command_of(pid) -> bytes:
    """The command line of a process that may be gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def table(out) -> list[dict]:
    """The rows of the table."""
    with open(out / "cohort.csv", newline="") as file:
        return list(csv.DictReader(file))


def digests(out) -> dict[str, str]:
    """Name to digest of every result."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in out.glob("*.nii.gz")}


if __name__ == "__main__":
    sys.exit(main())
