"""The report of a run: one HTML file that holds its pictures, tables and scripts itself."""

import html
from pathlib import Path

import numpy as np

from medseg import page, record
from medseg.command import command_line
from medseg.record import to_dict, write_text
from train.evaluation import figures
from train.evaluation.averages import columns_of
from train.evaluation.averages import table as means_table
from train.evaluation.reference import read_case
from train.evaluation.reliability import errors
from train.evaluation.segmenting import first_segmenter, patch_predictor, segmenter
from train.fitting.curves import load_history
from train.fitting.outlook import outlook
from train.fitting.run import Origin, Run, versions


def write_report(run: Run, dataset, metrics: dict, name: str = "report.html") -> Path:
    """Write the report of a scored run into its folder.

    Args:
        run: a finished run.
        dataset: the open ``Dataset`` that was scored.
        metrics: what ``evaluate`` returned.
        name: of the file.

    Returns:
        Its path.
    """
    plan = run.plan
    title = f"{plan.dataset}: {plan.network.name}, fold {metrics['fold']}"
    best, median, worst = ranked(metrics["cases"])
    predict = patch_predictor(run.model(), plan.flips(metrics["mirror"]), bool(plan.regions))
    segment = segmenter(predict, plan, first=first_segmenter(run, plan))
    overlays = {case: _overlay(plan, segment, dataset.case(case)) for case in dict.fromkeys((best, median, worst))}
    pictures = [
        (f"{which} case by mean Dice: {case} ({mean_dice(metrics['cases'][case]):.3f})", overlays[case])
        for which, case in (("Best", best), ("Median", median), ("Worst", worst))
    ]
    history = load_history(run.folder / "history.csv")
    artifacts = f"artifacts/{run.folder.name}"
    following = command_line("zoo export", run.folder, "--format", "tflite-int8", "--out", artifacts)
    parts = [
        f"<h1>{html.escape(title)}</h1><p>{html.escape(means_table(metrics).splitlines()[-1])}</p>",
        class_table(metrics["mean"]),
        *postprocessed(metrics),
        "<h2>Training</h2>" + page.figure(figures.curves(history), outlook(history)) if history else "",
        "<h2>Spread over the cases</h2>"
        + page.figure(figures.boxes(metrics["cases"]), "Boxes: quartiles; dots: cases"),
        *calibration(metrics),
        "<h2>Cases</h2>" + "".join(page.figure(picture, caption) for caption, picture in pictures),
        "<p>Lines: reference solid, prediction dashed. The slice shown is the one with most of the reference.</p>",
        "<h2>All cases</h2><p>Click a heading to sort.</p>" + case_table(metrics["cases"]),
        f"<h2>Plan</h2>{page.data(to_dict(plan) | {'folds': [len(part) for part in plan.folds]})}",
        f"<h2>Seed and versions</h2>{provenance(run)}",
        "<h2>Next</h2>" + page.text(following),
    ]
    path = run.folder / name
    write_text(path, page.page(title, parts))
    return path


def calibration(metrics: dict) -> list[str]:
    """The section of the probabilities' calibration; none for scores that were made before it was measured."""
    table = metrics.get("calibration")
    if not table:
        return []
    wrong = errors(table)
    rows = [(label, f"{error:.4f}") for label, error in wrong.items()]
    caption = "Voxels of every case. On the dotted line a class is found as often as its probability says."
    return [
        "<h2>Calibration</h2>"
        + page.figure(figures.calibration(table, wrong), caption)
        + page.table(("label", "expected calibration error"), rows)
    ]


def postprocessed(metrics: dict) -> list[str]:
    """The section of the scores as prediction cleans up segmentations; none where it does not."""
    cleaned = metrics.get("postprocessed")
    if not cleaned:
        return []
    words = "With the postprocessing that the run adopted, as zoo predict and artifacts do it."
    return [f"<h2>Postprocessing</h2><p>{words}</p>" + class_table(cleaned["mean"])]


def provenance(run: Run) -> str:
    """Seed, devices and the versions that trained a run, and those that wrote the report where they differ."""
    trained = record.load(run.folder / "run.json", Origin).versions
    facts = {"seed": run.plan.training.seed, "devices": run.devices, "trained with": trained}
    return page.data(facts if trained == versions() else facts | {"scored with": versions()})


def mean_dice(scores: dict) -> float:
    """Mean Dice over the labels of one case."""
    return float(np.mean([row["dice"] for row in scores.values()]))


def ranked(cases: dict) -> tuple[str, str, str]:
    """Names of the best, the median and the worst case by mean Dice."""
    order = sorted(cases, key=lambda name: -mean_dice(cases[name]))
    return order[0], order[len(order) // 2], order[-1]


def class_table(mean: dict) -> str:
    """An HTML table with the means of each label, sortable by its headings."""
    columns = columns_of(mean)
    rows = [(label, *(f"{row[column]:.4f}" for column in columns)) for label, row in mean.items()]
    return page.table(("label", *columns), rows)


def case_table(cases: dict) -> str:
    """An HTML table with a line per case and label, sortable by its headings."""
    columns = columns_of(next(iter(cases.values())))
    rows = [
        (case, label, *(f"{row[column]:.4f}" for column in columns))
        for case, labels in cases.items()
        for label, row in labels.items()
    ]
    return page.table(("case", "label", *columns), rows, names=2)


def _overlay(plan, segment, case):
    scan, reference = read_case(case, plan.labels, plan.recipe.channels, plan.ignore, plan.recipe.nan)
    reference = reference.voxels[..., 0]
    reference[reference == len(plan.labels)] = 0  # nobody has labelled these
    prediction = segment(scan) if plan.instances is None else np.minimum(segment(scan), 1)
    return figures.overlay(scan, reference, prediction, [label.name for label in plan.labels])
