"""Evaluation: whole scans through a sliding window, scored in their own geometry."""

import itertools
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

import imaging
from imaging.labels import Label, Region
from imaging.measure.scoring import DISTANCES
from imaging.tiling import predict_tiled
from medseg.errors import InputError, naming
from medseg.progress import track
from medseg.record import write_text
from train.evaluation.predictions import save_prediction
from train.evaluation.reference import read_case, read_case_objects
from train.evaluation.reliability import Reliability
from train.fitting.run import Run
from train.input.pipeline import fold_cases
from train.planning.plan import Plan

COLUMNS = ("dice", "iou", "precision", "recall", "hd95", "assd", "nsd")
OBJECT_COLUMNS = ("ap", "ap50", "ap75", "pq", "f1", "lesion_dice")


def evaluate(
    run_or_model,
    dataset,
    fold: int | None = None,
    *,
    plan: Plan | None = None,
    mirror: bool = False,
    keep: bool = False,
    progress: bool = False,
) -> dict:
    """Score a network on the validation cases of a fold; a run's result is also written to its folder.

    Args:
        run_or_model: a ``Run``, or a Keras model with ``plan``.
        dataset: an open ``Dataset``, or the path of its folder.
        fold: whose validation cases are scored; the run's own by default.
        plan: needed for a bare model.
        mirror: average over all flips along ``plan.training.mirror`` (test-time augmentation).
        keep: write a run's segmentations into its ``predictions/``, or ``predictions_mirror/``.
        progress: show a bar.

    Returns:
        What is written as ``metrics.json``, by another name for another fold or with flips (see ``Run.result_file``):
        {"fold": number, "mirror": bool, "seen": whether the run was trained on these cases, "cases": {case: {label:
        {metric: value}}}, "mean": {label: {metric: value}}, "mean_present": see ``means``, "calibration":
        see ``train.evaluation.reliability``}.

    Raises:
        InputError: if no case was held back and no fold is given, or a case cannot be read.
    """
    run = run_or_model if isinstance(run_or_model, Run) else None
    if isinstance(dataset, str | Path):
        from train.data.dataset import open_dataset

        dataset = open_dataset(dataset)
    plan = plan or run.plan
    fold = (run.fold if run else 0) if fold is None else fold
    if fold is None:
        raise InputError(
            f"{run.folder}: was trained on every case, so none is left to score it on; give a folder of other labelled "
            "scans, or zoo train --fold all for cross-validation; --fold N scores cases that this network has seen"
        )
    model = run.model() if run else run_or_model
    cases = fold_cases(dataset, plan, fold)[1]
    axes = plan.training.mirror if mirror else ()
    reliability = Reliability(plan, logits=not axes or bool(plan.regions))
    segment = segmenter(patch_predictor(model, axes, bool(plan.regions)), plan, reliability.keep)
    scores = score_held_back(segment, reliability, cases, plan, run if keep else None, mirror, progress)
    metrics = {"fold": fold, "mirror": mirror, "seen": bool(run) and fold != run.fold, **scores}
    if run:
        write_text(run.result_file("metrics.json", fold, mirror), json.dumps(metrics, indent=1) + "\n")
    return metrics


def score_held_back(
    segment: Callable, reliability: Reliability, cases: Sequence, plan: Plan, keep: Run | None, mirror, progress
) -> dict:
    """Score a segmentation function on the cases of a fold, with the calibration of its probabilities.

    Args:
        segment: from a scan as read to class indices; it gives its scores to ``reliability``.
        reliability: of its probabilities.
        cases: labelled.
        plan: what was trained.
        keep: whose ``predictions/`` take the segmentations; None keeps none.
        mirror: they were averaged over flips.
        progress: show a bar.

    Returns:
        As ``score_cases``, and "calibration".
    """

    def then(case, scan, segmentation):
        reliability.add(case)
        if keep is not None:
            save_prediction(keep, case.name, segmentation, scan, mirror)

    whose = {"recipe": plan.recipe, "ignore": plan.ignore, "regions": plan.regions}
    scores = score_cases(segment, cases, plan.labels, progress=progress, then=then, **whose)
    return {**scores, "calibration": reliability.result()}


