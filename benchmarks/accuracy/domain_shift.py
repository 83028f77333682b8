"""A network on scans of another scanner: how much accuracy a shift costs, and what filters and augmentation give back.

    python benchmarks/accuracy/domain_shift.py --data DATA
    python benchmarks/accuracy/domain_shift.py --data DATA --cases 12 --learn 12 --train 6 --control

The clean network is a shipped artifact (--network) or a run folder. Filters are applied on the device, learnt from
clean training scans of fold 0; nothing of the network is trained anew. The shifted scans are made of the validation
scans of fold 0, each with its own seed:

- contrast: an S-shaped curve, twice as steep in the middle as a straight one and flat at its ends
- gamma: exponent 0.4 or 2.5
- bias field: the exponential of a linear field, 7.4 times as bright at one side as at the other
- noise: Gaussian, of 15 % of the distance of percentiles 0.5 and 99.5
- resolution: voxels of 3 mm, put back onto the scan's grid

With --train MINUTES a second network starts from the clean one's weights and is trained so long with augmentation that
mimics the shifts (bias fields, noise, gamma, contrast, low resolution, each in four patches of ten), and with --control
a third, as long and from the same weights, with nnU-Net's augmentation: what longer training does by itself. With
--augmented RUN and --control-run RUN networks that stand are scored.

Prints Markdown tables, one a network, a row a filter: mean Dice over the foreground classes and cases, and the share of
the loss that came back. Of the networks that are trained further the loss is the control's where there is one, so that
the row "none" of the augmented network is augmentation alone, and its other rows are filter and augmentation together.
A shipped network may have been trained on the cases that it is scored on here, and what starts from its weights has
seen them too: read the losses, not the Dice.
"""

import argparse
import dataclasses
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

import edge
import imaging
from imaging.filters import parse_step
from imaging.filters.steps import apply_steps, learn_steps
from imaging.intensity import fill_nan
from imaging.measure import overlap
from train.data.dataset import open_dataset
from train.planning.split import split

