"""Our default command against nnU-Net's default plan: equal minutes, the same split, the same machine.

    python3 -m venv peers && peers/bin/pip install nnunetv2
    python benchmarks/comparison/equal_minutes.py --data DATA --set cardiac --configuration 2d --python peers/bin/python
    python benchmarks/comparison/equal_minutes.py --data DATA --set hippocampus --configuration 3d_fullres \
        --python peers/bin/python

Ours is ``zoo train DATA/SET --fold 0 --minutes M`` and ``zoo predict``, without another option. nnU-Net trains on the
same cases by nnunet_minutes.py, which tells what it had to change, and segments with mirrored copies, as ours does
where it goes slice by slice. Both write the held-back cases as label files, and one function scores both.
``--configuration`` is nnU-Net's. What is there already in ``--out`` is not made again. Nothing else should run
meanwhile.
"""

import argparse
import json
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
from nnunet_minutes import DATASET
from PIL import Image

import imaging
from imaging.io.cases import Cases, scan_suffix
from imaging.measure.overlap import dice
from imaging.measure.surface import hd95
from medseg import record
from train.planning.plan import load_plan


def main():
    """Train both, segment, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of dataset folders")
    parser.add_argument("--set", default="cardiac", help="dataset folder in it")
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--configuration", default="2d", choices=("2d", "3d_fullres"), help="of nnU-Net")
    parser.add_argument("--python", type=Path, required=True, help="interpreter that has nnunetv2")
    parser.add_argument(
        "--peer-minutes", type=float, help="of nnU-Net, where other work took of the processor from ours"
    )
    parser.add_argument("--out", type=Path, default=Path("runs/equal-minutes"))
    args = parser.parse_args()
    run, peer = args.out / args.set / "ours", args.out / args.set / "nnunet"
    ours = train_ours(args, run)
    labels = load_plan(run / "plan.json").labels
    cases = record.load(run / "cases.json", Cases)
    for case in cases.validation:
        out = segmented(run / "segmented", case)
        if not out.is_file():
            out.parent.mkdir(exist_ok=True)
            zoo("predict", run, ",".join(case.images), "-o", out)
    theirs = train_peer(args, peer, cases, labels)
    values = [label.value for label in labels]
    print(f"{args.set}, {len(cases.training)} cases trained on, {len(cases.validation)} held back\n")
    names = [label.name for label in labels[1:]]
    heads = [f"Dice {name}" for name in names] + ["mean"] + [f"HD95 {name}" for name in names]
    print(f"| | minutes | of the processor | steps | patches a step | {' | '.join(heads)} |")
    print("|---|" + "---|" * (4 + len(heads)))
    for name, used, folder, stored in (
        ("ours", ours, run / "segmented", values),
        ("nnU-Net", theirs, peer / "segmented", range(len(values))),
    ):
        scores = [score(segmented(folder, case), case.label, stored, values) for case in cases.validation]
        overlaps, distances = (np.array([[row[k] for row in case] for case in scores]) for k in (0, 1))
        finite = distances.copy()
        finite[~np.isfinite(finite)] = np.nan
        missed = int(np.isnan(finite).sum())
        columns = [
            f"{used['minutes']:.0f}",
            f"{used['processor_minutes']:.0f}",
            f"{used['steps']}",
            f"{used['batch']}",
            *(f"{value:.4f}" for value in overlaps.mean(axis=0)),
            f"{overlaps.mean():.4f}",
            *(f"{value:.2f}" for value in np.nanmean(finite, axis=0)),
        ]
        print(f"| {name} | {' | '.join(columns)} |" + (f" {missed} structures without a distance" if missed else ""))


def zoo(*words):
    """Run a command of the front door; its output goes to standard error."""
    subprocess.run([sys.executable, "-m", "zoo", *map(str, words)], check=True, stdout=sys.stderr)


def train_ours(args, run: Path) -> dict:
    """Our run, trained if it is not there, and what that took."""
    notes = run.parent / "ours.json"
    if not notes.is_file():
        before = processor_seconds()
        zoo("train", args.data / args.set, "--fold", 0, "--minutes", args.minutes, "--out", run)
        lines = (run / "history.csv").read_text(encoding="utf-8").splitlines()
        last = dict(zip(lines[0].split(","), lines[-1].split(","), strict=True))
        training = load_plan(run / "plan.json").training
        used = {
            "minutes": float(last["seconds"]) / 60,
            "processor_minutes": (processor_seconds() - before) / 60,
            "steps": (len(lines) - 1) * training.steps_per_epoch,
            "batch": training.batch,
        }
        notes.write_text(json.dumps(used), encoding="utf-8")
    return json.loads(notes.read_text(encoding="utf-8"))


def processor_seconds() -> float:
    """Of the commands that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def train_peer(args, peer: Path, cases: Cases, labels) -> dict:
    """What nnU-Net's training took; trained and its segmentations written if they are not there."""
    notes = peer / "used.json"
    if not notes.is_file():
        raw = peer / "raw" / DATASET
        if not (raw / "dataset.json").is_file():
            write_raw(raw, peer, cases, labels)
        words = ["--work", peer, "--configuration", args.configuration, "--minutes", args.peer_minutes or args.minutes]
        script = Path(__file__).with_name("nnunet_minutes.py")
        command = [args.python, script, *words, "--scans", raw / "imagesTs"]
        with open(peer / "log.txt", "w", encoding="utf-8") as log:
            ended = subprocess.run(list(map(str, command)), check=True, stdout=subprocess.PIPE, stderr=log, text=True)
        notes.write_text(ended.stdout.strip().splitlines()[-1], encoding="utf-8")
    return json.loads(notes.read_text(encoding="utf-8"))


