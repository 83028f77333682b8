"""A comparison as a table, a picture and one HTML file."""

import html
from pathlib import Path

import numpy as np

from medseg import page
from medseg.atomic import moved_into_place
from medseg.columns import aligned
from medseg.errors import UsageError
from medseg.record import write_text
from train.comparison.compare import HIGHER, Comparison
from train.evaluation import figures

PICTURES = (".png", ".svg", ".pdf")
HEADS = ("mean", "difference", "p", "better", "worse")


def check_name(path) -> None:
    """Require a file name that the comparison can be written to.

    Raises:
        UsageError: naming the suffixes.
    """
    if Path(path).suffix.lower() not in (".html", *PICTURES):
        raise UsageError(f"{path}: expected one of .html, {', '.join(PICTURES)}")


def table(comparison: Comparison) -> str:
    """The comparison as text: a line for each label and run."""
    rows = [(f"{row.label}  {row.run}", *_cells(comparison, row)) for row in comparison.rows]
    lines = aligned((("label and run", *HEADS), *rows))
    return "\n".join([*lines, comparison.method, *_left_out(comparison)])


def write(path, comparison: Comparison) -> Path:
    """Write the comparison: a page, or the picture alone, by the suffix of ``path``."""
    path = Path(path)
    check_name(path)
    if path.suffix.lower() != ".html":
        with moved_into_place(path) as temporary:
            draw(comparison).savefig(temporary, dpi=120, format=path.suffix.lower()[1:])
        return path
    address = page.picture(figures.png(draw(comparison)))
    rows = [(row.label, row.run, *_cells(comparison, row)) for row in comparison.rows]
    title = f"{len(comparison.values)} runs compared"
    notes = ". ".join([comparison.method, *_left_out(comparison)])
    parts = [
        f"<h1>{html.escape(title)}</h1><p>{html.escape(notes)}.</p>",
        page.table(("label", "run", *HEADS), rows, names=2),
        page.figure(address, "Left: the cases of each run, boxes are quartiles. Right: differences to the first run"),
        "<h2>All cases</h2><p>Click a heading to sort.</p>" + _cases(comparison),
    ]
    write_text(path, page.page(title, parts))
    return path


def draw(comparison: Comparison):
    """Values and differences of each label and run, as a matplotlib ``Figure``."""
    from matplotlib.figure import Figure  # without pyplot there is no window system to choose

    runs, labels = list(comparison.values), comparison.labels
    figure = Figure(figsize=(11, 2.6 * len(labels) + 0.6), layout="constrained")
    for line, label in enumerate(labels):
        values = [np.array(comparison.values[run][label]) for run in runs]
        left = figure.add_subplot(len(labels), 2, 2 * line + 1)
        left.boxplot([v[np.isfinite(v)] for v in values], tick_labels=_short(runs), showfliers=False)
        left.set_ylabel(f"{comparison.metric}, {label}")
        right = figure.add_subplot(len(labels), 2, 2 * line + 2)
        rows = [row for row in comparison.rows if row.label == label and row.paired]
        for place, row in enumerate(rows):
            with np.errstate(invalid="ignore"):
                change = np.array(comparison.values[row.run][label]) - values[0]
            change = change[np.isfinite(change)]
            spread = np.linspace(-0.25, 0.25, len(change)) if len(change) > 1 else np.zeros(len(change))
            right.plot(np.sort(change), place + spread, ".", ms=4, alpha=0.5)
            difference = row.paired.difference
            right.plot([difference.mean], [place], "D", color="black", ms=5)
            if difference.low is not None:
                right.plot([difference.low, difference.high], [place, place], "-", color="black", lw=2)
        right.axvline(0, color="grey", lw=1, ls=":")
        right.set_yticks(range(len(rows)), _short([row.run for row in rows]))
        right.set_xlabel(f"difference to {_short(runs)[0]}")
        for axes in (left, right):
            axes.grid(alpha=0.3)
    return figure


def to_dict(comparison: Comparison) -> dict:
    """The comparison as plain JSON types."""
    rows = []
    for row in comparison.rows:
        mean = {"mean": row.mean.mean, "interval": [row.mean.low, row.mean.high]}
        entry = {"run": row.run, "label": row.label, **mean}
        if row.paired:
            change = row.paired.difference
            entry |= {
                "difference": change.mean,
                "difference_interval": [change.low, change.high],
                "p": row.paired.p,
                "p_adjusted": row.p,
                "larger": row.paired.better,
                "smaller": row.paired.worse,
                "pairs": row.paired.pairs,
            }
        rows.append(entry)
    return {
        "metric": comparison.metric,
        "method": comparison.method,
        "cases": list(comparison.cases),
        "left_out": comparison.left_out,
        "rows": rows,
    }


def _cells(comparison, row) -> tuple[str, ...]:
    if row.paired is None:
        return str(row.mean), "reference", "", "", ""
    change = row.paired.difference
    ends = "" if change.low is None else f" ({change.low:+.4f} to {change.high:+.4f})"
    better, worse = row.paired.better, row.paired.worse
    if not HIGHER[comparison.metric]:
        better, worse = worse, better
    p = "< 0.0001" if row.p < 1e-4 else f"{row.p:.4f}"
    return str(row.mean), f"{change.mean:+.4f}{ends}", p, f"{better} of {row.paired.pairs}", str(worse)


def _left_out(comparison) -> list[str]:
    lines = [
        f"{name}: {count} cases that others lack are left out" for name, count in comparison.left_out.items() if count
    ]
    pairs = sum(row.paired.left_out for row in comparison.rows if row.paired)
    return lines + ([f"{pairs} pairs with an infinite value are left out of differences"] if pairs else [])


def _cases(comparison) -> str:
    runs = list(comparison.values)
    rows = [
        (case, label, *(f"{comparison.values[run][label][place]:.4f}" for run in runs))
        for place, case in enumerate(comparison.cases)
        for label in comparison.labels
    ]
    return page.table(("case", "label", *runs), rows, names=2)


def _short(names) -> list[str]:
    """Names without the folders that all share."""
    parts = [Path(name).parts for name in names]
    while len(parts) > 1 and all(len(each) > 1 for each in parts) and len({each[0] for each in parts}) == 1:
        parts = [each[1:] for each in parts]
    return ["/".join(each) for each in parts]
