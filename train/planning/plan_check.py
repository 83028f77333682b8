"""Whether a plan, edited by hand perhaps, can work: every field that cannot is named, with what would do."""

import math
from collections import Counter
from dataclasses import replace

import numpy as np

from imaging.instances import check as check_instances
from imaging.io.cases import check_case_name
from imaging.recipe import check as check_recipe
from imaging.recipe import prepare
from imaging.regions import check_regions
from imaging.scan import Scan
from medseg.errors import InputError, UsageError
from train.input.augmentation_presets import PRESETS
from train.planning.configuration import possible_configurations
from train.planning.plan import Plan
from train.planning.shape_rules import total_stride

SOFTMAX_ONLY = ("unified_focal",)  # losses that a sigmoid has no form of
DECIDED = {
    "deep_supervision": "set training.deep_supervision instead",
    "classes": "labels decide it",
    "input_shape": "patch and channels decide it",
    "channels": "the plan's channels decide it",
    "weights": "set training.start instead",
    "name": "leave it out",
}
"""What other fields say to the network than its options."""


def check_plan(plan: Plan, dataset=None) -> None:
    """Require a plan to make sense in itself, and for a dataset when one is given.

    Raises:
        UsageError: listing every field that does not, in one message.
    """
    problems = [*_fields(plan), *_augmentation(plan.training), *_patch(plan), *_folds(plan), *_first(plan)]
    if dataset is not None:
        problems += _against(plan, dataset)
    if problems:
        raise UsageError("plan: " + "; ".join(problems))


def _fields(plan):
    problems = _recipe(plan.recipe)
    training = plan.training
    for name, value, accepted, good in (
        ("labels", len(plan.labels), "at least 2, background first", len(plan.labels) >= 2),
        ("channels", len(plan.channels), f"recipe.channels = {plan.recipe.channels}", None),
        ("overlap", plan.overlap, "from 0 to 0.9", 0 <= plan.overlap <= 0.9),
        ("training.epochs", training.epochs, "at least 1", training.epochs >= 1),
        (
            "training.minutes",
            training.minutes,
            "more than 0",
            training.minutes is None or 0 < training.minutes < math.inf,
        ),
        ("training.steps_per_epoch", training.steps_per_epoch, "at least 1", training.steps_per_epoch >= 1),
        ("training.batch", training.batch, "at least 1", training.batch >= 1),
        ("training.learning_rate", training.learning_rate, "more than 0", 0 < training.learning_rate < math.inf),
        ("training.weight_decay", training.weight_decay, "at least 0", 0 <= training.weight_decay < math.inf),
        ("training.warmup", training.warmup, "from 0 to 1", 0 <= training.warmup <= 1),
        ("training.ema", training.ema, "from 0 to below 1", 0 <= training.ema < 1),
        ("training.accumulate", training.accumulate, "at least 1", training.accumulate >= 1),
        ("training.clip_norm", training.clip_norm, "at least 0", 0 <= training.clip_norm < math.inf),
        ("training.seed", training.seed, "from 0 to 4294967295", 0 <= training.seed < 2**32),
        ("training.patience", training.patience, "at least 0", training.patience >= 0),
        ("training.validate_every", training.validate_every, "at least 0", training.validate_every >= 0),
        ("training.validate_cases", training.validate_cases, "at least 0", training.validate_cases >= 0),
        (
            "training.class_weights",
            training.class_weights,
            f"none, or {plan.outputs} of at least 0",
            not training.class_weights
            or (len(training.class_weights) == plan.outputs and all(0 <= w < math.inf for w in training.class_weights)),
        ),
        ("training.foreground", training.foreground, "from 0 to 1", 0 <= training.foreground <= 1),
    ):
        if not (good if good is not None else value == plan.recipe.channels):
            problems.append(f"{name} is {value}, expected {accepted}")
    values = Counter(label.value for label in plan.labels)
    twice = [value for value, count in values.items() if count > 1]
    if twice:
        problems.append(f"labels: value {twice[0]} belongs to several; give each its own")
    try:
        check_regions(plan.labels, plan.regions)
    except InputError as error:
        problems.append(f"regions: {error}")
    problems += _instances(plan)
    if plan.regions and training.loss in SOFTMAX_ONLY:
        problems.append(f"training.loss is {training.loss}, which regions cannot use; dice_ce is one that they can")
    if plan.ignore in values:
        problems.append(f"ignore is {plan.ignore}, the value of a class; give ignored voxels one of their own")
    strange = [axis for axis in training.mirror if not 0 <= axis < plan.recipe.patch_rank]
    if strange:
        problems.append(f"training.mirror holds axis {strange[0]}, expected 0 to {plan.recipe.patch_rank - 1}")
    expected = possible_configurations(plan.recipe)
    if plan.configuration not in ("", *expected):
        problems.append(
            f"configuration is {plan.configuration!r}, expected {' or '.join(map(repr, expected))}, as recipe.rank is "
            f"{plan.recipe.rank} and recipe.slices is {plan.recipe.slices}"
        )
    return problems