def write_raw(raw: Path, peer: Path, cases: Cases, labels):
    """The set in nnU-Net's layout: consecutive label values, held-back scans in imagesTs, the split beside it."""
    for name in ("imagesTr", "labelsTr", "imagesTs"):
        (raw / name).mkdir(parents=True)
    values = [label.value for label in labels]
    suffix = scan_suffix(cases.training[0].images[0])
    # nnU-Net reads the training cases only; those held back are there because its split names them.
    for case in (*cases.training, *cases.validation):
        folders = ("imagesTr", "imagesTs") if case in cases.validation else ("imagesTr",)
        for channel, image in enumerate(case.images):
            for folder in folders:
                shutil.copy(image, raw / folder / f"{case.name}_{channel:04}{suffix}")
        classes = np.searchsorted(values, voxels(case.label)).astype(np.uint8)
        out = raw / "labelsTr" / f"{case.name}{suffix}"
        if suffix == ".png":
            Image.fromarray(classes).save(out)
        else:
            stored = nibabel.load(case.images[0])
            nibabel.save(nibabel.Nifti1Image(classes.reshape(stored.shape[:3]), stored.affine), out)
    split = [{"train": [c.name for c in cases.training], "val": [c.name for c in cases.validation]}]
    (peer / "splits_final.json").write_text(json.dumps(split), encoding="utf-8")
    description = {
        "channel_names": {str(k): "scan" for k in range(len(cases.training[0].images))},
        "labels": {label.name: index for index, label in enumerate(labels)},
        "numTraining": len(cases.training) + len(cases.validation),
        "file_ending": suffix,
    }
    (raw / "dataset.json").write_text(json.dumps(description), encoding="utf-8")


def voxels(path) -> np.ndarray:
    """The values of a label file, without the axis of channels."""
    return imaging.read_labels(path).voxels[..., 0]


def segmented(folder: Path, case) -> Path:
    """The label file of a case."""
    return folder / f"{case.name}{scan_suffix(case.images[0])}"


def score(path: Path, reference_path, stored, values) -> list[tuple[float, float]]:
    """(Dice, HD95 in mm) of each structure; in pixels for pictures."""
    reference = imaging.read_labels(reference_path)
    prediction, spacing = voxels(path), reference.spacing
    classes = zip(list(stored)[1:], list(values)[1:], strict=True)
    masks = [(prediction == mine, reference.voxels[..., 0] == theirs) for mine, theirs in classes]
    return [(dice(*pair), hd95(*pair, spacing)) for pair in masks]


if __name__ == "__main__":
    main()
