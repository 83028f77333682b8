"""``zoo plan``: look at a dataset folder and decide how to train on it."""

import argparse
import dataclasses
import math
import os
from pathlib import Path

from imaging.filters.steps import FilterStep, parse_step
from imaging.slices import ORIENTATIONS
from medseg import record
from medseg.byte_sizes import parse_size
from medseg.command import emit_json, next_command
from medseg.errors import UsageError
from train.commands.code_options import use_files
from train.commands.folder_options import add_folder_options, choices_of, repeated
from train.planning.configuration import CONFIGURATIONS, Asked, check_asked
from train.planning.plan import Plan, load_plan


def add_plan(subparsers) -> None:
    """Add the sub-command ``plan`` to ``subparsers``."""
    parser = subparsers.add_parser(
        "plan",
        help="look at a dataset and decide how to train on it",
        description="Read every case of a dataset folder once, decide preprocessing, network, patch and split by rules "
        "and write them to a readable, editable plan.json.",
    )
    parser.add_argument(
        "folder", type=Path, help="dataset folder (MSD, nnU-Net v2, or images/ and labels/), or a plan.json to explain"
    )
    parser.add_argument("-o", "--out", type=Path, help="where to write the plan (default: plan.json)")
    parser.add_argument("--check", action="store_true", help="verify the dataset instead: print every problem at once")
    parser.add_argument("--plan", type=Path, help="with --check: also verify this plan against the dataset")
    parser.add_argument("--explain", action="store_true", help="say for each decision which rule made it")
    add_folder_options(parser)
    parser.add_argument("--model", help="network, see zoo models, or my_nets.py:name (default: unet or unet3d)")
    parser.add_argument("--folds", type=int, default=5, help="of the cross-validation (default: 5)")
    parser.add_argument("--seed", type=int, default=0, help="of split and training (default: 0)")
    parser.add_argument("--patch", type=_sizes, help="voxels per axis, such as 64x64x32")
    parser.add_argument("--spacing", type=_spacing, help="target spacing in mm, such as 1x1x2.5")
    parser.add_argument("--size", type=_sizes, help="resize flat images to this many pixels, such as 256x256")
    parser.add_argument(
        "--interpolation",
        choices=("linear", "cubic"),
        help="of images on their new grid (default: linear); cubic is nnU-Net's, with thick slices apart",
    )
    parser.add_argument(
        "--filter",
        action="append",
        default=[],
        metavar="NAME=PARAMETER:VALUE,...",
        help="filter of the scans, such as clahe=clip:2,tile_mm:40, see zoo filters; repeatable, in order",
    )
    parser.add_argument(
        "--nan", type=float, metavar="VALUE", help="what voxels that are NaN, outside the field of view, stand for"
    )
    parser.add_argument(
        "--configuration",
        choices=CONFIGURATIONS,
        help="2d takes volumes slice by slice, 2.5d each slice with its neighbours, 3d whole, 3d-low at a coarser "
        "spacing (default: 2d where slices are thick, else 3d)",
    )
    parser.add_argument(
        "--context-slices", type=int, metavar="N", help="slices that a 2D network takes at once: 1, 3 (2.5d), 5, ..."
    )
    parser.add_argument(
        "--slice-axis", choices=tuple(ORIENTATIONS), help="axis across the slices of 2d (default: the coarsest)"
    )
    parser.add_argument("--overlap", type=float, help="of neighbouring tiles, 0 to 0.9 (default: 0.5)")
    parser.add_argument("--batch", type=int, help="patches per step")
    parser.add_argument("--epochs", type=int, help="of training")
    parser.add_argument("--max-params", type=_count, help="weights that the network may have, such as 500k or 1.5M")
    parser.add_argument("--max-macs", type=_count, help="operations that a patch may cost, such as 800M or 2G")
    parser.add_argument(
        "--max-arena",
        type=_size,
        metavar="SIZE",
        help="activations that the int8 TFLite file may need, such as 4MB; zoo export --max-arena holds it to that",
    )
    parser.add_argument(
        "--max-ram",
        type=_size,
        metavar="SIZE",
        help="memory that the process which runs the int8 TFLite file on a patch may take, Python and LiteRT (some "
        "50 MB) included, such as 512MB; measured on this machine",
    )
    parser.add_argument(
        "--target-ms",
        type=_milliseconds,
        metavar="MS",
        help="time that the int8 TFLite file may take for a patch; measured on this machine",
    )
    parser.add_argument("--threads", type=int, help="that --target-ms and --max-ram are measured with (default: 2)")
    parser.add_argument("--no-mirror", action="store_true", help="never flip a patch while training")
    parser.add_argument("--json", action="store_true", help="print the plan, or the problems, as JSON")
    parser.set_defaults(handler=run_plan)


