"""The plan of a dataset, by published rules (nnU-Net, Isensee et al., Nature Methods 2021, arXiv:1904.08128) and a few
of our own; every decision leaves its reason in ``plan.reasons``."""

import dataclasses
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace

from imaging.filters.steps import parse_step
from imaging.instances import CHANNELS, Decoding
from imaging.recipe import Recipe
from imaging.recipe import check as check_recipe
from medseg.errors import InputError, UsageError
from train.data.dataset import problems_text
from train.input.augmentation_choice import plan_augmentation
from train.planning.candidates import NAMES, Bounds
from train.planning.configuration import Asked, along_own_slices, plan_configuration, whole_objects
from train.planning.device_bounds import PlannedPatch, keep_bounds
from train.planning.filter_learning import learn_filters, moved_sizes
from train.planning.fingerprint import fingerprint
from train.planning.inspection import Inspection, inspect
from train.planning.low_resolution import low_resolution
from train.planning.near_duplicates import with_duplicates_together
from train.planning.plan import First, Network, Plan, Training
from train.planning.plan_check import check_plan
from train.planning.proposals import propose
from train.planning.recipe_rules import plan_recipe, prepared_shape, resized_to
from train.planning.shape_rules import plan_batch, plan_patch, plan_strides
from train.planning.split import given_folds, split

NETWORKS = {2: "unet", 3: "unet3d"}
OVERLAP = 0.5
_SLICING = ("configuration", "context_slices", "slice_axis")
_PLAN_OVERRIDES = (
    "patch",
    "overlap",
    "spacing",
    "size",
    "interpolation",
    "filters",
    "nan",
    *_SLICING,
    "options",
    *NAMES.values(),
    "threads",
)
_TRAINING = tuple(field.name for field in dataclasses.fields(Training))
_BOUNDS = NAMES | {"threads": "threads"}


