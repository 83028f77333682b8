"""The input pipeline: preprocessed cases to batches of augmented patches, decided by seed and step alone."""

import dataclasses
import functools
import math
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medseg.errors import UsageError
from train.input.anisotropy import grid_of, region
from train.input.cache import at_a_time, cache_cases
from train.planning.plan import Plan


@dataclass(frozen=True)
class Part:
    """What one of several processes makes of each batch, and the size that it gives.

    Attributes:
        process: its number.
        processes: how many there are; each makes an equal share of the samples of a batch, one after the other.
        pieces: in how many pieces all of them together give a batch, a multiple of ``processes``.
    """

    process: int = 0
    processes: int = 1
    pieces: int = 1


def pipeline(dataset, plan: Plan | None = None, fold: int = 0, training: bool = True, seed: int | None = None):
    """Batches of patches for ``model.fit``, one epoch at a time; every epoch draws anew.

    Args:
        dataset: a ``Dataset`` or the path of a dataset folder.
        plan: what to make of it; by default ``make_plan(dataset)``, its patch enlarged to what the network it names
            takes without options, so that ``zoo.get("unet3d")`` fits small scans too.
        fold: whose validation cases are left out of (``training``) or taken for the patches.
        training: augmented patches of the training cases, else plain patches of the validation cases.
        seed: ``plan.training.seed`` by default.

    Returns:
        ``tf.data.Dataset`` of (float32 (B, *patch, C), int32 (B, *patch)); where the plan mixes patches up, labels of
        training are soft: float32 (B, *patch, classes). Where the dataset ignores a value such voxels are class
        ``plan.ignore_class``; a warning says that losses and metrics need it as ``ignore_class``. Labels of regions are
        class indices too; ``zoo.losses`` and ``zoo.metrics`` take ``regions=plan.region_classes``. Of instances they
        are ``imaging.instances.distance_levels``, which ``zoo.losses.Instances`` takes.
    """
    from train.data.dataset import open_dataset
    from train.planning.planner import make_plan

    dataset = open_dataset(dataset) if isinstance(dataset, str | Path) else dataset
    plan = plan or _for_network_without_options(make_plan(dataset))
    if plan.ignore_class is not None:
        regions = f"regions={plan.region_classes}, " if plan.regions else ""
        set_both = f"zoo.losses.DiceCE({regions}ignore_class={plan.ignore_class}) and ignore_class in every metric"
        warnings.warn(
            f"{dataset.folder}: voxels that nobody has labelled are class {plan.ignore_class} here; set {set_both}",
            stacklevel=2,
        )
    chosen = fold_cases(dataset, plan, fold)[0 if training else 1]
    how = {"progress": True, "ignore": plan.ignore, "workers": at_a_time(plan.fingerprint)}
    cases = cache_cases(chosen, plan.recipe, plan.labels, **how)
    steps = plan.training.steps_per_epoch if training else validation_steps(cases, plan)
    return batches(cases, plan, training=training, seed=seed, steps=steps)