def patch_predictor(model, mirror: Sequence[int] = (), regions: bool = False) -> Callable[[np.ndarray], np.ndarray]:
    """A function from a patch (*patch, C) float32 to its scores (*patch, K).

    Args:
        model: Keras model, batch in, logits out; or several, whose probabilities are averaged.
        mirror: average the probabilities over all flips along these axes too.
        regions: the channels are regions, whose logits are averaged instead, as in nnU-Net.

    Returns:
        The function; its scores are the logits for one model without mirroring or for regions, else probabilities.
    """
    models = list(model) if isinstance(model, list | tuple) else [model]
    flips = [axes for n in range(len(mirror) + 1) for axes in itertools.combinations(mirror, n)]

    def run(model, patch):
        return np.asarray(model.predict_on_batch(patch[None])[0], np.float32)

    if len(models) * len(flips) == 1:
        return lambda patch: run(models[0], patch)

    def averaged(patch):
        total = 0.0
        for axes in flips:
            flipped = np.ascontiguousarray(np.flip(patch, axes))
            scores = (run(model, flipped) for model in models)
            total = total + np.flip(sum(scores if regions else map(softmax, scores)), axes)
        return total / (len(models) * len(flips))

    return averaged


def segmenter(predict, plan: Plan, then: Callable | None = None) -> Callable:
    """A function from a scan as read to its class indices (*scan.shape), by the plan's recipe, patch and overlap.

    Of a plan of instances it gives numbers of objects instead, see ``imaging.restore_objects``.

    It takes ``progress`` too, see ``imaging.tiling.predict_tiled``.

    Args:
        predict: from a patch to its scores.
        plan: what the network was trained by.
        then: called with each prepared scan and its scores.
    """

    def segment(scan, progress=None):
        prepared = imaging.prepare(scan, plan.recipe)
        scores = predict_tiled(prepared.voxels, plan.patch, plan.overlap, predict, progress, plan.recipe.slices)
        if then is not None:
            then(prepared, scores)
        if plan.instances is not None:
            return imaging.restore_objects(scores, prepared, scan, plan.instances)
        return imaging.restore_classes(scores, prepared, scan, written=plan.written_classes)

    return segment


def score_cases(
    segment: Callable,
    cases: Sequence,
    labels: Sequence[Label],
    recipe: imaging.Recipe | None = None,
    progress: bool = False,
    then: Callable | None = None,
    ignore: int | None = None,
    regions: Sequence[Region] = (),
) -> dict:
    """Score a segmentation function on labelled cases, each in its own geometry.

    Args:
        segment: from a scan as read to class indices (*scan.shape), or for cases of instances to numbers of objects.
        cases: labelled ``train.data.dataset.Case`` records.
        labels: classes by class index, background first.
        recipe: says how many channels a scan must have and what NaN in it stands for; None takes what the files hold.
        progress: show a bar.
        then: called with each case, its scan and the class indices found.
        ignore: value of voxels in label files that count in no score, or None.
        regions: structures of several classes, which are scored instead of the classes.

    Returns:
        {"cases": {case: {label: {metric: value}}}, "mean": {label: {metric: value}}, "mean_present": see ``means``}, by
        region where there are such. Cases of instances have the metrics of ``imaging.score_objects`` as well.

    Raises:
        imaging.InputError: if image and label of a case differ in geometry.
    """
    scores = {}
    channels, nan = (recipe.channels, recipe.nan) if recipe is not None else (None, None)
    for case in track(cases, "evaluate", show=progress):
        settings = {"channels": channels, "ignore": ignore, "nan": nan}
        scan, segmentation, scores[case.name] = _scored(segment, case, labels, regions, settings)
        if then is not None:
            then(case, scan, segmentation)
    return {"cases": scores, **means(scores)}