def run_plan(args) -> int:
    """Handle ``zoo plan``."""
    if args.folder.is_file():
        return _explain_file(args)
    if args.plan is not None and not args.check:
        raise UsageError("--plan goes with --check; to plan anew leave it out, to train by it use zoo train --plan")
    if args.check:
        return _check(args)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # bounds count networks; TensorFlow's notes say nothing here
    from train.data.dataset import read_dataset
    from train.planning.inspection import inspect
    from train.planning.planner import make_plan

    out = args.out or Path("plan.json")
    named = f" --model {args.model}" if args.model and ".py:" in args.model else ""
    use_files(args)
    steps = check_request(args, out)
    dataset = read_dataset(args.folder, choices_of(args), args.groups)
    inspection = inspect(dataset, not args.json, args.nan)
    plan = make_plan(
        dataset,
        model=args.model,
        folds=args.folds,
        seed=args.seed,
        inspection=inspection,
        patch=args.patch,
        spacing=args.spacing,
        size=args.size,
        interpolation=args.interpolation,
        filters=steps or None,
        nan=args.nan,
        configuration=args.configuration,
        context_slices=args.context_slices,
        slice_axis=args.slice_axis,
        overlap=args.overlap,
        batch=args.batch,
        epochs=args.epochs,
        max_params=args.max_params,
        max_macs=args.max_macs,
        max_arena=args.max_arena,
        max_ram=args.max_ram,
        target_ms=args.target_ms,
        threads=args.threads,
        measure=getattr(args, "measure", None),
        progress=not args.json,
        mirror=() if args.no_mirror else None,
    )
    record.save(out, plan)
    if args.json:
        emit_json(record.to_dict(plan))
        return 0
    for note in (*dataset.notes, *inspection.warnings):
        print(f"note: {note}")
    print(summary(plan))
    for name, reason in plan.reasons.items():
        if name.startswith("proposed: "):
            print(f"{name}: {reason}")
    if args.explain:
        print(explanation(plan))
    print(f"\nwritten to {out}" + ("" if args.explain else "; --explain tells why"))
    next_command(
        f"zoo train {args.folder}{repeated(args)} --plan {out}{named} --fold 0 --out runs/{args.folder.resolve().name}"
    )
    return 0


def check_request(args, out) -> tuple[FilterStep, ...]:
    """Require what is asked for to make sense by itself, before the dataset is read.

    Returns:
        The filters asked for.

    Raises:
        ZooError: for an unknown model.
        UsageError: for numbers out of range, or of another rank than the model's.
        InputError: if the plan could not be written.
    """
    from train.commands.preconditions import check_plan_file, stand_in
    from train.data.grouping import check_groups
    from train.planning.plan_check import check_plan

    plan = stand_in(args.model, folds=args.folds)
    training = {name: getattr(args, name) for name in ("seed", "batch", "epochs") if getattr(args, name) is not None}
    overlap = plan.overlap if args.overlap is None else args.overlap
    check_plan(dataclasses.replace(plan, overlap=overlap, training=dataclasses.replace(plan.training, **training)))
    ranks = {name: len(getattr(args, name)) for name in ("patch", "spacing", "size") if getattr(args, name)}
    if args.model is not None:
        ranks[f"model {args.model}"] = plan.recipe.rank
    network = {rank for name, rank in ranks.items() if name not in ("spacing", "size")}
    check_asked(Asked(args.configuration, args.context_slices, args.slice_axis, next(iter(network), None)))
    if ranks.get("spacing") == 3 and "size" not in ranks and network == {2}:
        del ranks["spacing"]  # of the volume that a 2D network takes slice by slice
    if len(set(ranks.values())) > 1:
        raise UsageError("; ".join(f"--{name}: {rank} axes" for name, rank in ranks.items()) + "; give as many for all")
    if args.threads is not None and args.threads < 1:
        raise UsageError(f"--threads {args.threads}: expected at least 1")
    if args.groups is not None:
        check_groups(args.groups)
    check_plan_file(out)
    if args.nan is not None and not math.isfinite(args.nan):
        raise UsageError(f"--nan {args.nan}: expected a finite number")
    return tuple(parse_step(text) for text in args.filter)