def _for_network_without_options(plan: Plan) -> Plan:
    """``plan`` with its patch rounded up to the multiple of the registry's own network."""
    import zoo

    multiple = zoo.info(plan.network.name).multiple or (1,) * len(plan.patch)
    patch = tuple(-(-size // step) * step for size, step in zip(plan.patch, multiple, strict=True))
    return dataclasses.replace(plan, patch=patch)


def fold_cases(dataset, plan: Plan, fold: int | None):
    """The training and the validation cases of a fold, as two tuples of ``Case``; for None all cases and none.

    Raises:
        UsageError: if there is no such fold, or the dataset lacks one of the plan's cases.
    """
    if fold is not None and not 0 <= fold < len(plan.folds):
        raise UsageError(f"fold {fold}: the plan has folds 0 to {len(plan.folds) - 1}")
    by_name = {case.name: case for case in dataset.cases}
    names = [name for part in plan.folds for name in part]
    missing = [name for name in names if name not in by_name]
    if missing:
        raise UsageError(
            f"{dataset.folder}: {len(missing)} of the plan's cases are not in it, such as {missing[0]}; "
            "give the folder that the plan was made of, or plan again"
        )
    held = () if fold is None else plan.folds[fold]
    return tuple(by_name[n] for n in names if n not in set(held)), tuple(by_name[n] for n in held)


def validation_steps(cases, plan: Plan) -> int:
    """Batches that show each validation case, or each slice of it, about once; at most 50.

    Args:
        cases: ``CachedCase`` records.
        plan: gives the batch and whether the network takes slices.
    """
    count = sum(case.shape[0] for case in cases) if plan.recipe.slices else len(cases)
    return min(50, math.ceil(count / plan.training.batch))


def batches(
    cases,
    plan: Plan,
    *,
    training: bool,
    seed: int | None = None,
    steps: int | None = None,
    first: int = 0,
    part: Part = Part(),
):
    """Batches of patches of preprocessed cases.

    Step ``n`` of a stream is the same whether the stream began at 0 or at ``n``: a training that is resumed sees what
    it would have seen. With ``steps`` the dataset ends after so many and, in training, draws anew when iterated again.

    Args:
        cases: ``CachedCase`` records.
        plan: patch, batch, classes and augmentation.
        training: augment, and draw anew each time the dataset is iterated (if ``steps`` is given).
        seed: ``plan.training.seed`` by default.
        steps: length; None for an endless stream that begins at step ``first``.
        first: step that an endless stream begins at.
        part: what of each batch is made here; all of it by default.

    Returns:
        ``tf.data.Dataset`` of (float32 (B, *patch, C), int32 (B, *patch)), or soft labels, see ``pipeline``.
    """
    import tensorflow as tf

    from train.input.reading import reader

    seed = plan.training.seed if seed is None else seed
    batch = plan.training.batch
    read = reader(cases, _region(plan, training), plan.patch, plan.training.foreground, plan.recipe.slices)
    make = functools.partial(_patch, read=read, count=len(cases), plan=plan, training=training)
    mixed = training and plan.training.augmentation.mixup_chance > 0
    # What is mixed needs the whole batch; else a process makes its own samples only.
    own = batch if mixed else batch // part.processes
    start = 0 if mixed else part.process * own

    def numbers(begin, end):
        mine = tf.data.Dataset.range(begin * own, end)
        return mine if own == batch else mine.map(lambda number: number // own * batch + start + number % own)

    if steps is None:
        endless = numbers(first, np.iinfo(np.int64).max)
        numbered = endless.map(lambda number: (tf.constant(seed, tf.int64), number))
    else:
        rounds = tf.data.Dataset.random(seed, rerandomize_each_iteration=True) if training else _constant(tf, seed)
        numbered = rounds.take(1).flat_map(lambda drawn: numbers(0, steps * own).map(lambda number: (drawn, number)))
    each = (lambda *key: (*make(*key), *key)) if mixed else make
    # All is in graph operations as it stands; looking through it for Python to translate takes longer than tracing it.
    each = tf.autograph.experimental.do_not_convert(each)
    patches = numbered.map(each, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    ready = patches.batch(batch if mixed else batch // part.pieces, drop_remainder=True)
    if mixed:
        ready = ready.map(functools.partial(_mixed, plan=plan))
    if mixed and part.pieces > 1:
        share = batch // part.processes
        mine = slice(part.process * share, (part.process + 1) * share)
        ready = ready.map(lambda image, label: (image[mine], label[mine]))
        ready = ready.rebatch(batch // part.pieces, drop_remainder=True)
    ready = ready.prefetch(4)
    if steps is not None:
        ready = ready.apply(tf.data.experimental.assert_cardinality(steps * part.pieces // part.processes))
    options = tf.data.Options()
    options.deterministic = True
    return ready.with_options(options)


def case_indices(seed: int, number, count: int):
    """Which case sample ``number`` of a stream shows: all cases once in random order, then again in another.

    Args:
        seed: int64 scalar.
        number: int64 scalar.
        count: cases there are.

    Returns:
        int32 scalar tensor.
    """
    import tensorflow as tf

    turn = tf.stack([tf.cast(seed, tf.int64), number // count])
    order = tf.argsort(tf.random.stateless_uniform((count,), turn))
    return order[tf.cast(number % count, tf.int32)]


def cases_of_step(cases, plan: Plan, step: int) -> list[str]:
    """Names of the cases in batch ``step`` of the endless training stream."""
    batch = plan.training.batch
    numbers = range(step * batch, (step + 1) * batch)
    return [cases[int(case_indices(plan.training.seed, np.int64(n), len(cases)))].name for n in numbers]


def _constant(tf, seed):
    return tf.data.Dataset.from_tensors(tf.constant(seed, tf.int64))


def _region(plan, training):
    """What is read of a case for one patch: more where it will be turned."""
    return region(plan.training.augmentation, grid_of(plan)) if training else tuple(plan.patch)


def _patch(seed, number, *, read, count, plan, training):
    """One sample in graph operations."""
    import tensorflow as tf

    from train.input import augmentation as augmentation

    index = case_indices(seed, number, count)
    # Two numbers name a sample; a third says what a draw is for.
    key = tf.random.fold_in(tf.stack([tf.cast(seed, tf.int64), number]), 1)
    image, label, *prior = read(index, tf.random.stateless_uniform((3 + plan.recipe.rank,), key))
    indices = len(plan.labels) + (plan.ignore is not None)
    if prior:  # moved with the label, as one number
        label += indices * prior[0]
    if training:
        key = tf.random.fold_in(tf.stack([tf.cast(seed, tf.int64), number]), 2)
        settings, mirror = plan.training.augmentation, plan.training.mirror
        classes = None if prior or plan.instances else indices
        image, label = augmentation.augment(image, label, key, grid_of(plan), classes, settings, mirror)
    if prior:
        key = tf.random.fold_in(tf.stack([tf.cast(seed, tf.int64), number]), 4)
        image, label = _with_prior(image, label % indices, label // indices, key if training else None, plan)
    return image, label


def _with_prior(image, label, numbers, key, plan):
    """A sample whose image has a channel more for each class that the first network of a cascade found."""
    import tensorflow as tf

    from train.input.prior_augmentation import corrupted

    classes = len(plan.labels)
    class_map = numbers % classes if key is None else corrupted(numbers, key, grid_of(plan), classes)
    channels = tf.ensure_shape(tf.one_hot(class_map - 1, classes - 1), (*plan.patch, classes - 1))
    return tf.concat([image, channels], -1), label


def _mixed(images, labels, seeds, numbers, *, plan):
    """A batch with some samples blended; its first sample names it."""
    import tensorflow as tf

    from train.input.mixup import mixup

    settings = plan.training.augmentation
    key = tf.random.fold_in(tf.stack([tf.cast(seeds[0], tf.int64), numbers[0]]), 3)
    return mixup(images, labels, key, len(plan.labels), settings.mixup_chance, settings.mixup)
