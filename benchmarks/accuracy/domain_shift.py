"""A network on scans of another scanner: how much accuracy a shift costs, and what filters and augmentation give back.

    python benchmarks/accuracy/domain_shift.py --data DATA
    python benchmarks/accuracy/domain_shift.py --data DATA --train 10 --out runs/domain-shift

The clean network is a shipped artifact (--network) or a run folder. Its recipe gets the filters on the device, learnt
from clean training scans of fold 0; nothing of it is trained anew. The shifted scans are made of the validation
scans of fold 0, each with its own seed:

- contrast: an S-shaped curve, twice as steep in the middle as a straight one and flat at its ends
- gamma: exponent 0.4 or 2.5, in turn
- bias field: the exponential of a linear field, 7.4 times as bright at one side as at the other
- noise: Gaussian, of 15 % of the distance of percentiles 0.5 and 99.5
- resolution: voxels of 3 mm, put back onto the scan's grid

With --train MINUTES a second network starts from the clean one's weights and is trained so long with augmentation that
mimics the shifts (bias fields, noise, gamma, contrast, low resolution, each in four patches of ten); with --augmented
RUN one that stands is scored. Prints Markdown tables: mean Dice over the foreground classes and cases, and the share of
the loss that each remedy gives back. A shipped network may have been trained on the cases that it is scored on here:
read the losses, not the Dice.
"""

import argparse
import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np

import edge
import imaging
from imaging.filters import parse_step
from imaging.intensity import fill_nan
from imaging.measure import overlap
from train.data.dataset import open_dataset
from train.planning.filter_learning import learn_filters
from train.planning.split import split

REMEDIES = {
    "none": (),
    "match": ("match",),
    "nyul": ("nyul",),
    "n4": ("n4",),
    "n4, match": ("n4", "match"),
    "n4, nyul": ("n4", "nyul"),
}
AUGMENTATION = {
    "bias_field_chance": 0.4, "bias_field": 1.0, "bias_field_order": 1, "noise_chance": 0.4, "noise": 0.7,
    "gamma_chance": 0.4, "gamma_inverted_chance": 0.2, "gamma": (0.4, 2.5), "contrast_chance": 0.4,
    "contrast": (0.5, 2.0), "low_resolution_chance": 0.4, "low_resolution": (0.33, 1.0),
}  # fmt: skip


def _unit(voxels):
    low, high = np.percentile(voxels, (0.5, 99.5))
    return np.clip((voxels - low) / (high - low), 0, 1), low, high - low


def contrast(scan, random):
    """An S-shaped curve of intensities."""
    unit, low, span = _unit(scan.voxels)
    curve = 1 / (1 + np.exp(-8 * (unit - 0.5)))
    return dataclasses.replace(scan, voxels=(low + span * curve).astype(np.float32))


def gamma(scan, random):
    """Exponent 0.4 or 2.5."""
    unit, low, span = _unit(scan.voxels)
    return dataclasses.replace(scan, voxels=(low + span * unit ** random.choice((0.4, 2.5))).astype(np.float32))


def bias_field(scan, random):
    """The exponential of a linear field along a random direction."""
    direction = random.normal(size=scan.rank)
    places = np.meshgrid(*(np.linspace(-1, 1, n) for n in scan.shape), indexing="ij")
    field = sum(part * axis for part, axis in zip(direction / np.abs(direction).sum(), places, strict=True))
    voxels = scan.voxels - min(0.0, float(scan.voxels.min()))
    return dataclasses.replace(scan, voxels=(voxels * np.exp(field)[..., None]).astype(np.float32))


def noise(scan, random):
    """Gaussian noise."""
    _, _, span = _unit(scan.voxels)
    noisy = scan.voxels + random.normal(0, 0.15 * span, scan.voxels.shape)
    return dataclasses.replace(scan, voxels=np.maximum(noisy, scan.voxels.min()).astype(np.float32))


def resolution(scan, random):
    """Voxels of 3 mm, on the scan's own grid again."""
    coarse = imaging.resample(scan, (3.0,) * scan.rank)
    voxels = imaging.onto(coarse.voxels, coarse.affine, scan, float("nan"))
    return dataclasses.replace(scan, voxels=fill_nan(np.array(voxels, np.float32), float(scan.voxels.min())))


SHIFTS = {"contrast": contrast, "gamma": gamma, "bias field": bias_field, "noise": noise, "resolution": resolution}


def opened(place):
    """A network: from a scan and a recipe to class indices; and its own recipe."""
    if (Path(place) / "model.keras").is_file():
        from train.evaluation.segmenting import patch_predictor, segmenter
        from train.fitting.run import open_run

        run = open_run(Path(place))
        predict = patch_predictor(run.model())
        return lambda scan, recipe: segmenter(predict, dataclasses.replace(run.plan, recipe=recipe))(
            scan
        ), run.plan.recipe
    artifact = edge.load(place, threads=1)
    values = [label.value for label in artifact.manifest.labels]

    def segment(scan, recipe):
        made = dataclasses.replace(
            artifact, manifest=dataclasses.replace(artifact.manifest, recipe=recipe, training=None)
        )
        labels = made.predict(scan).labels.voxels[..., 0]
        return np.searchsorted(values, labels)

    return segment, artifact.manifest.recipe