def make_plan(
    dataset,
    model: str | None = None,
    folds: int = 5,
    seed: int = 0,
    inspection: Inspection | None = None,
    progress: bool = False,
    measure: Callable | None = None,
    **overrides,
) -> Plan:
    """Plan the training of a dataset.

    Args:
        dataset: a ``train.data.dataset.Dataset``.
        model: registry entry; by default ``unet`` for 2D and ``unet3d`` for 3D.
        folds: of the cross-validation.
        seed: of the split and of the training.
        inspection: of the dataset, if it was made already.
        progress: show a bar while the cases are read, and a line on each network that is measured.
        measure: ``export.footprint``, which ``max_arena``, ``max_ram`` and ``target_ms`` need.
        **overrides: fields that the user decides: ``patch``, ``overlap``, ``spacing`` (mm), ``size`` (2D pixels),
            ``interpolation``, ``filters`` (steps or their texts) and ``nan`` (see ``imaging.Recipe``),
            ``configuration`` (see ``train.planning.configuration``),
            ``context_slices`` (that a 2D network takes of a volume at once), ``slice_axis`` ("R", "A" or "S", the axis
            across them),
            ``options`` (of the network), ``max_params``, ``max_macs``, ``max_arena`` and ``max_ram`` (bytes),
            ``target_ms`` and ``threads`` (see ``train.planning.candidates.Bounds``) and every field of
            ``train.planning.plan.Training``. None means: by the rule.

    Returns:
        The plan, ready to be saved with ``medseg.record.save``.

    Raises:
        InputError: listing every problem of the dataset that forbids training, or for fewer groups than folds.
        UsageError: for an unknown override, or values that cannot work together.
    """
    decided = _decided(overrides)
    steps = tuple(parse_step(step) if isinstance(step, str) else step for step in decided.pop("filters", ()))
    nan = decided.pop("nan", None)
    inspection = inspection or inspect(dataset, progress, nan)
    if inspection.fatal:
        raise InputError(problems_text(dataset.folder, inspection.fatal))
    if not inspection.facts:
        raise InputError(f"{dataset.folder}: no labelled case; training needs images with labels")
    given = decided.pop("patch", None)
    requested = _requested(model, given, len(inspection.facts[0].shape), decided)
    if dataset.instances and len(inspection.facts[0].shape) == 3:
        requested = whole_objects(requested)
    turned = along_own_slices(inspection.facts, requested)
    measured = fingerprint(dataset, turned or inspection.facts)
    as_given, dataset = dataset, with_duplicates_together(dataset, inspection.facts, folds)
    given_parts = given_folds(dataset.cases, folds)
    made = f"{folds} folds by group, seed {seed}" if given_parts is None else "those of dataset.json"
    reasons = {"folds": f"{made}; group: {dataset.grouping}"}

    slicing = plan_configuration(measured, reasons, requested, own=turned is not None)
    network = _network(model, len(slicing.plane), reasons)
    grid = {name: decided.pop(name, None) for name in ("spacing", "size", "interpolation")}
    grid["spacing"] = grid["spacing"] or slicing.as_measured(resized_to(steps, measured["rank"]))
    recipe = plan_recipe(measured, reasons, slicing=slicing, instances=dataset.instances, **grid)
    recipe = replace(recipe, filters=steps, nan=nan)
    check_recipe(recipe, learnt=False)
    labelled = [case for case in dataset.cases if case.label is not None]
    recipe = learn_filters(recipe, labelled, progress)
    _tell_filters(recipe, measured, reasons)
    moved = moved_sizes(recipe, labelled)
    whole = prepared_shape(measured, recipe, moved, slicing)
    if slicing.configuration == "3d-low":
        recipe = low_resolution(recipe, measured, whole, reasons)
        whole = prepared_shape(measured, recipe, moved, slicing)
    first = None
    if slicing.configuration == "cascade":
        low_resolution(recipe, measured, whole, {}, "cascade")  # says so where the scans are no larger than that
        like_this = {"measure": measure, **overrides, "configuration": "3d-low"}
        first = make_plan(as_given, model, folds, seed, inspection, progress, **like_this)
        recipe = replace(recipe, prior=len(dataset.labels) - 1)
        reasons["recipe.prior"] = "a channel for each class but the background, which a network of low resolution finds"
    shape = whole[-recipe.patch_rank :]
    network, stride = plan_strides(network, recipe, shape, reasons, options=decided.pop("options", {}))
    patch = plan_patch(shape, stride, reasons, patch=given)
    asked = {called: decided.pop(called) for called in _BOUNDS.values() if called in decided}
    bounds = Bounds(**{name: asked[called] for name, called in _BOUNDS.items() if called in asked})
    if bounds:
        outputs = len(CHANNELS) if dataset.instances else len(dataset.regions) or len(dataset.labels)
        sizes = recipe.patch_channels, outputs
        planned = PlannedPatch(patch, shape, stride, given is not None)
        how = {"measure": measure, "tell": _told if progress else None}
        network, patch = keep_bounds(network, planned, bounds, *sizes, reasons, **how)
    overlap = decided.pop("overlap", OVERLAP)
    reasons["overlap"] = "half a patch, as nnU-Net" if overlap == OVERLAP else "given by the user"
    if dataset.instances:
        reasons["instances"] = "every object has its own value: foreground and distance are learnt, a watershed cuts"
    values = {
        # Each slice counts as a scan of its own.
        "batch": plan_batch(measured["cases"] * (whole[0] if recipe.slices else 1), shape, patch, reasons),
        "mirror": mirror_axes(slicing.plane, measured["ordered"], reasons),
        "seed": seed,
    }
    if "augmentation" not in decided:
        values["augmentation"] = plan_augmentation(measured, bool(dataset.instances), reasons)
    reasons |= dict.fromkeys(decided, "given by the user")
    if first is not None:
        reasons |= {f"first.{name}": why for name, why in first.reasons.items() if why != reasons.get(name)}
    training = Training(**(values | decided))
    plan = Plan(
        dataset=dataset.name,
        labels=dataset.labels,
        channels=dataset.channels,
        recipe=recipe,
        network=network,
        patch=patch,
        overlap=overlap,
        training=training,
        folds=given_parts or split(dataset.cases, folds, seed),
        fingerprint=measured,
        reasons=reasons,
        images_folder=dataset.images_folder,
        labels_folder=dataset.labels_folder,
        ignore=dataset.ignore,
        bounds=asked if bounds else {},
        regions=dataset.regions,
        instances=Decoding() if dataset.instances else None,
        configuration=slicing.configuration,
        average_flips=average_flips(recipe, training.mirror, reasons),
        first=first and First(first.recipe, first.network, first.patch, first.training),
    )
    check_plan(plan)
    return plan


