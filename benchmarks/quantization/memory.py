"""Memory of planning and training on volumes that together are larger than the machine's.

    python benchmarks/quantization/memory.py --volumes 40 --shape 512 512 300

Writes a synthetic dataset (CT-like NIfTI with an ellipsoid to segment; removed at the end, as are run and cache, some
25 GB while it runs), then runs ``zoo plan`` and ``zoo train`` for a few steps, each in a fresh process, and prints
one Markdown table: the largest resident memory of the process and its children, anonymous and with the pages of mapped
files (which the system takes back when it needs them), at any moment of preprocessing, of training, and at all.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nibabel
import numpy as np

INTERVAL = 0.05  # seconds between two looks


def main():
    """Write the dataset, plan, train, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--volumes", type=int, default=40)
    parser.add_argument("--shape", type=int, nargs=3, default=(512, 512, 300))
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument(
        "--folder", type=Path, help="where there is room for the dataset (default: the temporary folder)"
    )
    args = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="memory-", dir=args.folder))
    try:
        write_dataset(root / "data", args.volumes, tuple(args.shape))
        plan = ("plan", root / "data", "--out", root / "plan.json")
        train = ("train", root / "data", "--plan", root / "plan.json", "--epochs", 1, "--steps-per-epoch", args.steps)
        train = (*train, "--cache", root / "cache", "--out", root / "run")
        size = "×".join(map(str, args.shape))
        print(
            f"{args.volumes} volumes of {size}\n\n| command | minutes | resident, GB | anonymous, GB |\n"
            + "|---" * 4
            + "|"
        )
        for words in (plan, train):
            minutes, resident, anonymous = watch([sys.executable, "-m", "zoo", *map(str, words)])
            print(f"| zoo {words[0]} | {minutes:.1f} | {resident:.2f} | {anonymous:.2f} |", flush=True)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def write_dataset(folder: Path, volumes: int, shape):
    """A dataset folder in MSD's layout; every volume holds a brighter ellipsoid somewhere else."""
    random = np.random.default_rng(0)
    for name in ("imagesTr", "labelsTr"):
        (folder / name).mkdir(parents=True)
    affine = np.diag([0.8, 0.8, 1.0, 1.0])
    grid = np.ogrid[tuple(slice(size) for size in shape)]
    noise = random.normal(0, 60, (64, 64, 64)).astype(np.int16)
    background = np.tile(noise, [-(-size // 64) for size in shape])[tuple(slice(size) for size in shape)]
    training = []
    for number in range(volumes):
        centre, radius = random.uniform(0.35, 0.65, 3) * shape, random.uniform(0.1, 0.2, 3) * shape
        inside = sum(((g - c) / r) ** 2 for g, c, r in zip(grid, centre, radius, strict=True)) < 1
        name = f"case_{number:03d}.nii.gz"
        for place, voxels in (("imagesTr", background + inside * np.int16(120)), ("labelsTr", inside.astype(np.uint8))):
            nibabel.openers.Opener.default_compresslevel = 1
            nibabel.save(nibabel.Nifti1Image(voxels, affine), folder / place / name)
        training.append({"image": f"./imagesTr/{name}", "label": f"./labelsTr/{name}"})
    labels = {"0": "background", "1": "organ"}
    text = {"name": "Synthetic", "modality": {"0": "CT"}, "labels": labels, "training": training}
    (folder / "dataset.json").write_text(json.dumps(text))


def watch(command) -> tuple[float, float, float]:
    """Run a command; minutes it took, and the largest resident and anonymous memory of it and its children, GB."""
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=sys.stderr)
    resident = anonymous = 0.0
    while process.poll() is None:
        now = [memory(pid) for pid in family(process.pid)]
        resident = max(resident, sum(each[0] for each in now))
        anonymous = max(anonymous, sum(each[1] for each in now))
        time.sleep(INTERVAL)
    if process.returncode:
        sys.exit(f"failed with {process.returncode}: {' '.join(command)}")
    return (time.monotonic() - began) / 60, resident, anonymous


def family(pid: int) -> list[int]:
    """A process and all its descendants."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    child_pids = children.read_text().split() if children.exists() else []
    return [pid, *(each for child in child_pids for each in family(int(child)))]


def memory(pid: int) -> tuple[float, float]:
    """Resident and anonymous memory of a process, GB; zero if it has ended."""
    try:
        lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        return tuple(int(lines[key].split()[0]) * 1024 / 1e9 for key in ("VmRSS", "RssAnon"))
    except (OSError, KeyError):
        return 0.0, 0.0


if __name__ == "__main__":
    main()
