"""Peak memory of the methods without a network on a volume of 512 x 512 x 300, each in a process of its own.

    python benchmarks/large/classical_memory.py
    python benchmarks/large/classical_memory.py --method otsu random-walker --shape 512 512 300

The volume is int16, as CT is stored: a body with three balls of other intensities, and noise. Methods that need seeds
get points in one ball and around it. The atlas is left out, as its scans and their number are the user's. The mark is
4 GB (4096 MB), the scan and the Python libraries included.
"""

import argparse
import resource
import subprocess
import sys
import time

import numpy as np

from imaging.classical import METHODS, Stroke, get, segment
from imaging.scan import Scan

CENTRES = ((0.35, 0.4, 0.5), (0.6, 0.55, 0.4), (0.5, 0.7, 0.6))


def volume(shape):
    """A scan of about 0.7 x 0.7 x 1 mm voxels."""
    random = np.random.default_rng(0)
    voxels = np.empty((*shape, 1), np.int16)
    axes = [np.linspace(0, 1, n, dtype=np.float32) for n in shape]
    for z in range(shape[2]):
        plane = np.where((axes[0][:, None] - 0.5) ** 2 + (axes[1][None] - 0.5) ** 2 < 0.2, 40.0, -1000.0)
        for number, (x, y, height) in enumerate(CENTRES):
            inside = (axes[0][:, None] - x) ** 2 + (axes[1][None] - y) ** 2 + (axes[2][z] - height) ** 2 < 0.01
            plane[inside] = 150 + 150 * number
        voxels[:, :, z, 0] = plane + random.normal(0, 20, plane.shape)
    return Scan(voxels, np.diag([0.7, 0.7, 1.0, 1.0]))


def seeds(shape):
    """Five points in the first ball and six around it."""
    centre = np.array(CENTRES[0]) * shape
    steps = [sign * np.eye(3)[axis] * shape for axis in range(3) for sign in (-1, 1)]
    inside = [Stroke("point", 1, (tuple((centre + 0.06 * step).tolist()),)) for step in steps]
    return [*inside, *(Stroke("point", 0, (tuple((centre + 0.16 * step).tolist()),)) for step in steps)]


def child(name, shape):
    """Segment, and print seconds and peak memory in MB."""
    method, scan = get(name), volume(shape)
    began = time.perf_counter()
    labels = segment(scan, name, seeds=seeds(shape) if method.seeds == "needed" else None)
    seconds = time.perf_counter() - began
    assert labels.shape == scan.shape
    print(f"{seconds:.1f} {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f}")


def main():
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    every = [method.name for method in METHODS if 3 in method.ranks and not method.atlases]
    parser.add_argument("--method", nargs="+", choices=every, default=every)
    parser.add_argument("--shape", nargs=3, type=int, default=(512, 512, 300))
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        child(args.child, tuple(args.shape))
        return
    print("| method | seconds | MB at most |\n|---|---|---|", flush=True)
    for name in args.method:
        words = [sys.executable, __file__, "--child", name, "--shape", *map(str, args.shape)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        row = done.stdout.split() if done.returncode == 0 else ["", done.stderr.strip().splitlines()[-1]]
        print(f"| {name} | {row[0]} | {row[1]} |", flush=True)


if __name__ == "__main__":
    main()
