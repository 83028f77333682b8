"""A dataset of pictures in which those in colour are repeated in training, as the shipped `unet-nuclei` was trained.

    zoo plan DATA/dsb2018 -o plan.json
    python benchmarks/training/repeat_coloured.py DATA/dsb2018 --plan plan.json --fold 0 --times 4 --out nuclei

Copies the dataset to OUT, and each coloured picture that the fold does not hold back again under other names, such as
``nuclei_126b``. Writes ``OUT/plan.json``: the plan with the copies beside their originals in the same folds, so that
the cases held back stay the same. With ``--fold none`` every coloured picture is repeated, for a network trained
on all cases.
"""

import argparse
import json
import shutil
import string
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))


def main():
    """Write the dataset and the plan."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path, help="dataset folder of images/ and labels/")
    parser.add_argument("--plan", type=Path, required=True, help="plan.json made of it")
    parser.add_argument("--fold", default="0", help="number of the fold whose cases stay as they are, or none")
    parser.add_argument("--times", type=int, default=4, help="how often each coloured picture is in the copy, 2 to 26")
    parser.add_argument("--out", type=Path, required=True, help="folder to write, not there yet")
    args = parser.parse_args()
    if args.fold != "none" and not args.fold.isdecimal():
        parser.error(f"--fold {args.fold}: expected the number of a fold or none")
    if not 2 <= args.times <= len(string.ascii_lowercase):
        parser.error(f"--times {args.times}: expected 2 to {len(string.ascii_lowercase)}")

    import imaging
    from train.data.dataset import open_dataset

    plan = json.loads(args.plan.read_text())
    held = set() if args.fold == "none" else set(plan["folds"][int(args.fold)])
    endings = string.ascii_lowercase[1 : args.times]
    shutil.copytree(args.dataset, args.out)
    repeated = set()
    for case in open_dataset(args.dataset).cases:
        voxels = imaging.read(list(case.images), channels=3).voxels
        if case.name in held or (voxels == voxels[..., :1]).all():
            continue
        repeated.add(case.name)
        for path in (*case.images, case.label):
            for ending in endings:
                copy = args.out / path.relative_to(args.dataset).with_stem(path.stem + ending)
                shutil.copyfile(path, copy)
    plan["dataset"] = args.out.name
    plan["folds"] = [
        sorted(copy for name in fold for copy in (name, *(name + e for e in endings if name in repeated)))
        for fold in plan["folds"]
    ]
    (args.out / "plan.json").write_text(json.dumps(plan, indent=1) + "\n")
    print(f"{args.out}: {len(repeated)} coloured pictures {args.times} times, {len(held)} held back as they are")


if __name__ == "__main__":
    main()
