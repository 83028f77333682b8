"""The means of scores over cases, and what tables show of them."""

import math

import numpy as np

from imaging.measure.scoring import DISTANCES
from medseg.columns import aligned

COLUMNS = ("dice", "iou", "precision", "recall", "hd95", "assd", "nsd")
CLEANED = "  cleaned"  # the heading of a line in tables
OBJECT_COLUMNS = ("ap", "ap50", "ap75", "pq", "f1", "lesion_dice")


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

    A label that some references do not hold has a line more, of the cases whose references do, and one that prediction
    cleans up has the scores of that.
    """
    rows = []
    cleaned = (metrics.get("postprocessed") or {"mean": {}})["mean"]
    for name, row in metrics["mean"].items():
        rows.append((name, row))
        if name in cleaned:
            rows.append((CLEANED, cleaned[name]))
        present = metrics.get("mean_present", {}).get(name)
        if present:
            rows.append((present_row(present), present))
    columns = columns_of(metrics["mean"])
    lines = aligned([("label", *columns), *((name, *(f"{row[c]:.4f}" for c in columns)) for name, row in rows)])
    if "folds" in metrics:
        whose = f"by the ensemble of folds {', '.join(map(str, metrics['folds']))}"
    else:
        whose = f"of fold {metrics['fold']}" + (", which the network was trained on" if metrics.get("seen") else "")
    return "\n".join([*lines, f"mean over {len(metrics['cases'])} cases {whose}; {DISTANCES}"])


def columns_of(mean: dict) -> tuple[str, ...]:
    """The metrics that tables show: those of objects first where there are such.

    Args:
        mean: {label: {metric: value}}.
    """
    row = next(iter(mean.values()))
    return tuple(column for column in (*OBJECT_COLUMNS, *COLUMNS) if column in row)
