"""The report of a cross-validation: one HTML file that holds its pictures, tables and scripts itself."""

import html
from collections.abc import Sequence
from pathlib import Path

from imaging.adopted import flips_suffix
from imaging.cleaning import cleaning_text
from imaging.measure.scoring import DISTANCES
from medseg import page
from medseg.record import from_dict, to_dict, write_text
from train.evaluation import figures
from train.evaluation.averages import columns_of, present_row
from train.evaluation.postprocess import GAIN, Decision
from train.evaluation.predictions import load_prediction
from train.evaluation.reference import read_case
from train.evaluation.report import calibration, mean_dice, provenance, ranked
from train.fitting.run import Run, unless_planned


def write_cross_report(out, summary: dict, runs: Sequence[Run], dataset, following: str) -> Path:
    """Write the report of a cross-validation.

    Args:
        out: the folder that takes ``report.html``, or ``report_mirror.html`` and ``report_plain.html`` of predictions
            with and without flips other than planned.
        summary: what ``cross_validate`` returned.
        runs: the runs that it scored, which have kept their predictions.
        dataset: the open ``Dataset``.
        following: the command to type next.

    Returns:
        Its path.
    """
    plan, cases, fold_of = runs[0].plan, summary["cases"], summary["fold_of"]
    title = f"{plan.dataset}: {plan.network.name}, cross-validation"
    folds = ", ".join(map(str, summary["folds"]))
    seen = f"{len(cases)} cases, each segmented by the network of folds {folds} that was not trained on it"
    mirrored = ", averaged over flips" if summary["mirror"] else ""
    parts = [
        f"<h1>{html.escape(title)}</h1><p>{html.escape(seen + mirrored)}; {DISTANCES}.</p>",
        mean_table(summary),
        "<h2>Folds</h2>" + fold_table(summary),
        page.figure(figures.fold_boxes(cases, fold_of), "Boxes: quartiles; dots: cases"),
        f"<h2>Postprocessing</h2>{postprocessing(summary)}",
        *calibration(summary),
        "<h2>Cases</h2>" + "".join(_pictures(summary, runs, dataset)),
        "<p>Lines: reference solid, prediction dashed. The slice shown is the one with most of the reference.</p>",
        "<h2>All cases</h2><p>Click a heading to sort.</p>" + case_table(cases, fold_of),
        f"<h2>Plan</h2>{page.data(to_dict(plan) | {'folds': [len(part) for part in plan.folds]})}",
        f"<h2>Seed and versions</h2>{provenance(runs[0])}",
        f"<h2>Next</h2>{page.text(following)}",
    ]
    path = Path(out) / f"report{flips_suffix(unless_planned(runs, summary['mirror']))}.html"
    write_text(path, page.page(title, parts))
    return path


def mean_table(summary: dict) -> str:
    """An HTML table of mean ± standard deviation over all cases, a line per label.

    One more where it is cleaned up, and the means where it is present for a label that some references do not hold.
    """
    sets = [("", summary)] + ([(" cleaned", summary["postprocessed"])] if summary["postprocessed"] else [])
    columns = columns_of(summary["mean"])
    rows = [
        (label + suffix, *(f"{row[column]:.4f} ± {scores['std'][label][column]:.4f}" for column in columns))
        for suffix, scores in sets
        for label, row in scores["mean"].items()
    ]
    rows += [
        (label + suffix + present_row(row), *(f"{row[column]:.4f}" for column in columns))
        for suffix, scores in sets
        for label, row in scores.get("mean_present", {}).items()
    ]
    return page.table(("label", *columns), rows)


def fold_table(summary: dict) -> str:
    """An HTML table of the means of each fold and label."""
    counts = {fold: sum(str(of) == fold for of in summary["fold_of"].values()) for fold in summary["mean_of_fold"]}
    columns = columns_of(summary["mean"])
    rows = [
        (f"{fold} ({counts[fold]} cases)", label, *(f"{row[column]:.4f}" for column in columns))
        for fold, means in summary["mean_of_fold"].items()
        for label, row in means.items()
    ]
    return page.table(("fold", "label", *columns), rows, names=2)


def postprocessing(summary: dict) -> str:
    """What was adopted for each class and why, in HTML."""
    decision = from_dict(Decision, summary["postprocessing"])
    adopted = {cleaning.label: cleaning_text(cleaning) for cleaning in decision.chosen.classes}
    rows = [
        (label, adopted.get(label, "none"), f"{before:.4f}", f"{after:.4f}", f"{after - before:+.4f}")
        for label, (before, after) in (
            (label, (decision.dice_before[label], decision.dice_after[label])) for label in decision.dice_before
        )
    ]
    why = (
        f"Of {decision.tried} ways per class the one with the highest mean Dice over {decision.cases} held-back cases "
        f"is adopted, the simplest of equals, and none that raises it by less than {GAIN:g}. zoo evaluate --ensemble "
        "applies it."
    )
    return page.table(("label", "adopted", "mean Dice before", "after", "gain"), rows, names=2) + f"<p>{why}</p>"


def case_table(cases: dict, fold_of: dict) -> str:
    """An HTML table with a line per case and label."""
    columns = columns_of(next(iter(cases.values())))
    rows = [
        (case, label, str(fold_of[case]), *(f"{row[column]:.4f}" for column in columns))
        for case, labels in cases.items()
        for label, row in labels.items()
    ]
    return page.table(("case", "label", "fold", *columns), rows, names=2)


def _pictures(summary, runs, dataset):
    cases, fold_of, mirror = summary["cases"], summary["fold_of"], summary["mirror"]
    by_fold = {run.fold: run for run in runs}
    names = ranked(cases)
    drawn = {name: _overlay(by_fold[fold_of[name]], dataset.case(name), mirror) for name in dict.fromkeys(names)}
    for which, name in zip(("Best", "Median", "Worst"), names, strict=True):
        caption = f"{which} case by mean Dice: {name}, fold {fold_of[name]} ({mean_dice(cases[name]):.3f})"
        yield page.figure(drawn[name], caption)


def _overlay(run, case, mirror):
    plan = run.plan
    scan, reference = read_case(case, plan.labels, plan.recipe.channels, plan.ignore, plan.recipe.nan)
    reference = reference.voxels[..., 0]
    reference[reference == len(plan.labels)] = 0  # nobody has labelled these
    prediction = load_prediction(run, case.name, mirror)
    return figures.overlay(scan, reference, prediction, [label.name for label in plan.labels])