def _first(plan):
    """What is wrong with the first network of a cascade, or lacks for one."""
    expected = 0 if plan.first is None else len(plan.labels) - 1
    problems = []
    if plan.recipe.prior != expected:
        problems.append(
            f"recipe.prior is {plan.recipe.prior}, expected {expected}"
            + (", the labels but the background, as first is there" if expected else ", as there is no first")
        )
    if plan.first is None:
        return problems
    first = plan.first_plan()
    if plan.instances is not None:
        problems.append("first: expected for classes and regions only, not for instances")
    for name in ("rank", "channels", "nan"):
        here, there = getattr(plan.recipe, name), getattr(first.recipe, name)
        if here != there:
            problems.append(f"first.recipe.{name} is {there}, expected {here} as in recipe")
    if first.recipe.prior:
        problems.append(f"first.recipe.prior is {first.recipe.prior}, expected 0")
    own = [*_fields(first), *_augmentation(first.training), *_patch(first)]
    of_both = _fields(plan)
    return [*problems, *(f"first: {problem}" for problem in own if problem not in of_both)]


def _instances(plan):
    """What is wrong with a plan that tells objects apart."""
    if plan.instances is None:
        return []
    problems, training = [], plan.training
    try:
        check_instances(plan.instances)
    except InputError as error:
        problems.append(str(error))
    if len(plan.labels) != 2 or len(plan.regions) != 1 or plan.ignore is not None:
        problems.append("instances: expected two labels, the background and the objects, one region and no ignore")
    for name, value, mend in (
        ("augmentation.mixup_chance", training.augmentation.mixup_chance, "0"),
        ("deep_supervision", training.deep_supervision, "false"),
        ("class_weights", training.class_weights, "none"),
    ):
        if value:
            problems.append(f"training.{name} is {value}, which a training on instances has not; set it {mend}")
    return problems


def _recipe(recipe):
    try:
        check_recipe(recipe, learnt=False)
        # What else it asks for is checked where it is done: on a scan of a few voxels that keeps its size.
        shape = (*(4,) * recipe.rank, recipe.channels)
        scan = Scan(np.arange(math.prod(shape), dtype=np.float32).reshape(shape), np.eye(4))
        prepare(scan, replace(recipe, spacing=None, size=None, filters=()))
    except InputError as error:
        return [str(error) if str(error).startswith("recipe") else f"recipe: {error}"]
    return []


def _augmentation(training):
    settings = training.augmentation
    problems = []
    for name, value in vars(settings).items():
        if name.endswith("_chance") and not 0 <= value <= 1:
            problems.append((name, value, "from 0 to 1"))
        elif isinstance(value, tuple) and name != "rotation" and (len(value) != 2 or not 0 < value[0] <= value[1]):
            problems.append((name, value, "a smallest and a largest number above 0"))
    if max(settings.cutout) > 1:
        problems.append(("cutout", settings.cutout, "at most 1, the whole patch"))
    for name, value, accepted, good in (
        ("bias_field", settings.bias_field, "at least 0", settings.bias_field >= 0),
        ("bias_field_order", settings.bias_field_order, "from 0 to 9", 0 <= settings.bias_field_order <= 9),
        ("cutout_boxes", settings.cutout_boxes, "at least 1", settings.cutout_boxes >= 1),
        ("mixup", settings.mixup, "more than 0", settings.mixup > 0),
        ("rician", settings.rician, "at least 0", settings.rician >= 0),
        ("sharpen", settings.sharpen, "at least 0", settings.sharpen >= 0),
        ("speckle", settings.speckle, "from 0 to 1", 0 <= settings.speckle <= 1),
        ("gain", settings.gain, "from 0 to 1", 0 <= settings.gain <= 1),
        ("attenuation", settings.attenuation, "from 0 to 10", 0 <= settings.attenuation <= 10),
        ("tint", settings.tint, "from 0 to 1", 0 <= settings.tint <= 1),
        ("offset", settings.offset, "at least 0", settings.offset >= 0),
        ("preset", settings.preset or "''", f"none, or {', '.join(PRESETS)}", settings.preset in ("", *PRESETS)),
    ):
        if not good:
            problems.append((name, value, accepted))
    lines = [f"training.augmentation.{name} is {value}, expected {text}" for name, value, text in problems]
    if settings.mixup_chance > 0 and training.batch < 2:
        lines.append("training.augmentation.mixup_chance needs a training.batch of at least 2")
    return lines