def _tell_filters(recipe, measured, reasons):
    """The reasons of filters and of what NaN stands for, and the filters that are proposed."""
    if recipe.filters:
        reasons["recipe.filters"] = "given by the user"
    if recipe.nan is not None:
        reasons["recipe.nan"] = "given by the user"
    for name, reason in propose(measured, recipe.filters).items():
        reasons[f"proposed: --filter {name}"] = reason


def _told(line):
    print(line, file=sys.stderr, flush=True)


def _decided(overrides):
    unknown = sorted(set(overrides) - {*_PLAN_OVERRIDES, *_TRAINING})
    if unknown:
        accepted = ", ".join((*_PLAN_OVERRIDES, *_TRAINING))
        raise UsageError(f"plan override {', '.join(unknown)}: unknown; expected one of {accepted}")
    return {name: value for name, value in overrides.items() if value is not None}


def _network(model, rank, reasons):
    from zoo.registry import entry

    name = model or NETWORKS[rank]
    network = entry(name)
    if network.rank not in (None, rank):
        raise UsageError(f"model {name!r} takes {network.rank}D scans, these are {rank}D; ask for {NETWORKS[rank]!r}")
    reasons["network"] = "given by the user" if model else f"the default for {rank}D"
    return Network(name)


def _requested(model, patch, rank, decided) -> Asked:
    """What was decided about 2D and 3D, in so many words or by the network or patch that was given."""
    from zoo.registry import entry

    configuration, slices, axis = (decided.pop(name, None) for name in _SLICING)
    ranks = {f"model {model!r}": entry(model).rank if model else None, f"patch {patch}": patch and len(patch)}
    ranks = {name: rank for name, rank in ranks.items() if rank is not None}
    if rank == 2:
        ranks = {}  # what is 3D is refused as such
    if len(set(ranks.values())) > 1:
        raise UsageError("; ".join(f"{name} is {rank}D" for name, rank in ranks.items()) + "; give both of one rank")
    return Asked(configuration, slices, axis, next(iter(ranks.values()), None))


def mirror_axes(axes: Sequence[int], ordered: dict[str, Sequence], reasons: dict) -> tuple[int, ...]:
    """Axes along which a patch may be flipped: all but those along which classes are ordered.

    Args:
        axes: of the fingerprint that the patch has, in the patch's order.
        ordered: see ``train.planning.fingerprint.ordered_classes``.
        reasons: takes the reason.
    """
    kept = {place: ordered[str(axis)][0] for place, axis in enumerate(axes) if str(axis) in ordered}
    reasons_told = [
        f"not axis {place}, where {first} always lies before {second} and a flip would swap them"
        for place, (first, second) in kept.items()
    ]
    reasons["mirror"] = (
        "; ".join(reasons_told) if reasons_told else "every axis: no two classes keep an order along any"
    )
    return tuple(place for place in range(len(axes)) if place not in kept)


def average_flips(recipe: Recipe, mirror: Sequence[int], reasons: dict) -> bool:
    """Whether predictions are the mean over flips: of volumes slice by slice, whose networks are quick.

    Args:
        recipe: of the plan.
        mirror: axes along which the network learns flipped patches.
        reasons: takes the reason.
    """
    averaged = bool(recipe.slices and mirror)
    passes = f"{2 ** len(mirror)} passes of the network"
    reasons["average_flips"] = (
        f"{passes} a slice, which cost little and raise the Dice; --no-mirror predicts without"
        if averaged
        else f"{passes} cost more than they bring; --mirror predicts with them"
        if mirror
        else "there are no flips"
    )
    return averaged
