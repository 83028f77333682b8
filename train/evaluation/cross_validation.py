"""Cross-validation: every case scored by the network that was not trained on it."""

import json
import math
import sys
from collections.abc import Callable, Sequence

import numpy as np

import imaging
from imaging.adopted import summary_file
from imaging.cleaning import apply
from imaging.measure.scoring import DISTANCES
from medseg.columns import aligned
from medseg.command import command_line
from medseg.errors import InputError
from medseg.record import from_dict, to_dict, write_text
from medseg.untrusted import read_json
from train.evaluation.averages import CLEANED, columns_of, means, present_row
from train.evaluation.contents import exchanged
from train.evaluation.evaluate import evaluate
from train.evaluation.postprocess import Decision, choose, decision_text
from train.evaluation.predictions import predicted_cases, prediction_file
from train.evaluation.reliability import joined
from train.fitting.run import Run, unless_planned
from train.input.pipeline import fold_cases


def cross_validate(
    runs: Sequence[Run],
    dataset,
    out=None,
    *,
    mirror: bool | None = None,
    reuse: bool = False,
    progress: bool = False,
    score: Callable = evaluate,
) -> dict:
    """Score each run on the cases that it held back, and sum up over all cases.

    Args:
        runs: finished runs of one plan, a fold each.
        dataset: an open ``Dataset``.
        out: folder that takes ``summary.json``; with flips other than planned ``summary_mirror.json`` or
            ``summary_plain.json``; none is written by default.
        mirror: average over all flips along the plan's mirror axes, or not; None as the plan says.
        reuse: take the scores of a run that was scored since it was trained, on cases whose files hold the same.
        progress: show a bar per fold.
        score: that scores a run as ``evaluate`` does and keeps its predictions.

    Returns:
        {"folds": [numbers], "mirror": bool, "fold_of": {case: fold}, "cases": {case: {label: {metric: value}}},
        "mean": {label: {metric: value}}, "mean_present": see ``train.evaluation.averages.means``, "std": as "mean",
        "mean_of_fold": {fold: as "mean"},
        "postprocessing": a ``train.evaluation.postprocess.Decision`` as a dictionary, "postprocessed": cases, means and
        std with what was chosen, or None if that is nothing, "calibration": see ``train.evaluation.reliability``}.

    Raises:
        InputError: if two runs hold back the same case, or one has not finished.
    """
    cases, fold_of, mean_of_fold, calibrations = {}, {}, {}, []
    for run in runs:
        metrics = _kept(run, dataset, mirror, progress) if reuse else None
        metrics = metrics or score(run, dataset, mirror=mirror, keep=True, progress=progress)
        twice = sorted(set(cases) & set(metrics["cases"]))
        if twice:
            raise InputError(f"{run.folder}: case {twice[0]} was held back by another run too; give each fold once")
        cases |= metrics["cases"]
        fold_of |= dict.fromkeys(metrics["cases"], run.fold)
        mean_of_fold[str(run.fold)] = metrics["mean"]
        calibrations.append(metrics["calibration"])
    plan = runs[0].plan
    decision = choose(
        lambda: (predicted[1:] for predicted in predicted_cases(runs, dataset, mirror)), plan.labels, plan.regions
    )
    summary = {
        "folds": [run.fold for run in runs],
        "mirror": plan.averages(mirror),
        "fold_of": fold_of,
        "cases": cases,
        **means(cases),
        "std": deviations(cases),
        "mean_of_fold": mean_of_fold,
        "postprocessing": to_dict(decision),
        "postprocessed": _rescored(runs, dataset, decision.chosen, mirror) if decision.chosen.classes else None,
        "calibration": joined(calibrations),
    }
    if out is not None:
        write_text(summary_file(out, unless_planned(runs, mirror)), json.dumps(summary, indent=1) + "\n")
    return summary


