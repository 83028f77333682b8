"""What a command is asked for, checked before any scan is read: to read a dataset takes minutes."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from imaging.configurations import FILE
from imaging.labels import Label
from imaging.prior import FOLDER
from imaging.recipe import Recipe
from medseg.atomic import check_writable
from medseg.errors import InputError, UsageError
from medseg.untrusted import read_json
from train.commands.plan_options import check_one_length
from train.input.augmentation_chances import augmented
from train.planning.configuration import Asked, check_asked, possible_configurations
from train.planning.plan import Network, Plan, Training
from train.planning.shape_rules import total_stride
from train.planning.split import given_folds, split
from zoo.code_names import names_code
from zoo.registry import entry

ALL = "all"
"""Of ``--configuration``: every one that applies."""

OVERRIDES = (
    "epochs",
    "steps_per_epoch",
    "minutes",
    "batch",
    "learning_rate",
    "precision",
    "optimizer",
    "loss",
    "schedule",
    "accumulate",
    "class_weights",
    "patience",
    "validate_every",
    "validate_cases",
    "deep_supervision",
    "start",
    "freeze",
    "seed",
)
"""Options of the command line that are fields of ``plan.training``."""

FOLDS = 5
"""Of a plan that is made without being asked for another number."""


def stand_in(model: str | None = None, labels: Sequence[Label] = (), folds: int = FOLDS) -> Plan:
    """A plan that fits no dataset yet, to check what the user asked for by the checks of any plan.

    Args:
        model: registry entry; by default that of 3D scans.
        labels: the classes, where they are known.
        folds: of the cross-validation.

    Raises:
        ZooError: for an unknown model.
    """
    rank = entry(model or "unet3d").rank or 3
    network = Network(model or "unet3d")
    names = [f"case_{number}" for number in range(max(0, folds))]
    return Plan(
        dataset="",
        labels=tuple(labels) or (Label("background", 0), Label("foreground", 1)),
        channels=("channel 0",),
        recipe=Recipe(rank),
        network=network,
        patch=tuple(4 * step for step in total_stride(network, rank)),
        overlap=0.5,
        training=Training(),
        folds=tuple((name,) for name in names),
    )


def check_plan_file(path) -> None:
    """Require that a plan can be written to ``path``.

    Raises:
        InputError: if it lies where nothing can be written.
        UsageError: if it is a folder, or a file that holds something else than a plan.
    """
    path = Path(path)
    if path.is_dir():
        raise UsageError(f"--out {path}: is a folder; give the name of a file, such as {path / 'plan.json'}")
    if path.is_file():
        try:
            held = read_json(path, "plan")
        except InputError:
            held = None
        if not (isinstance(held, dict) and {"recipe", "network", "folds"} <= held.keys()):
            raise UsageError(f"--out {path}: holds something else than a plan and is left alone; give another name")
    check_writable(path.parent, path)


def check_run_folder(out, resume: bool = False) -> None:
    """Require that a new run can be written to ``out``, or with ``resume`` that one can be continued there.

    Raises:
        InputError: if it holds a run already, or files that a run would replace, is a file, or cannot be written.
    """
    from train.fitting.run import check_free

    out = Path(out)
    if (out / "plan.json").exists() and not resume:
        raise InputError(f"{out}: holds a run already; continue it with --resume or give another --out")
    if (out / FILE).exists() and not resume:
        raise InputError(f"{out}: holds configurations already; continue with --resume or give another --out")
    check_free(out)
    check_writable(out, out)


def check_request(args, known: Plan | None, labels=(), begun: bool = False) -> None:
    """Require what is asked for to make sense by itself, before the dataset is read.

    Args:
        args: of the command line.
        known: the plan with what the command line said; None where one is still to be made.
        labels: of the dataset, for a plan that is still to be made.
        begun: a run is continued, which has what it started from.

    Raises:
        UsageError: naming the option or the field, what it holds and what is expected.
        InputError: if nothing can be written to the run folder or the cache, or there is nothing to start from.
    """
    from train.data.grouping import check_groups
    from train.fitting.checks import check, check_fold
    from train.fitting.folds import check_folds, fold_folder, fold_numbers, is_several
    from train.fitting.warm_start import check_source
    from train.hardware.devices import is_cluster, open_engine

    count = len(args.class_weights or ()) or 2
    stand_in_labels = labels or tuple(Label(f"class {value}", value) for value in range(count))
    plan = known or overridden(stand_in(args.model, stand_in_labels, args.folds or FOLDS), args)
    check(plan)
    _check_configuration(args, known)
    folds = fold_numbers(args.fold, plan)
    check_fold(plan, folds[0])
    if args.groups is not None:
        check_groups(args.groups)
    check_made_by(args, known)
    if plan.training.start and not begun:
        check_source(plan.training.start, plan.network.name if known or args.model else None)
    if known is None:
        _check_layers(args, plan.training)
    if is_several(args.fold):
        check_folds(args.out, folds, args.resume)
        check_writable(fold_folder(args.out, folds[0]), args.out)
    else:
        check_run_folder(args.out, args.resume)
    if args.cache is not None:
        check_writable(args.cache, f"--cache {args.cache}")
    if args.devices is not None and not is_cluster():
        open_engine(args.devices)


def check_enough(dataset, folds: int | None) -> None:
    """Require as many groups of labelled cases as there are folds, where a number of folds is asked for.

    Args:
        dataset: an open ``Dataset``, of which no scan was read.
        folds: asked for; None, or what is made without being asked, is left to the planning.

    Raises:
        InputError: if there are fewer.
    """
    if folds not in (None, FOLDS) and given_folds(dataset.cases, folds) is None:
        split(dataset.cases, folds)


def check_count(args):
    """Require a number of folds that a plan can be made with."""
    if args.folds < 2:
        raise UsageError(f"--folds {args.folds}: expected 2 or more")
    if args.plan is not None or (args.resume and args.out.is_dir()):
        raise UsageError(f"--folds {args.folds}: is of a plan that is made; this one has its folds, give --fold")


def check_made_by(args, known: Plan | None) -> None:
    """What only the making of a plan goes by says nothing to one that is there: better told than passed over.

    Args:
        args: of the command line.
        known: the plan, or None where one is still to be made.

    Raises:
        UsageError: naming the option.
    """
    if known is None:
        return
    if args.groups is not None:
        raise UsageError(
            f"--groups {args.groups}: is of a plan that is made; this one has its folds, plan again with it"
        )
    if args.instances and known.instances is None:
        raise UsageError("--instances: is of a plan that is made; this one tells no objects apart, plan again with it")


def _check_layers(args, training):
    """Require layers to start from and to freeze to be some of the network's, or of one that might be planned."""
    from train.fitting.fit import network
    from train.fitting.warm_start import check_patterns, load_start, source_weights
    from train.planning.planner import NETWORKS

    if not (training.start or training.freeze) or (args.model is not None and names_code(args.model)):
        return
    refusals = []
    for name in [args.model] if args.model is not None else NETWORKS.values():
        model = network(stand_in(name))
        try:
            if training.start:
                load_start(model, source_weights(training.start, name), training.start)
            check_patterns(model, training.freeze)
        except (InputError, UsageError) as error:
            refusals.append(error)
        else:
            return
    raise refusals[0]


