"""``zoo plan``: look at a dataset folder and decide how to train on it."""

import dataclasses
import math
import os
from pathlib import Path

from imaging.filters.steps import FilterStep, parse_step
from medseg import record
from medseg.command import emit_json, next_command
from medseg.errors import UsageError
from train.commands.code_options import use_files
from train.commands.folder_options import choices_of, repeated
from train.commands.plan_options import add_options, check_together
from train.planning.configuration import Asked, check_asked
from train.planning.plan import Plan, load_plan


def add_plan(subparsers) -> None:
    """Add the sub-command ``plan`` to ``subparsers``."""
    parser = subparsers.add_parser(
        "plan",
        help="look at a dataset and decide how to train on it",
        description="Read every case of a dataset folder once, decide preprocessing, network, patch and split by rules "
        "and write them to a readable, editable plan.json.",
    )
    add_options(parser)
    parser.set_defaults(handler=run_plan)


def run_plan(args) -> int:
    """Handle ``zoo plan``."""
    check_together(args)
    if args.folder.is_file():
        return _explain_file(args)
    if args.check:
        return _check(args)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # bounds count networks; TensorFlow's notes say nothing here
    from train.commands.preconditions import check_enough
    from train.data.dataset import read_dataset
    from train.planning.inspection import inspect
    from train.planning.planner import make_plan

    out = args.out or Path("plan.json")
    named = ("--model", args.model) if args.model and ".py:" in args.model else ()
    use_files(args)
    steps = check_request(args, out)
    dataset = read_dataset(args.folder, choices_of(args), args.groups)
    check_enough(dataset, args.folds)
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
        minutes=args.minutes,
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
    run = f"runs/{args.folder.resolve().name}"
    next_command("zoo train", args.folder, *repeated(args), "--plan", out, *named, "--fold", 0, "--out", run)
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
    names = ("seed", "batch", "epochs", "minutes")
    training = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    overlap = plan.overlap if args.overlap is None else args.overlap
    check_plan(dataclasses.replace(plan, overlap=overlap, training=dataclasses.replace(plan.training, **training)))
    if args.size is not None and len(args.size) != 2:
        raise UsageError(f"--size {_x(args.size)}: resizes flat images, expected 2 sizes; of volumes give --spacing")
    if args.model is not None and args.patch is not None and len(args.patch) == plan.recipe.rank:
        check_plan(dataclasses.replace(plan, patch=tuple(args.patch)))
    ranks = {name: len(getattr(args, name)) for name in ("patch", "spacing", "size") if getattr(args, name)}
    if args.model is not None:
        ranks[f"model {args.model}"] = plan.recipe.rank
    network = {rank for name, rank in ranks.items() if name not in ("spacing", "size")}
    check_asked(Asked(args.configuration, args.context_slices, args.slice_axis, next(iter(network), None)))
    if ranks.get("spacing") == 3 and "size" not in ranks and network == {2}:
        del ranks["spacing"]  # of the volume that a 2D network takes slice by slice
    if len(set(ranks.values())) > 1:
        raise UsageError("; ".join(f"--{name}: {rank} axes" for name, rank in ranks.items()) + "; give as many for all")
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
        *([("first", _first(plan.first))] if plan.first else []),
        ("recipe", ", ".join(step for step in steps if step)),
        ("network", plan.network.name + options),
        ("patch", f"{_x(plan.patch)}, batch {training.batch}, overlap {plan.overlap:g}"),
        (
            "training",
            f"{_length(training)} of {training.steps_per_epoch} steps, {training.optimizer}, {training.loss}",
        ),
        *([("bounds", plan.reasons["bounds"])] if "bounds" in plan.reasons else []),
        ("mirror", _mirror(plan)),
        ("folds", ", ".join(str(len(names)) for names in plan.folds) + " cases"),
    )
    return "\n".join(f"{name:9} {text}" for name, text in lines)


def _length(training):
    if training.minutes is None:
        return f"{training.epochs} epochs"
    return f"{training.minutes:g} minutes, in epochs"


def _mirror(plan):
    axes = f"axes {', '.join(map(str, plan.training.mirror))}" if plan.training.mirror else "no axis"
    return axes + "; predictions are averaged over flips" * plan.average_flips


def _first(first):
    return f"{first.network.name} at {_x(first.recipe.spacing)} mm, patch {_x(first.patch)}, asked before this one"


def _region(region):
    return f"{region.name} = {'+'.join(map(str, region.values))}"


def explanation(plan: Plan) -> str:
    """The reason of each decision, a line each."""
    return "\nwhy\n" + "\n".join(f"  {name:20} {reason}" for name, reason in plan.reasons.items())


def _explain_file(args):
    plan = load_plan(args.folder)
    if args.json:
        emit_json(record.to_dict(plan))
        return 0
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
    next_command("zoo plan", args.folder, *repeated(args), "-o", "plan.json")
    return 0


def _x(values):
    return "×".join(f"{value:g}" for value in values)