def mean_dice(segmentation, reference):
    """Mean over the foreground classes of a reference."""
    classes = [k for k in np.unique(reference) if k]
    return float(np.mean([overlap.dice(segmentation == k, reference == k) for k in classes]))


def train(dataset, args):
    """A run that starts from the shipped weights, with augmentation that mimics the shifts."""
    from medseg import record
    from train.planning.planner import make_plan

    manifest = edge.load_manifest(args.network)
    plan = make_plan(dataset, model="unet3d", patch=manifest.patch, seed=0, start=args.network, minutes=args.train,
                     batch=2, learning_rate=5e-4, validate_every=0)  # fmt: skip
    augmentation = dataclasses.replace(plan.training.augmentation, **AUGMENTATION)
    plan = dataclasses.replace(
        plan, recipe=manifest.recipe, training=dataclasses.replace(plan.training, augmentation=augmentation)
    )
    args.out.mkdir(parents=True, exist_ok=True)
    record.save(args.out / "plan.json", plan)
    words = ["train", dataset.folder, "--plan", args.out / "plan.json", "--fold", 0, "--out", args.out / "augmented"]
    subprocess.run([sys.executable, "-m", "zoo", *map(str, words)], check=True, stdout=sys.stderr)
    return args.out / "augmented"


def scores(network, cases, recipes):
    """Mean Dice: {remedy: {shift: Dice}}, "clean" among the shifts."""
    table = {remedy: {} for remedy in recipes}
    sums = {remedy: dict.fromkeys(("clean", *SHIFTS), 0.0) for remedy in recipes}
    for number, case in enumerate(cases):
        scan, labels = imaging.read(list(case.images)), imaging.read_labels(case.label)
        for shift in sums["none"]:
            random = np.random.default_rng((number, len(shift)))
            shifted = scan if shift == "clean" else SHIFTS[shift](scan, random)
            for remedy, recipe in recipes.items():
                sums[remedy][shift] += mean_dice(network(shifted, recipe), labels.voxels[..., 0]) / len(cases)
        print(f"{number + 1} of {len(cases)}", file=sys.stderr)
    table.update(sums)
    return table


def report(name, table, base):
    """A table in Markdown: Dice of every remedy, and the share of the loss against ``base`` that it gives back."""
    lines = [f"| {name} | clean | " + " | ".join(SHIFTS) + " |", "|---|---:|" + "---:|" * len(SHIFTS)]
    for remedy, row in table.items():
        cells = []
        for shift in SHIFTS:
            lost = base["clean"] - base[shift]
            back = f" ({(row[shift] - base[shift]) / lost:+.0%})" if row is not base and lost > 0.005 else ""
            cells.append(f"{row[shift]:.4f}{back}")
        lines.append(f"| {remedy} | {row['clean']:.4f} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main():
    """Learn the filters, shift the scans, score, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of dataset folders")
    parser.add_argument("--set", default="hippocampus", help="dataset folder in it")
    parser.add_argument("--network", default="unet3d-hippocampus", help="artifact or run folder, or a shipped artifact")
    parser.add_argument("--cases", type=int, default=20, help="validation cases that are scored (default: 20)")
    parser.add_argument("--learn", type=int, default=40, help="training cases that filters learn from (default: 40)")
    parser.add_argument("--remedy", action="append", choices=REMEDIES, help="may be repeated (default: all)")
    parser.add_argument("--train", type=float, metavar="MINUTES", help="train a network with augmentation that mimics")
    parser.add_argument("--augmented", type=Path, help="run or artifact that was trained so already")
    parser.add_argument("--out", type=Path, default=Path("runs/domain-shift"), help="where --train puts its run")
    args = parser.parse_args()
    dataset = open_dataset(args.data / args.set)
    labelled = [case for case in dataset.cases if case.label is not None]
    held = set(split(labelled, 5, 0)[0])
    training = [case for case in labelled if case.name not in held]
    cases = [case for case in labelled if case.name in held][: args.cases]
    network, recipe = opened(args.network)
    remedies = dict.fromkeys(("none", *(args.remedy or REMEDIES)))
    recipes = {}
    for remedy in remedies:
        steps = tuple(parse_step(text) for text in REMEDIES[remedy])
        few = training[:: max(1, len(training) // args.learn)][: args.learn]
        recipes[remedy] = learn_filters(dataclasses.replace(recipe, filters=steps), few)
    table = scores(network, cases, recipes)
    print(f"{len(cases)} cases; share of the loss that came back in brackets.\n")
    print(report(f"{args.network}, filters on the device", table, table["none"]), flush=True)
    augmented = train(dataset, args) if args.train else args.augmented
    if augmented:
        print("\n" + report("augmented", scores(opened(augmented)[0], cases, recipes), table["none"]))


if __name__ == "__main__":
    main()