def _check_configuration(args, known):
    if args.configuration == ALL:
        return
    if known is None:
        check_asked(Asked(args.configuration, rank=entry(args.model).rank if args.model else None))
    elif args.configuration is not None:
        planned = known.configuration or possible_configurations(known.recipe)[0]
        if planned != args.configuration:
            raise UsageError(f"--configuration {args.configuration}: the plan is of {planned}; plan again with it")


def overridden(plan: Plan, args) -> Plan:
    """``plan`` with what the command line said."""
    changes = {name: getattr(args, name) for name in OVERRIDES if getattr(args, name) is not None}
    check_one_length(args)
    if "epochs" in changes:
        changes["minutes"] = None
    if "freeze" in changes:
        changes["freeze"] = tuple(changes["freeze"])
    if args.augment is not None:
        changes["augmentation"] = augmented(plan.training.augmentation, args.augment)
    network = plan.network
    if args.model is not None and args.model != network.name:
        if plan.first is not None:
            raise UsageError(f"--model {args.model}: the plan is of a cascade; plan again with this model")
        network = Network(args.model)
    first = plan.first
    if first is not None:
        first = dataclasses.replace(first, training=dataclasses.replace(first.training, **_of_first(changes)))
    training = dataclasses.replace(plan.training, **changes)
    return dataclasses.replace(plan, network=network, training=training, first=first)


def _of_first(changes):
    """What the command line said, for the first network of a cascade: it starts from the first one of a cascade."""
    place = Path(changes.get("start") or "") / FOLDER
    return changes | {"start": str(place)} if changes.get("start") and (place / "plan.json").is_file() else changes
