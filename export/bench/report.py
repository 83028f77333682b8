"""What came out of a contest as a table, JSON and a plot."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from export.bench.contest import Contest, Result
from medseg.atomic import moved_into_place
from medseg.columns import aligned
from medseg.errors import InputError, UsageError

PICTURES = (".png", ".svg", ".pdf")
COLUMNS = ("MB", "median ms", "p10", "p90", "first ms", "peak MB", "same", "speed")


def short(names: Sequence[str]) -> dict[str, str]:
    """Artifacts by their own folder and the one that it lies in, where that tells them apart."""
    brief = {name: name if len(Path(name).parts) < 3 else str(Path(*Path(name).parts[-2:])) for name in names}
    return {name: new if list(brief.values()).count(new) == 1 else name for name, new in brief.items()}


def rows(results: Sequence[Result]) -> list[tuple[str, ...]]:
    """Each result's cells: name, then ``COLUMNS``; "speed" is how many times as fast as the first in the list."""
    first, titles = results[0].median_ms, short([r.name for r in results])
    return [
        (
            titles[r.name],
            f"{r.size_bytes / 1e6:.2f}",
            *(f"{ms:.2f}" for ms in (r.median_ms, r.p10_ms, r.p90_ms)),
            f"{r.first_ms:.0f}",
            f"{r.peak_bytes / 1e6:.0f}",
            f"{100 * r.agreement:.2f}%",
            f"{first / r.median_ms:.2f}x",
        )
        for r in results
    ]


def table(contest: Contest) -> str:
    """A table for each number of threads, then how each ran and who could not."""
    lines = []
    for threads in dict.fromkeys(r.threads for r in contest.results):
        body = rows([r for r in contest.results if r.threads == threads])
        title = f"{threads} thread" + "s" * (threads > 1)
        lines += [*aligned([(title, *COLUMNS), *body]), ""]
    lines += notes(contest)
    return "\n".join(lines)


def markdown(results: Sequence[Result], extra: Sequence[tuple[str, ...]] = ()) -> str:
    """Results of one number of threads as a Markdown table.

    Args:
        results: what to show.
        extra: further columns, each a title and a cell for every result.
    """
    titles = ("", *COLUMNS, *(column[0] for column in extra))
    lines = ["| " + " | ".join(titles) + " |", "|---|" + "---:|" * (len(titles) - 1)]
    for number, row in enumerate(rows(results)):
        lines.append("| " + " | ".join((*row, *(column[1 + number] for column in extra))) + " |")
    return "\n".join(lines)


def notes(contest: Contest) -> list[str]:
    """A line each: runtime and variant of every peer, and the reason of everyone who could not run."""
    remarks = {}
    for r in contest.results:
        if r.peer:
            ways = remarks.setdefault((r.name, r.runtime), [])
            ways += [r.how] if r.how and r.how not in ways else []
    lines = [
        f"{name}: {runtime}" + (f", {' / '.join(ways)}" if ways else "") for (name, runtime), ways in remarks.items()
    ]
    return lines + [f"{name}: {reason}" for name, reason in contest.failures.items()]


def to_dict(contest: Contest) -> dict:
    """Plain JSON types."""
    results = [dataclasses.asdict(r) for r in contest.results]
    return {
        "threads": list(dict.fromkeys(r.threads for r in contest.results)),
        "artifacts": [r for r in results if not r["peer"]],
        "peers": [r for r in results if r["peer"]],
        "absent": contest.failures,
    }


def check_picture(path) -> None:
    """Require that a plot can be written there.

    Raises:
        UsageError: for a suffix that is not one of ``PICTURES``.
        InputError: if the folder is not there or matplotlib is not installed.
    """
    import importlib.util

    path = Path(path)
    if path.suffix.lower() not in PICTURES:
        raise UsageError(f"--plot {path}: expected one of {', '.join(PICTURES)}")
    if not path.absolute().parent.is_dir():
        raise InputError(f"--plot {path}: no folder {path.parent}; make it")
    if importlib.util.find_spec("matplotlib") is None:
        raise InputError('--plot: needs matplotlib, which is not installed; pip install "medseg-zoo[all]"')


def plot(contest: Contest, path) -> None:
    """Write bars of the median times, with the 10th and 90th percentile, a group for each number of threads."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    threads = list(dict.fromkeys(r.threads for r in contest.results))
    names = list(dict.fromkeys(r.name for r in contest.results))
    titles = short(names)
    figure, axes = pyplot.subplots(
        1, len(threads), figsize=(1 + 6 * len(threads), 1 + 0.35 * len(names)), sharey=True, squeeze=False
    )
    for axis, count in zip(axes[0], threads, strict=True):
        shown = {r.name: r for r in contest.results if r.threads == count}
        for place, name in enumerate(names):
            if name not in shown:
                continue
            r = shown[name]
            spread = [[max(0, r.median_ms - r.p10_ms)], [max(0, r.p90_ms - r.median_ms)]]
            colour = "#9aa5b1" if r.peer else "#1f6feb"
            axis.barh(place, r.median_ms, xerr=spread, color=colour, error_kw={"elinewidth": 1, "capsize": 2})
            axis.annotate(
                f"{r.median_ms:.1f}", (r.p90_ms, place), (5, 0), textcoords="offset points", va="center", fontsize=8
            )
        axis.set_yticks(range(len(names)), [titles[name] for name in names], fontsize=8)
        axis.margins(x=0.15)
        axis.set_xlabel(f"ms a patch, {count} thread" + "s" * (count > 1))
    axes[0][0].invert_yaxis()
    figure.tight_layout()
    _save(figure, Path(path))
    pyplot.close(figure)


def _save(figure, path):
    try:
        with moved_into_place(path) as temporary:
            figure.savefig(temporary, dpi=150)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from None
