"""Evaluation: whole scans through a sliding window, scored in their own geometry."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

import imaging
from imaging.adopted import adopted_postprocessing
from imaging.cleaning import Postprocessing, apply
from imaging.labels import Label, Region
from medseg.errors import InputError, naming
from medseg.progress import track
from medseg.record import write_text
from train.evaluation.averages import means
from train.evaluation.contents import content_of
from train.evaluation.predictions import save_prediction
from train.evaluation.reference import read_case, read_case_objects
from train.evaluation.reliability import Reliability
from train.evaluation.segmenting import first_segmenter, patch_predictor, segmenter
from train.fitting.run import Run, unless_planned
from train.input.pipeline import fold_cases
from train.planning.plan import Plan


def evaluate(
    run_or_model,
    dataset,
    fold: int | None = None,
    *,
    plan: Plan | None = None,
    mirror: bool | None = None,
    keep: bool = False,
    progress: bool = False,
) -> dict:
    """Score a network on the validation cases of a fold; a run's result is also written to its folder.

    Args:
        run_or_model: a ``Run``, or a Keras model with ``plan``.
        dataset: an open ``Dataset``, or the path of its folder.
        fold: whose validation cases are scored; the run's own by default.
        plan: needed for a bare model.
        mirror: average over all flips along ``plan.training.mirror`` (test-time augmentation), or not; None as the plan
            says.
        keep: write a run's segmentations into its ``predictions/``; ``predictions_mirror/`` and ``predictions_plain/``
            are of those that the plan does not make.
        progress: show a bar.

    Returns:
        What is written as ``metrics.json``, by another name for another fold or other flips (see ``Run.result_file``):
        {"fold": number, "mirror": bool, "seen": whether the run was trained on these cases, "cases": {case: {label:
        {metric: value}}}, "mean": {label: {metric: value}}, "mean_present": see ``train.evaluation.averages.means``,
        "calibration": see ``train.evaluation.reliability``, "content": {case: digest of its files}}. All that is of
        the network alone; "postprocessed" holds cases and means as prediction cleans them up by what the run adopted,
        None if that is nothing, or with ``keep``, as cross-validation then decides anew.

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
    axes = plan.flips(mirror)
    reliability = Reliability(plan, logits=not axes or bool(plan.regions))
    first = first_segmenter(run, plan)
    segment = segmenter(patch_predictor(model, axes, bool(plan.regions)), plan, reliability.keep, first)
    cleaning = (
        adopted_postprocessing(run.folder, unless_planned([run], mirror)) if run and not keep else Postprocessing()
    )
    scores = score_held_back(segment, reliability, cases, plan, run if keep else None, mirror, progress, cleaning)
    metrics = {"fold": fold, "mirror": plan.averages(mirror), "seen": bool(run) and fold != run.fold, **scores}
    if run:
        write_text(run.result_file("metrics.json", fold, mirror), json.dumps(metrics, indent=1) + "\n")
    return metrics


def score_held_back(
    segment: Callable,
    reliability: Reliability,
    cases: Sequence,
    plan: Plan,
    keep: Run | None,
    mirror,
    progress,
    cleaning: Postprocessing | None = None,
) -> dict:
    """Score a segmentation function on the cases of a fold, with the calibration of its probabilities.

    Args:
        segment: from a scan as read to class indices; it gives its scores to ``reliability``.
        reliability: of its probabilities.
        cases: labelled.
        plan: what was trained.
        keep: whose ``predictions/`` take the segmentations; None keeps none.
        mirror: they were averaged over flips, or not; None for as the plan says.
        progress: show a bar.
        cleaning: by which segmentations are cleaned up and scored once more.

    Returns:
        As ``score_cases``, "calibration", "content": a digest of each case's files, and "postprocessed": cases and
        means with ``cleaning``, or None.
    """
    cleaned = {}

    def then(case, scan, segmentation, reference):
        reliability.add(case)
        if cleaning is not None and cleaning.classes:
            clean = apply(segmentation, cleaning, plan.labels, scan.spacing)
            cleaned[case.name] = imaging.score_case(clean, reference, plan.labels, scan.spacing)
        if keep is not None:
            save_prediction(keep, case.name, segmentation, scan, mirror)

    whose = {"recipe": plan.recipe, "ignore": plan.ignore, "regions": plan.regions}
    scores = score_cases(segment, cases, plan.labels, progress=progress, then=then, **whose)
    content = {case.name: content_of(case) for case in cases}
    postprocessed = {"cases": cleaned, **means(cleaned)} if cleaned else None
    return {**scores, "calibration": reliability.result(), "content": content, "postprocessed": postprocessed}


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
        then: called with each case, its scan, the class indices or objects found, and those of its reference.
        ignore: value of voxels in label files that count in no score, or None.
        regions: structures of several classes, which are scored instead of the classes.

    Returns:
        {"cases": {case: {label: {metric: value}}}, "mean": {label: {metric: value}}, "mean_present": see
        ``train.evaluation.averages.means``}, by region where there are such. Cases of instances have the metrics of
        ``imaging.score_objects`` as well.

    Raises:
        imaging.InputError: if image and label of a case differ in geometry.
    """
    scores = {}
    channels, nan = (recipe.channels, recipe.nan) if recipe is not None else (None, None)
    for case in track(cases, "evaluate", show=progress):
        settings = {"channels": channels, "ignore": ignore, "nan": nan}
        scan, segmentation, reference, scores[case.name] = _scored(segment, case, labels, regions, settings)
        if then is not None:
            then(case, scan, segmentation, reference)
    return {"cases": scores, **means(scores)}


def _scored(segment, case, labels, regions, settings):
    """The scan of a case, what is found in it, its reference and its scores."""
    if not case.instances:
        scan, reference = read_case(case, labels, **settings)
        with naming(case.images[0]):
            segmentation = segment(scan)
        reference = reference.voxels[..., 0]
        scores = imaging.score_case(segmentation, reference, labels, scan.spacing, regions=regions)
        return scan, segmentation, reference, scores
    scan, objects = read_case_objects(case, settings["channels"], settings["nan"])
    with naming(case.images[0]):
        segmentation = segment(scan)
    objects = objects.voxels[..., 0]
    masks = (np.minimum(segmentation, 1), np.minimum(objects, 1))
    of_class = imaging.score_case(*masks, labels, scan.spacing, regions=regions)
    of_objects = imaging.score_objects(segmentation, objects)
    return scan, segmentation, objects, {name: row | of_objects for name, row in of_class.items()}