def load_decision(out, mirror: bool | None = None) -> Decision | None:
    """The postprocessing that ``cross_validate`` decided on in the folder ``out``; None if it was not run there.

    Args:
        out: the folder.
        mirror: as for ``summary_file``.

    Raises:
        InputError: if the summary is damaged.
    """
    path = summary_file(out, mirror)
    if not path.is_file():
        return None
    summary = read_json(path, "summary of a cross-validation")
    try:
        return from_dict(Decision, summary.get("postprocessing") if isinstance(summary, dict) else summary)
    except InputError as error:
        mend = command_line("zoo evaluate", out)
        raise InputError(f"{path}: postprocessing: {error}; score the folds again: {mend}") from None


def deviations(cases: dict) -> dict:
    """The standard deviation of each metric of each label over the cases; infinite where a value is."""
    first = next(iter(cases.values()))
    return {
        label: {metric: _deviation([case[label][metric] for case in cases.values()]) for metric in first[label]}
        for label in first
    }


def summary_table(summary: dict) -> str:
    """``summary`` as text: mean ± standard deviation over all cases, a line per label, and mean Dice per fold.

    A label that some references do not hold has a line more, the means of the cases whose references do.
    """
    mean, std, present = summary["mean"], summary["std"], summary["mean_present"]
    cleaned, columns = summary["postprocessed"], columns_of(mean)
    rows = [("label", *columns)]
    for name in mean:
        rows.append((name, *_spread(mean[name], std[name], columns)))
        if cleaned:
            rows.append((CLEANED, *_spread(cleaned["mean"][name], cleaned["std"][name], columns)))
        if name in present:
            rows.append((present_row(present[name]), *(f"{present[name][column]:.4f}" for column in columns)))
    lines = aligned(rows)
    lines.append(
        f"mean ± standard deviation over {len(summary['cases'])} cases of folds "
        f"{', '.join(map(str, summary['folds']))}; {DISTANCES}"
    )
    for fold, rows in summary["mean_of_fold"].items():
        dice = ", ".join(f"{name} {row['dice']:.4f}" for name, row in rows.items())
        lines.append(f"mean Dice of fold {fold}: {dice}")
    lines.append(decision_text(from_dict(Decision, summary["postprocessing"])))
    return "\n".join(lines)


def _spread(mean, std, columns):
    return [f"{mean[column]:.4f} ± {std[column]:.4f}" for column in columns]


def _rescored(runs, dataset, chosen, mirror):
    labels = runs[0].plan.labels  # of disjoint classes: regions are not cleaned up
    cases = {
        name: imaging.score_case(apply(prediction, chosen, labels, spacing), reference, labels, spacing)
        for name, prediction, reference, spacing in predicted_cases(runs, dataset, mirror)
    }
    return {"cases": cases, **means(cases), "std": deviations(cases)}


def _deviation(values):
    return float(np.std(values)) if all(map(math.isfinite, values)) else math.inf


def _kept(run, dataset, mirror, progress):
    """The scores in a run folder, if they are of its network, fold, way of predicting and cases."""
    path = run.result_file("metrics.json", mirror=mirror)
    if not path.is_file() or not run.model_file.is_file() or path.stat().st_mtime < run.model_file.stat().st_mtime:
        return None
    metrics = read_json(path, "scores of a run")
    if not isinstance(metrics, dict) or not isinstance(metrics.get("cases"), dict):
        raise InputError(f"{path}: holds no scores; remove it, and the run is scored again")
    held = run.plan.folds[run.fold]
    fitting = metrics.get("fold") == run.fold and metrics.get("mirror", False) == run.plan.averages(mirror)
    if not fitting or set(metrics["cases"]) != set(held) or "calibration" not in metrics:
        return None
    scored = metrics.get("content")
    if not isinstance(scored, dict) or set(scored) != set(held):  # of an older version
        return None
    if names := exchanged(scored, fold_cases(dataset, run.plan, run.fold)[1]):
        if progress:
            change = f"{len(names)} of {len(held)} held-back cases changed since it was scored, such as {names[0]}"
            print(f"{run.folder}: {change}; it is scored again", file=sys.stderr, flush=True)
        return None
    # Predictions are written before the scores, so those that are there are of the same evaluation.
    return metrics if all(_is_older(prediction_file(run, name, mirror), path) for name in held) else None


def _is_older(prediction, scores):
    return prediction.is_file() and prediction.stat().st_mtime <= scores.stat().st_mtime