REMEDIES = {
    "none": (),
    "match": ("match",),
    "nyul": ("nyul",),
    "n4": ("n4",),
    "nlm": ("nlm",),
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


@dataclasses.dataclass
class Scans:
    """Scans and what filters make of them; a beginning of steps that several remedies share is applied once.

    Attributes:
        plain: the scans as read.
        filtered: names of steps to the scans that went through them.
    """

    plain: list
    filtered: dict = dataclasses.field(default_factory=dict)

    def after(self, steps) -> list:
        """The scans after steps: what a device sees whose recipe crops nothing before them."""
        if not steps:
            return self.plain
        names = tuple(step.name for step in steps)
        if names not in self.filtered:
            before = self.after(steps[:-1])
            with ThreadPoolExecutor() as pool:  # N4 takes seconds a scan, on one thread
                self.filtered[names] = list(pool.map(lambda scan: apply_steps(as_float(scan), steps[-1:]), before))
        return self.filtered[names]


def as_float(scan):
    """A scan of float32 voxels of its own."""
    return dataclasses.replace(scan, voxels=np.array(scan.voxels, np.float32))


def opened(place):
    """A network: from a scan to class indices."""
    if (Path(place) / "model.keras").is_file():
        from train.evaluation.segmenting import patch_predictor, segmenter
        from train.fitting.run import open_run

        run = open_run(Path(place))
        return segmenter(patch_predictor(run.model()), run.plan)
    artifact = edge.load(place, threads=2)
    values = [label.value for label in artifact.manifest.labels]
    artifact = dataclasses.replace(artifact, manifest=dataclasses.replace(artifact.manifest, training=None))
    return lambda scan: np.searchsorted(values, artifact.predict(scan).labels.voxels[..., 0])


def mean_dice(segmentation, reference):
    """Mean over the foreground classes of a reference."""
    classes = [k for k in np.unique(reference) if k]
    return float(np.mean([overlap.dice(segmentation == k, reference == k) for k in classes]))


def folds_of(dataset):
    """Five folds; the cases of the first are scored."""
    return split(dataset.cases, 5, 0)


def train(dataset, args, name, changes):
    """A run that starts from the shipped weights, with nnU-Net's augmentation and changes of it."""
    from medseg import record
    from train.fitting.curves import load_history
    from train.planning.plan import Augmentation
    from train.planning.planner import make_plan

    manifest = edge.load_manifest(args.network)
    plan = make_plan(dataset, model="unet3d", patch=manifest.patch, seed=0, start=args.network, minutes=args.train,
                     batch=2, learning_rate=5e-4, validate_every=0,
                     augmentation=dataclasses.replace(Augmentation(), **changes))  # fmt: skip
    plan = dataclasses.replace(plan, recipe=manifest.recipe, folds=folds_of(dataset))
    args.out.mkdir(parents=True, exist_ok=True)
    record.save(args.out / f"{name}.json", plan)
    words = ["train", dataset.folder, "--plan", args.out / f"{name}.json", "--fold", 0, "--out", args.out / name]
    subprocess.run([sys.executable, "-P", "-m", "zoo", *map(str, words)], check=True, stdout=sys.stderr)
    epochs = len(load_history(args.out / name / "history.csv"))
    print(f"\n{name}: {args.train:g} minutes, {epochs * plan.training.steps_per_epoch} steps", flush=True)
    return args.out / name


def scores(network, references, seen, recipes):
    """Mean Dice: {remedy: {shift: Dice}}, "clean" among the shifts."""
    table = {}
    for remedy, steps in recipes.items():
        table[remedy] = {}
        for shift, scans in seen.items():
            pairs = zip(scans.after(steps), references, strict=True)
            table[remedy][shift] = float(np.mean([mean_dice(network(scan), labels) for scan, labels in pairs]))
        print(f"{remedy}: scored", file=sys.stderr)
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


def arguments():
    """What was typed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of dataset folders")
    parser.add_argument("--set", default="hippocampus", help="dataset folder in it")
    parser.add_argument("--network", default="unet3d-hippocampus", help="artifact or run folder, or a shipped artifact")
    parser.add_argument("--cases", type=int, default=20, help="validation cases that are scored (default: 20)")
    parser.add_argument("--learn", type=int, default=40, help="training cases that filters learn from (default: 40)")
    parser.add_argument("--remedy", action="append", choices=REMEDIES, help="may be repeated (default: all)")
    parser.add_argument("--train", type=float, metavar="MINUTES", help="train a network with augmentation that mimics")
    parser.add_argument("--augmented", type=Path, help="run or artifact that was trained so already")
    parser.add_argument("--control", action="store_true", help="with --train: one more, with nnU-Net's augmentation")
    parser.add_argument("--control-run", type=Path, help="run or artifact that was trained so already")
    parser.add_argument("--out", type=Path, default=Path("runs/domain-shift"), help="where --train puts its runs")
    args = parser.parse_args()
    if args.control and not args.train:
        parser.error("--control: goes with --train; --control-run scores a run that stands")
    return args


def main():
    """Learn the filters, shift the scans, score, print the tables."""
    args = arguments()
    dataset = open_dataset(args.data / args.set)
    labelled = [case for case in dataset.cases if case.label is not None]
    held = set(folds_of(dataset)[0])
    training = [case for case in labelled if case.name not in held]
    cases = [case for case in labelled if case.name in held][: args.cases]
    few = training[:: max(1, len(training) // args.learn)][: args.learn]
    known = Scans([imaging.read(list(case.images)) for case in few])
    recipes = {
        remedy: learn_steps(tuple(map(parse_step, REMEDIES[remedy])), known.after)
        for remedy in dict.fromkeys(("none", *(args.remedy or REMEDIES)))
    }
    scans = [imaging.read(list(case.images)) for case in cases]
    references = [imaging.read_labels(case.label).voxels[..., 0] for case in cases]
    seen = {"clean": Scans(scans)}
    for shift, change in SHIFTS.items():
        seen[shift] = Scans([change(s, np.random.default_rng((n, len(shift)))) for n, s in enumerate(scans)])
    table = scores(opened(args.network), references, seen, recipes)
    print(f"{len(cases)} cases; share of the loss that came back in brackets.\n")
    print(report(f"{args.network}, filters on the device", table, table["none"]), flush=True)
    base = table["none"]
    control = train(dataset, args, "control", {}) if args.control else args.control_run
    if control:
        table = scores(opened(control), references, seen, recipes)
        base = table["none"]
        print("\n" + report("control, as long with nnU-Net's augmentation", table, base), flush=True)
    augmented = train(dataset, args, "augmented", AUGMENTATION) if args.train else args.augmented
    if augmented:
        table = scores(opened(augmented), references, seen, recipes)
        print("\n" + report("augmented", table, base))


if __name__ == "__main__":
    main()
