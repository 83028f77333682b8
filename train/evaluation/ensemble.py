"""Several networks as one: the mean of their probabilities."""

from collections.abc import Sequence
from pathlib import Path

from imaging.cleaning import Postprocessing, apply
from imaging.io.cases import Cases
from medseg import record
from medseg.errors import InputError
from train.evaluation.evaluate import patch_predictor, score_cases, segmenter
from train.fitting.run import Run


def ensemble_segmenter(runs: Sequence[Run], mirror: bool = False):
    """A function from a scan as read to class indices (*scan.shape), by the mean of the probabilities of all runs.

    Args:
        runs: finished runs of one plan.
        mirror: average over all flips along the plan's mirror axes as well.
    """
    plan = runs[0].plan
    models = [run.model() for run in runs]
    return segmenter(patch_predictor(models, plan.training.mirror if mirror else (), bool(plan.regions)), plan)


def evaluate_ensemble(
    runs: Sequence[Run],
    dataset,
    *,
    mirror: bool = False,
    postprocessing: Postprocessing | None = None,
    progress: bool = False,
) -> dict:
    """Score the ensemble of several folds on cases that none of them was trained on.

    Args:
        runs: finished runs of one plan.
        dataset: an open ``Dataset``; its labelled cases whose files trained a run are left out.
        mirror: average over all flips along the plan's mirror axes as well.
        postprocessing: how each segmentation is cleaned up.
        progress: show a bar.

    Returns:
        {"folds": [numbers], "mirror": bool, "postprocessing": [...], "cases": {case: {label: {metric: value}}},
        "mean": {label: {metric: value}}}.

    Raises:
        InputError: if no case is left.
    """
    plan = runs[0].plan
    cases = unseen_cases(runs, dataset)
    if not cases:
        raise InputError(
            f"{dataset.folder}: each of its labelled cases trained one of the folds "
            f"{', '.join(str(run.fold) for run in runs)}, so the ensemble cannot be scored on it; give a folder with "
            "other cases, or leave --ensemble out to score each fold on the cases it held back"
        )
    ensemble = ensemble_segmenter(runs, mirror)
    chosen = postprocessing or Postprocessing()

    def segment(scan):
        return apply(ensemble(scan), chosen, plan.labels, scan.spacing)

    whose = {"recipe": plan.recipe, "ignore": plan.ignore, "regions": plan.regions}
    scores = score_cases(segment, cases, plan.labels, progress=progress, **whose)
    folds = [run.fold for run in runs]
    return {"folds": folds, "mirror": mirror, "postprocessing": list(record.to_dict(chosen)["classes"]), **scores}


def unseen_cases(runs: Sequence[Run], dataset) -> tuple:
    """The labelled cases of a dataset that trained none of the runs, recognised by their files."""
    trained = set()
    for run in runs:
        trained |= {image for case in record.load(run.folder / "cases.json", Cases).training for image in case.images}
    return tuple(
        case
        for case in dataset.cases
        if case.label is not None and not trained & {str(Path(image).resolve()) for image in case.images}
    )