def summary(plan: Plan) -> str:
    """The plan in a few lines."""
    fingerprint, recipe, training = plan.fingerprint, plan.recipe, plan.training
    steps = [recipe.orientation, recipe.spacing and f"{_x(recipe.spacing)} mm", recipe.size and f"{_x(recipe.size)} px"]
    steps += [recipe.crop_nonzero and "cropped to non-zero", *(step.name for step in recipe.filters)]
    if recipe.clip:
        unit = "percentiles" if recipe.clip.kind == "percentile" else "values"
        steps.append(f"clipped to {unit} {recipe.clip.low:g} to {recipe.clip.high:g}")
    steps.append(recipe.normalise.kind)
    options = "".join(f", {name} {value}" for name, value in plan.network.options.items())
    lines = (
        (
            "dataset",
            f"{plan.dataset}: {fingerprint['cases']} labelled cases, median {_x(fingerprint['shape']['median'])}",
        ),
        ("classes", ", ".join(label.name for label in plan.labels)),
        *([("regions", ", ".join(map(_region, plan.regions)))] if plan.regions else []),
        *([("slices", plan.reasons["configuration"])] if recipe.slices and "configuration" in plan.reasons else []),
        ("recipe", ", ".join(step for step in steps if step)),
        ("network", plan.network.name + options),
        ("patch", f"{_x(plan.patch)}, batch {training.batch}, overlap {plan.overlap:g}"),
        (
            "training",
            f"{training.epochs} epochs of {training.steps_per_epoch} steps, {training.optimizer}, {training.loss}",
        ),
        *([("bounds", plan.reasons["bounds"])] if "bounds" in plan.reasons else []),
        ("mirror", f"axes {', '.join(map(str, training.mirror))}" if training.mirror else "no axis"),
        ("folds", ", ".join(str(len(names)) for names in plan.folds) + " cases"),
    )
    return "\n".join(f"{name:9} {text}" for name, text in lines)


def _region(region):
    return f"{region.name} = {'+'.join(map(str, region.values))}"


def explanation(plan: Plan) -> str:
    """The reason of each decision, a line each."""
    return "\nwhy\n" + "\n".join(f"  {name:20} {reason}" for name, reason in plan.reasons.items())


def _explain_file(args):
    plan = load_plan(args.folder)
    print(summary(plan))
    print(explanation(plan))
    return 0


def _check(args):
    from train.data.check import check_dataset

    plan = load_plan(args.plan) if args.plan else None
    choices = dataclasses.replace(choices_of(args, plan), labels=None)
    report = check_dataset(args.folder, choices, args.groups, plan, args.folds, args.seed, not args.json, args.nan)
    if args.json:
        problems = [{"message": problem.message, "fatal": problem.fatal} for problem in report.problems]
        emit_json({"cases": len(report.dataset.cases), "grouping": report.dataset.grouping, "problems": problems})
        return 1 if report.problems else 0
    for note in report.dataset.notes:
        print(f"note: {note}")
    groups = len({case.group for case in report.dataset.cases})
    print(f"{len(report.dataset.cases)} cases in {groups} groups, by {report.dataset.grouping}")
    for problem in report.problems:
        print(f"problem: {problem}")
    if report.problems:
        count = len(report.problems)
        print(f"{count} problem{'s' * (count > 1)} found in {args.folder}")
        return 1
    print("no problem found")
    next_command(f"zoo plan {args.folder}{repeated(args)} -o plan.json")
    return 0


def _numbers(text, kind):
    try:
        values = tuple(kind(part) for part in text.lower().replace(",", "x").split("x"))
    except ValueError:
        values = ()
    if len(values) not in (2, 3) or not all(value > 0 for value in values):
        raise argparse.ArgumentTypeError(f"{text!r}: expected two or three positive numbers joined by x")
    return values


def _count(text):
    factor = {"k": 1e3, "m": 1e6, "g": 1e9}.get(text[-1:].lower(), 1)
    try:
        value = round(float(text[:-1] if factor > 1 else text) * factor)
    except (ValueError, OverflowError):
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a positive number, with k, M or G perhaps")
    return value


def _size(text):
    try:
        return parse_size(text)
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _milliseconds(text):
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a positive number of milliseconds")
    return value


def _sizes(text):
    return _numbers(text, int)


def _spacing(text):
    return _numbers(text, float)


def _x(values):
    return "×".join(f"{value:g}" for value in values)
