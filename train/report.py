"""The report of a run: one HTML file that holds its pictures, tables and scripts itself."""

import html
import json
from pathlib import Path

import numpy as np

import imaging
from imaging.record import to_dict, write_text
from train import figures
from train.curves import load_history
from train.evaluate import COLUMNS, patch_predictor, segmenter
from train.evaluate import table as means_table
from train.reference import read_reference
from train.run import Run, versions

STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:1100px;margin:2em auto;padding:0 1em;color:#222}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:13px}
td,th{padding:.2em .7em;border-bottom:1px solid #ddd;text-align:right}
td:first-child,th:first-child,td:nth-child(2),th:nth-child(2){text-align:left}
th{cursor:pointer;background:#f4f4f4;position:sticky;top:0} figure{margin:1em 0} img{max-width:100%}
pre{background:#f4f4f4;padding:.7em;overflow:auto;font-size:12px} figcaption{color:#555;font-size:13px}
.scroll{max-height:30em;overflow:auto}
"""

SCRIPT = """
document.querySelectorAll('table.sortable th').forEach((head, column) => head.onclick = () => {
  const body = head.closest('table').tBodies[0], up = head.dataset.up !== '1';
  head.dataset.up = up ? '1' : '';
  const key = row => { const t = row.cells[head.cellIndex].textContent, n = parseFloat(t);
    return t === 'inf' ? Infinity : isNaN(n) || !/^[-0-9.]/.test(t) ? t : n };
  [...body.rows].sort((a, b) => { const x = key(a), y = key(b); return (x < y ? -1 : x > y ? 1 : 0) * (up ? 1 : -1) })
    .forEach(row => body.append(row));
});
"""


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
    segment = segmenter(patch_predictor(run.model()), plan)
    overlays = {case: _overlay(plan, segment, dataset.case(case)) for case in dict.fromkeys((best, median, worst))}
    pictures = [
        (f"{which} case by mean Dice: {case} ({mean_dice(metrics['cases'][case]):.3f})", overlays[case])
        for which, case in (("Best", best), ("Median", median), ("Worst", worst))
    ]
    history = load_history(run.folder / "history.csv")
    parts = [
        f"<h1>{html.escape(title)}</h1><pre>{html.escape(means_table(metrics))}</pre>",
        "<h2>Training</h2>" + _figure(figures.curves(history), "Loss and learning rate") if history else "",
        "<h2>Spread over the cases</h2>" + _figure(figures.boxes(metrics["cases"]), "Boxes: quartiles; dots: cases"),
        "<h2>Cases</h2>" + "".join(_figure(picture, caption) for caption, picture in pictures),
        "<p>Lines: reference solid, prediction dashed. The slice shown is the one with most of the reference.</p>",
        "<h2>All cases</h2><p>Click a heading to sort.</p>" + case_table(metrics["cases"]),
        f"<h2>Plan</h2>{_json(to_dict(plan) | {'folds': [len(part) for part in plan.folds]})}",
        f"<h2>Versions</h2>{_json(versions())}",
        f"<h2>Next</h2><pre>zoo export {html.escape(str(run.folder))} --format tflite-int8 --out artifacts</pre>",
    ]
    page = (
        f"<!doctype html><html lang='en'><meta charset='utf-8'><title>{html.escape(title)}</title>"
        f"<style>{STYLE}</style><body>{''.join(parts)}<script>{SCRIPT}</script></body></html>\n"
    )
    path = run.folder / name
    write_text(path, page)
    return path


def mean_dice(scores: dict) -> float:
    """Mean Dice over the labels of one case."""
    return float(np.mean([row["dice"] for row in scores.values()]))


def ranked(cases: dict) -> tuple[str, str, str]:
    """Names of the best, the median and the worst case by mean Dice."""
    order = sorted(cases, key=lambda name: -mean_dice(cases[name]))
    return order[0], order[len(order) // 2], order[-1]


def case_table(cases: dict) -> str:
    """An HTML table with a line per case and label, sortable by its headings."""
    heads = "".join(f"<th>{head}</th>" for head in ("case", "label", *COLUMNS))
    rows = "".join(
        f"<tr><td>{html.escape(case)}</td><td>{html.escape(label)}</td>"
        + "".join(f"<td>{row[column]:.4f}</td>" for column in COLUMNS)
        + "</tr>"
        for case, labels in cases.items()
        for label, row in labels.items()
    )
    table = f"<table class='sortable'><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"
    return f"<div class='scroll'>{table}</div>"


def _overlay(plan, segment, case):
    scan, reference = imaging.read(list(case.images), channels=plan.recipe.channels), read_reference(case, plan.labels)
    return figures.overlay(scan, reference.voxels[..., 0], segment(scan), [label.name for label in plan.labels])


def _figure(picture: str, caption: str) -> str:
    words = html.escape(caption)
    return f"<figure><img src='{picture}' alt='{words}'><figcaption>{words}</figcaption></figure>"


def _json(data) -> str:
    return f"<pre>{html.escape(json.dumps(data, indent=1))}</pre>"
