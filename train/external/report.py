"""An external test as a table and as one HTML file: intervals, sites, and its scans beside the training's."""

import html
from pathlib import Path

from imaging.measure.scoring import DISTANCES
from medseg import page
from medseg.columns import aligned
from medseg.record import write_text
from train.evaluation import figures
from train.evaluation.averages import columns_of, present_row
from train.external.score import interval_of, method_text


def table(result: dict) -> str:
    """The result as text: mean and interval of Dice and HD95 of each label, then the same by site."""
    columns = ("ap", "dice") if "ap" in columns_of(result["mean"]) else ("dice", "hd95")
    rows = [(label, [str(interval_of(result, label, m)) for m in columns]) for label in result["mean"]]
    for label, row in result["mean_present"].items():
        rows.append((f"{label}{present_row(row)}", [f"{row[m]:.4f}" for m in columns]))
    for column, values in result["by"].items():
        for value, site in values.items():
            rows.append((f"{column} {value} ({site['cases']})", [""] * len(columns)))
            rows += [(f"  {label}", [str(interval_of(site, label, m)) for m in columns]) for label in site["mean"]]
    lines = aligned([("label", *columns), *((name, *cells) for name, cells in rows)])
    return "\n".join([*lines, ending(result)])


def ending(result: dict) -> str:
    """What the figures are of, in a line."""
    return f"mean over {len(result['cases'])} cases of {result['dataset']}; {method_text(result)}; {DISTANCES}"


def write_report(path, result: dict) -> Path:
    """Write the report of an external test.

    Args:
        path: of the HTML file.
        result: of ``train.external.score.score``.

    Returns:
        The path.
    """
    title = f"{result['name']} on {Path(result['dataset']).name}"
    cases = result["cases"]
    parts = [
        f"<h1>{html.escape(title)}</h1><p>{html.escape(result['kind'])}; {html.escape(ending(result))}.</p>",
        _means(result),
        *(f"<h2>By {html.escape(column)}</h2>{_sites(values)}" for column, values in result["by"].items()),
        "<h2>Spread over the cases</h2>" + page.figure(figures.boxes(cases), "Boxes: quartiles; dots: cases"),
        "<h2>Scans here and in training</h2>" + _fingerprints(result),
        "<h2>All cases</h2><p>Click a heading to sort.</p>" + _cases(result),
        *([f"<h2>Notes</h2>{page.text(chr(10).join(result['notes']))}"] if result["notes"] else []),
    ]
    write_text(path, page.page(title, parts))
    return Path(path)


def _means(result) -> str:
    columns = columns_of(result["mean"])
    rows = [(label, *(str(interval_of(result, label, m)) for m in columns)) for label in result["mean"]]
    rows += [
        (f"{label}{present_row(row)}", *(f"{row[m]:.4f}" for m in columns))
        for label, row in result["mean_present"].items()
    ]
    return page.table(("label", *columns), rows)


def _sites(values) -> str:
    columns = columns_of(next(iter(values.values()))["mean"])
    rows = [
        (
            f"{value} ({site['cases']} cases, {site['patients']} patients)",
            label,
            *(str(interval_of(site, label, metric)) for metric in columns),
        )
        for value, site in values.items()
        for label in site["mean"]
    ]
    return page.table(("site", "label", *columns), rows, names=2)


def _cases(result) -> str:
    columns = columns_of(result["mean"])
    rows = [
        (case, label, result["patients"][case], *(f"{row[column]:.4f}" for column in columns))
        for case, labels in result["cases"].items()
        for label, row in labels.items()
    ]
    return page.table(("case", "label", "patient", *columns), rows, names=2)


def _fingerprints(result) -> str:
    here, trained = _facts(result["fingerprint"]), _facts(result["trained"])
    if not trained:
        return "<p>Nothing is known of the training's scans.</p>" + page.table(("", "here"), here.items())
    rows = [(name, trained.get(name, ""), here.get(name, "")) for name in dict.fromkeys((*trained, *here))]
    return page.table(("", "training", "here"), rows)


def _facts(fingerprint: dict) -> dict[str, str]:
    """A fingerprint as lines of name and text."""
    if not fingerprint:
        return {}
    lines = {
        "cases": str(fingerprint["cases"]),
        "spacing, median (mm)": _by(fingerprint["spacing"]["median"]),
        "spacing, range (mm)": f"{_by(fingerprint['spacing']['minimum'])} to {_by(fingerprint['spacing']['maximum'])}",
        "shape, median (voxels)": _by(fingerprint["shape"]["median"]),
        "field of view, median (mm)": _by(fingerprint["extent_mm"]),
    }
    for number, channel in enumerate(fingerprint["intensity"]):
        name = f"intensity of foreground, channel {fingerprint['channels'][number]}"
        lines[f"{name}: mean ± deviation"] = f"{channel['mean']:g} ± {channel['std']:g}"
        lines[f"{name}: 0.5 % to 99.5 %"] = f"{channel['percentile_00_5']:g} to {channel['percentile_99_5']:g}"
    for label, row in fingerprint["classes"].items():
        lines[f"{label}: share of voxels"] = f"{row['voxel_share']:.3%}"
        lines[f"{label}: median volume (mm³ or pixels)"] = f"{row['volume']:g}"
        lines[f"{label}: in cases"] = f"{row['cases']} of {fingerprint['cases']}"
    return lines


def _by(numbers) -> str:
    return " × ".join(f"{number:g}" for number in numbers)
