"""Filters: time beside the library called directly, and time and memory on a volume of 512 x 512 x 300.

    python benchmarks/accuracy/filters.py
    python benchmarks/accuracy/filters.py --filter median --filter frangi --rounds 9
    python benchmarks/accuracy/filters.py --large --filter clahe --scratch /tmp

Without --large every filter that wraps a function of a library runs in turn with that function, called directly with
the same arguments, on an array of 96 x 96 x 64; the table holds the medians and their ratio, and nothing else should
run meanwhile. With --large each filter runs as ``zoo filter`` in a process of its own on a file of 512 x 512 x 300
voxels of 0.8 x 0.8 x 1 mm; the table holds the seconds of the processor, start, reading and writing included, and the
largest resident memory. Total variation then takes 5 steps, non-local means compare within 1 mm and N4 takes 5 steps
a level, as only their time grows with these.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).resolve().parents[2] / "tests" / "imaging"))

from filter_harness import DIRECT, scan_of

import imaging
from imaging.filters import apply, names
from medseg.limits import VARIABLE

ROOT = Path(__file__).resolve().parents[2]
SPACING = (0.8, 0.8, 1.0)
LARGE = {
    "tv": "tv=iterations:5",
    "nlm": "nlm=distance_mm:1",
    "n4": "n4=iterations:5",
    "register": "register=iterations:10,reference:{scan}",
    "register, deformable": "register=kind:deformable,iterations:2,reference:{scan}",
}


def beside(name: str, rounds: int) -> tuple[float, float]:
    """Median seconds of a filter and of the library's function, in turn."""
    parameters, direct = DIRECT[name]
    scan = scan_of((1.0, 1.0, 1.5), extent=96.0)
    channel = np.ascontiguousarray(scan.voxels[..., 0])
    ours, theirs = [], []
    for _ in range(rounds + 1):  # the first warms up
        began = time.perf_counter()
        apply(scan, name, **parameters)
        ours.append(time.perf_counter() - began)
        began = time.perf_counter()
        direct(channel, scan.spacing)
        theirs.append(time.perf_counter() - began)
    return statistics.median(ours[1:]), statistics.median(theirs[1:])


def large_scan(place: Path, shape) -> Path:
    """A body with structures in it, 16 bits."""
    path = place / "large.nii"
    if not path.exists():
        axes = [np.linspace(-1, 1, n, dtype=np.float32) for n in shape]
        random = np.random.default_rng(0)
        voxels = np.empty((*shape, 1), np.int16)
        for number, x in enumerate(axes[0]):
            y, z = axes[1][:, None], axes[2][None]
            body = (x / 0.8) ** 2 + (y / 0.6) ** 2 + (z / 1.1) ** 2 < 1
            plane = 400 * body + 200 * body * (np.sin(9 * x + 7 * y) * np.cos(8 * z) > 0.3)
            voxels[number, ..., 0] = plane + 50 + random.normal(0, 20, plane.shape)
        imaging.write(path, imaging.Scan(voxels, np.diag([*SPACING, 1.0])))
    return path


def alone(text: str, scan: Path) -> tuple[float, float, str]:
    """Processor seconds and peak GB of ``zoo filter`` in a process of its own, and how it ended."""
    out = scan.with_name("out.nii")
    command = [sys.executable, "-m", "zoo", "filter", text, str(scan), "-o", str(out)]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, VARIABLE: "8GB"}, cwd=ROOT)
        _, state, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(state)
        log.seek(0)
        said = log.read().decode("utf-8", "replace").strip().splitlines()
    out.unlink(missing_ok=True)
    ended = "" if process.returncode == 0 else (said[-1] if said else f"status {process.returncode}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e9, ended


def main():
    """Time every filter, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--filter", action="append", choices=names(), help="may be repeated (default: all)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--large", action="store_true", help="one run of each on 512 x 512 x 300 voxels")
    parser.add_argument("--shape", type=int, nargs=3, default=(512, 512, 300), help="of it (default: 512 512 300)")
    parser.add_argument("--scratch", type=Path, help="folder for the volume (1 GB; default: a temporary one)")
    args = parser.parse_args()
    chosen = args.filter or [*names(), *(["register, deformable"] if args.large else [])]
    if not args.large:
        print("| filter | ms | library, ms | ratio |\n|---|---:|---:|---:|")
        for name in [name for name in chosen if name in DIRECT]:
            ours, theirs = beside(name, args.rounds)
            print(f"| {name} | {ours * 1e3:.1f} | {theirs * 1e3:.1f} | {ours / theirs:.2f} |", flush=True)
        return
    with tempfile.TemporaryDirectory(dir=args.scratch) as place:
        scan = large_scan(Path(place), args.shape)
        print("| filter | processor, s | peak, GB | |\n|---|---:|---:|---|")
        for name in chosen:
            text = LARGE.get(name, name).format(scan=scan)
            seconds, peak, ended = alone(text, scan)
            print(f"| {text.replace(str(scan), 'SCAN')} | {seconds:.0f} | {peak:.2f} | {ended} |", flush=True)


if __name__ == "__main__":
    main()