def _patch(plan):
    from zoo.registry import entry

    problems = []
    rank = plan.recipe.patch_rank
    if entry(plan.network.name).rank not in (None, rank):
        field = "recipe.rank is" if rank == plan.recipe.rank else "with recipe.slices patches are of rank"
        problems.append(f"network {plan.network.name!r} takes {entry(plan.network.name).rank}D, {field} {rank}")
    problems += [
        f"network.options holds {name}; {mend}" for name, mend in DECIDED.items() if name in plan.network.options
    ]
    if len(plan.patch) != rank or not all(size >= 1 for size in plan.patch):
        problems.append(f"patch {plan.patch}: expected {rank} sizes of at least 1")
    if problems:
        return problems
    stride = total_stride(plan.network, rank)
    if any(size % step for size, step in zip(plan.patch, stride, strict=True)):
        fixed = tuple(math.ceil(size / step) * step for size, step in zip(plan.patch, stride, strict=True))
        problems.append(f"patch {plan.patch} must divide by the network's strides {stride}; use {fixed}")
    return problems


def _folds(plan):
    problems = []
    if len(plan.folds) < 2:
        problems.append(f"folds: expected at least 2, got {len(plan.folds)}")
    empty = [str(number) for number, names in enumerate(plan.folds) if not names]
    if empty:
        problems.append(f"folds: fold {', '.join(empty)} holds no case")
    places = Counter(name for names in plan.folds for name in names)
    for name in places:
        try:
            check_case_name(name, "folds")
        except InputError as error:
            problems.append(str(error))
    twice = [name for name, count in places.items() if count > 1]
    if twice:
        problems.append(f"folds: {len(twice)} cases are in more than one fold, such as {twice[0]}")
    return problems


def _against(plan, dataset):
    problems = [f"folds: {leak}" for leak in leaks(plan.folds, dataset.cases)]
    known = {case.name for case in dataset.cases}
    missing = [name for names in plan.folds for name in names if name not in known]
    if missing:
        problems.append(f"folds: {len(missing)} cases are not in {dataset.folder}, such as {missing[0]}; plan again")
    if plan.labels != dataset.labels:
        problems.append(
            f"labels are {_listed(plan.labels)}, those of {dataset.folder} {_listed(dataset.labels)}; plan again"
        )
    if plan.regions != dataset.regions:
        names = [", ".join(region.name for region in regions) or "none" for regions in (plan.regions, dataset.regions)]
        problems.append(
            f"regions are {names[0]}, those of {dataset.folder} {names[1]}, or differ in values; plan again"
        )
    if plan.ignore != dataset.ignore:
        problems.append(f"ignore is {plan.ignore}, that of {dataset.folder} {dataset.ignore}; plan again")
    if len(plan.channels) != len(dataset.channels):
        problems.append(f"channels: {len(plan.channels)}, the images of {dataset.folder} have {len(dataset.channels)}")
    return problems


def leaks(folds, cases) -> tuple[str, ...]:
    """Groups (patients) that have cases in more than one fold, a line each."""
    group_of = {case.name: case.group for case in cases}
    places = {}
    for number, names in enumerate(folds):
        for name in names:
            if name in group_of:
                places.setdefault(group_of[name], {}).setdefault(number, name)
    return tuple(
        f"group {group!r} is in folds {', '.join(map(str, sorted(case_of)))} ({', '.join(case_of.values())}); "
        "keep its cases together"
        for group, case_of in places.items()
        if len(case_of) > 1
    )


def _listed(labels):
    return ", ".join(f"{label.value} {label.name}" for label in labels)
