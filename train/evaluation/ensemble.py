"""Several networks as one: the mean of their probabilities."""

from collections.abc import Callable, Sequence

import numpy as np
from scipy.special import expit

import imaging
from imaging.cleaning import Postprocessing, apply
from imaging.geometry.restoring import restore_slabs
from imaging.regions import classes_of
from imaging.tiling import predict_tiled
from medseg import record
from medseg.errors import InputError
from medseg.progress import in_turn
from train.evaluation.contents import trained_cases
from train.evaluation.evaluate import score_cases
from train.evaluation.segmenting import first_segmenter, patch_predictor, prior_in, segmenter, softmax
from train.fitting.run import Run
from train.planning.filter_learning import forgotten


def ensemble_segmenter(runs: Sequence[Run], mirror: bool | None = None, then: Callable | None = None):
    """A function from a scan as read to class indices (*scan.shape), by the mean of the probabilities of all runs.

    Runs that prepare and tile a scan alike are averaged patch by patch, as the folds of one plan are; others, such as
    those of 2D and 3D networks, on the scan's own grid.

    Args:
        runs: finished runs that find the same classes.
        mirror: average over all flips along each plan's mirror axes as well, or not; None as each plan says.
        then: called with each scan and its mean probabilities (*scan.shape, K), which are then on its own grid also
            of runs of one plan.
    """
    groups = _tiled_alike(runs)
    plan = runs[0].plan
    if len(groups) == 1 and then is None:
        return segmenter(_predictor(groups[0], mirror), plan, first=first_segmenter(runs[0], plan))
    members = [(probability_maps(group, mirror), len(group)) for group in groups]
    written = plan.written_classes

    def segment(scan, progress=None):
        parts = zip(members, in_turn(progress, len(members)), strict=True)
        mean = sum(count * chances(scan, part) for (chances, count), part in parts) / len(runs)
        if then is not None:
            then(scan, mean)
        return classes_of(mean if written is None else mean - 0.5, written)

    return segment


def probability_maps(runs: Sequence[Run], mirror: bool | None = None) -> Callable:
    """A function from a scan as read to the probabilities of every class or region there, float32 (*scan.shape, K).

    What the recipe crops away is background for certain. Scores are interpolated before they become probabilities, as
    on the device.

    Args:
        runs: finished runs that prepare and tile a scan alike, which are averaged patch by patch.
        mirror: average over all flips along the plan's mirror axes as well, or not; None as the plan says.
    """
    plan, predict = runs[0].plan, _predictor(runs, mirror)
    first = first_segmenter(runs[0], plan)
    logits = bool(plan.regions) or (len(runs) == 1 and not plan.flips(mirror))

    def maps(scan, progress=None):
        prepared = imaging.prepare(scan, plan.recipe)
        prior = prior_in(scan, prepared, plan, first)
        scores = predict_tiled(prepared.voxels, plan.patch, plan.overlap, predict, progress, plan.recipe.slices, prior)
        chances = np.zeros((*scan.shape, scores.shape[-1]), np.float32)
        if not plan.regions:
            chances[..., 0] = 1
        for place, values in restore_slabs([(0, scores)], prepared, scan):
            chances[place] = values if not logits else expit(values) if plan.regions else softmax(values)
        return chances

    return maps


def evaluate_ensemble(
    runs: Sequence[Run],
    dataset,
    *,
    mirror: bool | None = None,
    postprocessing: Postprocessing | None = None,
    progress: bool = False,
) -> dict:
    """Score the ensemble of several folds on cases that none of them was trained on.

    Args:
        runs: finished runs of one plan, or of several configurations of one dataset.
        dataset: an open ``Dataset``; its labelled cases whose files trained a run are left out.
        mirror: average over all flips along the plan's mirror axes as well, or not; None as the plan says.
        postprocessing: how each segmentation is cleaned up.
        progress: show a bar.

    Returns:
        {"dataset": folder, "folds": [numbers], "mirror": bool, "postprocessing": [...],
        "cases": {case: {label: {metric: value}}}, "mean": {label: {metric: value}}}.

    Raises:
        InputError: if no case is left.
    """
    plan = runs[0].plan
    folds = folds_of(runs)
    cases = unseen_cases(runs, dataset)
    if not cases:
        raise InputError(
            f"{dataset.folder}: each of its labelled cases trained one of the folds {', '.join(map(str, folds))}, so "
            "the ensemble cannot be scored on it; give a folder with other cases, or leave --ensemble out to score "
            "each fold on the cases it held back"
        )
    ensemble = ensemble_segmenter(runs, mirror)
    chosen = postprocessing or Postprocessing()

    def segment(scan):
        return apply(ensemble(scan), chosen, plan.labels, scan.spacing)

    whose = {"recipe": plan.recipe, "ignore": plan.ignore, "regions": plan.regions}
    scores = score_cases(segment, cases, plan.labels, progress=progress, **whose)
    cleaning = list(record.to_dict(chosen)["classes"])
    return {
        "dataset": str(dataset.folder),
        "folds": folds,
        "mirror": plan.averages(mirror),
        "postprocessing": cleaning,
        **scores,
    }


def folds_of(runs: Sequence[Run]) -> list:
    """The folds of runs, each once, in their order; None stands for a run that holds no case back."""
    return list(dict.fromkeys(run.fold for run in runs))


def unseen_cases(runs: Sequence[Run], dataset) -> tuple:
    """The labelled cases of a dataset that trained none of the runs, recognised by place and content of their files."""
    labelled = [case for case in dataset.cases if case.label is not None]
    trained = trained_cases([run.folder / "cases.json" for run in runs], labelled)
    return tuple(case for case in labelled if case.name not in trained)


def _tiled_alike(runs) -> list[list[Run]]:
    """The runs in groups that tile and flip a scan alike; a cascade alone, whose first network is its own."""
    groups: list[list[Run]] = []
    for run in runs:
        alike = [group for group in groups if run.plan.first is None and _tiling(group[0].plan) == _tiling(run.plan)]
        if alike:
            alike[0].append(run)
        else:
            groups.append([run])
    return groups


def _tiling(plan):
    # Objects are cut from the scores of patches: of folds whose filters learnt other values the first's are taken.
    return forgotten(plan.recipe) if plan.instances else plan.recipe, plan.patch, plan.overlap, plan.flips()


def _predictor(runs, mirror):
    plan = runs[0].plan
    return patch_predictor([run.model() for run in runs], plan.flips(mirror), bool(plan.regions))
