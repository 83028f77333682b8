"""The monthly report: one HTML page with tables and control charts, and no name of a patient or user."""

import html

from medseg.page import page, table

_WIDTH, _HEIGHT, _EDGE = 640, 140, 30


def report_html(name: str, numbers: dict, title: str) -> str:
    """The report.

    Args:
        name: of the review.
        numbers: as ``review.monitoring.summary.summary`` returns them.
        title: of the period.
    """
    alerts = "".join(f"<li>{html.escape(row['text'])}</li>" for row in numbers["alerts"])
    parts = [
        f"<h1>{html.escape(name)}: {html.escape(title)}</h1>",
        f"<p class='soft'>{html.escape(numbers['from'][:10])} to {html.escape(numbers['to'][:10])}</p>",
        f"<h2>Alerts</h2><ul>{alerts}</ul>" if alerts else "<p>No limit is crossed.</p>",
        "<h2>Decisions</h2>",
        table(("", "value"), _overview(numbers)),
        "<h2>Dice in service</h2>",
        table(
            ("structure", "mean", "cases"),
            [(s, f"{row['mean']:.4f}", row["n"]) for s, row in numbers["dice_in_service"].items()],
        ),
        "<h2>Over time</h2>",
        *(_chart(series) for series in numbers["series"]),
        "<h2>Drift</h2>",
        table(
            ("feature", "PSI", "KS", "p", "beyond training", "alert"),
            [
                (
                    row["feature"], f"{row['psi']:.3f}", f"{row['ks']:.3f}", f"{row['p']:.1e}",
                    "" if row["outside"] is None else f"{row['outside']:.0%}", "yes" if row["alert"] else "",
                )
                for row in numbers["drift"]
            ],
        ),
        "<h2>Scanners and sites</h2>",
        table(
            ("", "name", "cases", "correction rate", "Dice"),
            [_group(row) for row in numbers["groups"]],
            names=2,
        ),
    ]  # fmt: skip
    return page(f"{name}: {title}", parts)


def _overview(numbers):
    yield "cases that came", numbers["cases"]
    yield "decided on", numbers["decided"]
    for key in ("accept_rate", "correction_rate", "reject_rate", "flag_rate"):
        yield key.replace("_", " "), _share(numbers[key])
    median = numbers["seconds_per_case"]["median"]
    yield "seconds per case, median", "" if median is None else f"{median:.0f}"


def _group(row):
    return row["by"], row["name"], row["cases"], _share(row["correction_rate"]), _number(row["dice"])


def _share(value):
    return "" if value is None else f"{value:.1%}"


def _number(value):
    return "" if value is None else f"{value:.4f}"


def _chart(series) -> str:
    """A control chart as SVG."""
    values = [point["value"] for point in series["points"]]
    lines = [series[key] for key in ("low", "center", "high") if series[key] is not None]
    low, high = min(values + lines), max(values + lines)
    span = (high - low) or 1.0

    def y(value):
        return _EDGE + (_HEIGHT - 2 * _EDGE) * (1 - (value - low) / span)

    step = (_WIDTH - 2 * _EDGE) / max(1, len(values) - 1)
    places = [(_EDGE + step * index, y(value)) for index, value in enumerate(values)]
    drawn = [
        f"<line x1='{_EDGE}' x2='{_WIDTH - _EDGE}' y1='{y(line):.1f}' y2='{y(line):.1f}' stroke='#c60' "
        f"stroke-dasharray='{'none' if line == series['center'] else '4 4'}'/>"
        for line in lines
    ]
    drawn.append(
        f"<polyline fill='none' stroke='#07c' points='{' '.join(f'{x:.1f},{height:.1f}' for x, height in places)}'/>"
    )
    for (x, height), point in zip(places, series["points"], strict=True):
        words = html.escape(f"{point['t']}: {point['value']:.3g} ({point['n']} cases)")
        drawn.append(f"<circle cx='{x:.1f}' cy='{height:.1f}' r='3' fill='#07c'><title>{words}</title></circle>")
    unit = f" ({html.escape(series['unit'])})" if series["unit"] else ""
    return (
        f"<figure><figcaption>{html.escape(series['name'])}{unit}, {low:.3g} to {high:.3g}</figcaption>"
        f"<svg viewBox='0 0 {_WIDTH} {_HEIGHT}' width='100%' role='img'>{''.join(drawn)}</svg></figure>"
    )
