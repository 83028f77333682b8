"""``zoo train --configuration all``: every configuration that applies, and the best of them or the best pair."""

import dataclasses

from imaging.configurations import FILE, Configurations, load_configurations
from medseg import record
from medseg.command import command_line, next_command
from medseg.errors import UsageError
from train.commands.folder_options import choices_of
from train.commands.preconditions import ALL, FOLDS, check_enough, check_request, overridden
from train.planning.plan import Plan


def is_of_configurations(args) -> bool:
    """Whether every configuration is asked for, or a folder that holds such is resumed.

    Args:
        args: of ``zoo train``.

    Raises:
        UsageError: for options that are of one configuration.
    """
    begun = args.resume and (args.out / FILE).is_file()
    if begun and args.configuration not in (None, ALL):
        raise UsageError(f"{args.out}: holds several configurations; resume it without --configuration")
    if not begun and args.configuration != ALL:
        return False
    for name, option in (("plan", "--plan"), ("model", "--model"), ("start", "--from")):
        if getattr(args, name) is not None:
            raise UsageError(
                f"{option} {getattr(args, name)}: is of one configuration; leave it out, or give --configuration 2d, "
                "2.5d, 3d, 3d-low or cascade"
            )
    if args.fold == "none":
        raise UsageError("--fold none: no case would be held back to choose by; give --fold 0, or --folds N")
    return True


def run_configurations(args) -> int:
    """Handle ``zoo train --configuration all``.

    Args:
        args: of the command line.

    Raises:
        ZooError: before anything is trained, for what cannot be.
    """
    from train.configurations.choice import decide, table
    from train.configurations.plans import finished
    from train.evaluation.cross_validation import summary_table
    from train.hardware.devices import is_cluster

    if is_cluster():
        raise UsageError("--configuration all: trains on one machine; train each configuration by its own command here")
    state, plans, dataset, folds = _begun(args) if args.resume and (args.out / FILE).is_file() else _planned(args)
    print(announcement(state, plans, folds), flush=True)
    artifacts = f"artifacts/{args.out.name}"
    following = command_line("zoo export", args.out, "--format", "tflite-int8", "--out", artifacts)
    try:
        _train(args, plans, dataset, folds)
        state, summary = decide(finished(args.out, state.planned), dataset, args.out, state, following)
    except KeyboardInterrupt:
        next_command("zoo train --resume --out", args.out)
        raise
    print(summary_table(summary))
    print()
    print(table(state))
    print(
        f"{args.out}: {FILE} holds the scores and the choice, report.html shows them; zoo evaluate, export and predict "
        "take what was chosen"
    )
    next_command(following)
    return 0


def _planned(args):
    """A new folder of configurations: what is known of it, plans, dataset and the folds to train."""
    from train.configurations.plans import check_place, plan_all, save_plans
    from train.data.dataset import open_dataset, read_dataset
    from train.fitting.folds import fold_numbers

    if args.folder is None:
        missing = "holds no configurations to resume" if args.resume else "will hold them"
        raise UsageError(f"{args.out}: {missing}; give the dataset folder, zoo train FOLDER --configuration all")
    if not args.folder.exists():
        open_dataset(args.folder)  # says so, before the seconds that Keras takes to be imported
    args.fold = args.fold or "0"
    check_place(args.out, (), (), args.resume)
    check_request(args, None)
    dataset = read_dataset(args.folder, choices_of(args), args.groups)
    check_request(args, None, dataset.labels)
    check_enough(dataset, args.folds)
    plans, left_out = plan_all(dataset, args.folds or FOLDS, progress=True)
    plans = {name: overridden(plan, args) for name, plan in plans.items()}
    folds = fold_numbers(args.fold, next(iter(plans.values())))
    check_place(args.out, tuple(plans), folds, args.resume)
    state = Configurations(str(dataset.folder.resolve()), folds, tuple(plans), left_out)
    save_plans(args.out, plans, state)
    return state, plans, dataset, folds


def _begun(args):
    """A folder that is resumed, in the same way; folds that are asked for are trained beside those of before."""
    from train.configurations.plans import check_place, load_plans
    from train.data.dataset import read_dataset
    from train.fitting.folds import fold_numbers
    from train.fitting.resuming import dataset_folder, require_same_folders
    from train.fitting.run import Run

    state = load_configurations(args.out)
    plans = {name: overridden(plan, args) for name, plan in load_plans(args.out, state).items()}
    plan = next(iter(plans.values()))
    begun = Run(args.out, plan, None, state.dataset)
    require_same_folders(begun, args.images, args.labels)
    args.folder = dataset_folder(begun, args.folder)
    args.fold = args.fold or ",".join(map(str, state.folds))
    check_request(args, plan, begun=True)
    folds = fold_numbers(args.fold, plan)
    check_place(args.out, tuple(plans), folds, resume=True)
    dataset = read_dataset(args.folder, choices_of(args, plan), args.groups)
    state = dataclasses.replace(state, folds=tuple(sorted({*state.folds, *folds})))
    record.save(args.out / FILE, state)
    return state, plans, dataset, folds


def announcement(state: Configurations, plans: dict[str, Plan], folds) -> str:
    """What will be trained, what does not apply, and how long it takes where that is known."""
    names = ", ".join(plans)
    single = len(plans) == 1
    lines = [f"{'only ' * single}{names} {'applies' if single else 'apply'} to {state.dataset}"]
    lines += [f"{name} does not apply: {why}" for name, why in state.left_out.items()]
    if single:
        lines.append("so there is nothing to choose between, and it is trained alone")
    minutes = next(iter(plans.values())).training.minutes
    networks = len(plans) * len(folds)
    of = f"fold{'s' * (len(folds) > 1)} {', '.join(map(str, folds))} of each"
    time = f", {minutes:g} minutes a network, {minutes * networks:g} in all" if minutes else ""
    lines.append(f"{of}: {networks} network{'s' * (networks > 1)}{time}")
    return "\n".join(lines)


def _train(args, plans, dataset, folds) -> None:
    from train.configurations.plans import CASCADE, share_first
    from train.fitting.folds import fit_folds

    for number, (name, plan) in enumerate(plans.items(), 1):
        print(f"configuration {name}, {number} of {len(plans)}", flush=True)
        if name == CASCADE:
            share_first(args.out, plans, folds)
        fit_folds(plan, dataset, args.out / name, folds, args.resume, args.cache, devices=args.devices)