def _scored(segment, case, labels, regions, settings):
    """The scan of a case, what is found in it and its scores."""
    if not case.instances:
        scan, reference = read_case(case, labels, **settings)
        with naming(case.images[0]):
            segmentation = segment(scan)
        reference = reference.voxels[..., 0]
        return scan, segmentation, imaging.score_case(segmentation, reference, labels, scan.spacing, regions=regions)
    scan, objects = read_case_objects(case, settings["channels"], settings["nan"])
    with naming(case.images[0]):
        segmentation = segment(scan)
    objects = objects.voxels[..., 0]
    masks = (np.minimum(segmentation, 1), np.minimum(objects, 1))
    of_class = imaging.score_case(*masks, labels, scan.spacing, regions=regions)
    of_objects = imaging.score_objects(segmentation, objects)
    return scan, segmentation, {name: row | of_objects for name, row in of_class.items()}


def means(cases: dict) -> dict:
    """The means over all cases, and of labels that not every reference holds also those over the cases that do.

    Args:
        cases: {case: {label: {metric: value}}}.

    Returns:
        {"mean": {label: {metric: value}}, "mean_present": the same with "cases", for some of the labels}.
    """
    present = {}
    for label, row in mean_scores(cases, ignore_empty=True).items():
        count = sum(bool(_reference_size(case[label])) for case in cases.values())
        if 0 < count < len(cases):
            present[label] = {"cases": count, **row}
    return {"mean": mean_scores(cases), "mean_present": present}


def mean_scores(cases: dict, ignore_empty: bool = False) -> dict:
    """The mean of each metric of each label over the cases; a case without a surface makes a distance infinite.

    Args:
        cases: {case: {label: {metric: value}}}.
        ignore_empty: leave out the cases in whose reference a label is not; NaN if that is all of them.
    """
    first = next(iter(cases.values()))
    means = {}
    for label in first:
        rows = [case[label] for case in cases.values()]
        if ignore_empty:
            rows = [row for row in rows if _reference_size(row)]
        means[label] = {m: float(np.mean([row[m] for row in rows])) if rows else math.nan for m in first[label]}
    return means


def present_row(means: dict) -> str:
    """The heading of a line of ``mean_present`` in tables."""
    return f"  where present ({means['cases']})"


def _reference_size(row) -> float:
    return row.get("reference_ml", row.get("reference_mm2", 0.0))


def table(metrics: dict) -> str:
    """``metrics`` as text: a line per label with the means, then how many cases there were.

    A label that some references do not hold has a line more, of the cases whose references do.
    """
    rows = []
    for name, row in metrics["mean"].items():
        rows.append((name, row))
        present = metrics.get("mean_present", {}).get(name)
        if present:
            rows.append((present_row(present), present))
    width = max(len(name) for name, _ in (*rows, ("label", {})))
    columns = columns_of(metrics["mean"])
    lines = [f"{'label':{width}}" + "".join(f"{c:>{_wide(c)}}" for c in columns)]
    lines += [f"{name:{width}}" + "".join(f"{row[c]:{_wide(c)}.4f}" for c in columns) for name, row in rows]
    if "folds" in metrics:
        whose = f"by the ensemble of folds {', '.join(map(str, metrics['folds']))}"
    else:
        whose = f"of fold {metrics['fold']}" + (", which the network was trained on" if metrics.get("seen") else "")
    return "\n".join([*lines, f"mean over {len(metrics['cases'])} cases {whose}; {DISTANCES}"])


def _wide(column) -> int:
    return max(11, len(column) + 2)


def columns_of(mean: dict) -> tuple[str, ...]:
    """The metrics that tables show: those of objects first where there are such.

    Args:
        mean: {label: {metric: value}}.
    """
    row = next(iter(mean.values()))
    return tuple(column for column in (*OBJECT_COLUMNS, *COLUMNS) if column in row)


def softmax(logits):
    shifted = np.exp(logits - logits.max(-1, keepdims=True))
    return shifted / shifted.sum(-1, keepdims=True)
