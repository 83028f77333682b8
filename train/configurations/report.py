"""The choice among configurations as one HTML page."""

import html
from pathlib import Path

from imaging.configurations import Configurations, joined
from medseg import page
from medseg.record import write_text


def write_choice_report(out, state: Configurations, following: str) -> Path:
    """Write ``report.html`` into a folder of configurations, with links to the report of each.

    Args:
        out: the folder.
        state: with scores and choice.
        following: the command to type next.

    Returns:
        Its path.
    """
    labels = list(state.scored[0].by_label)
    head = "average precision" if state.metric == "ap" else "mean Dice"
    rows = []
    for each in state.scored:
        scores = (each.score, *(each.by_label[label] for label in labels))
        chosen = "yes" if each.names == state.chosen else ""
        rows.append((joined(each.names), chosen, *(f"{score:.4f}" for score in scores)))
    folds = ", ".join(map(str, state.folds))
    links = ", ".join(f"<a href='{html.escape(name)}/report.html'>{html.escape(name)}</a>" for name in state.planned)
    left = [f"{name} does not apply: {why}" for name, why in state.left_out.items()]
    parts = [
        f"<h1>Configurations</h1><p>{html.escape(' and '.join(state.chosen))}: {html.escape(state.reason)}.</p>",
        page.table(("configuration", "chosen", head, *labels), rows, names=2),
        f"<p>Folds {folds}, each case by the network that was not trained on it, before post-processing. A pair is the "
        "mean of the probabilities of two.</p>",
        f"<p>Reports: {links}.</p>",
        *(f"<p class='soft'>{html.escape(line)}</p>" for line in (*left, *state.notes)),
        f"<h2>Next</h2>{page.text(following)}",
    ]
    path = Path(out) / "report.html"
    write_text(path, page.page("Configurations", parts))
    return path
