"""The numbers of a period: how much was corrected, what the network really scored, drift, limits, alerts."""

import datetime
import json
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from edge.trust.fingerprint import Fingerprint
from review.monitoring.charts import Chart, Point, mean_chart, share_chart
from review.monitoring.drift import BASELINE, Drift, drift_of
from review.store.cases import ACCEPTED, CORRECTED, DECIDED, REJECTED, Case, all_cases
from review.store.database import Database

_DAILY = 14  # days up to which points are days, above which they are weeks
_GROUPS = ("scanner", "site")


@dataclass(frozen=True)
class Period:
    """From when to when, UTC, ISO text that sorts."""

    start: str
    end: str
    weekly: bool


@dataclass(frozen=True)
class Decision:
    """What a person decided about a case that a network had segmented.

    Attributes:
        case: which.
        time: when.
        state: "accepted", "corrected" or "rejected".
        seconds: spent, or None.
        dice: of each structure, the network's against the decided labels; None of rejected ones.
    """

    case: Case
    time: str
    state: str
    seconds: float | None
    dice: dict[str, float] | None


def last_days(days: int, now: datetime.datetime | None = None) -> Period:
    """The last days until now."""
    now = now or datetime.datetime.now(datetime.UTC)
    start = now - datetime.timedelta(days=days)
    return Period(_text(start), _text(now + datetime.timedelta(minutes=1)), days > _DAILY)


def month(year: int, number: int) -> Period:
    """A calendar month."""
    start = datetime.datetime(year, number, 1, tzinfo=datetime.UTC)
    end = datetime.datetime(year + number // 12, number % 12 + 1, 1, tzinfo=datetime.UTC)
    return Period(_text(start), _text(end), True)


def summary(database: Database, structures: Sequence[str], fingerprint: Fingerprint | None, period: Period) -> dict:
    """The numbers of a period as plain JSON types; ``docs/how-to/review.md`` explains them.

    Args:
        database: of the review.
        structures: names of the classes, without the background.
        fingerprint: of the active artifact's training, or None.
        period: of which.
    """
    cases = all_cases(database)
    made = decisions(database, cases, structures)
    here = [d for d in made if period.start <= d.time < period.end]
    came = [case for case in cases if period.start <= case.added < period.end]
    seen = sorted((case for case in cases if case.features and case.added < period.end), key=lambda c: (c.added, c.id))
    drifts = drift_of([_measures(case) for case in seen], fingerprint)
    charts = _charts(here, period.weekly)
    counts = {state: sum(d.state == state for d in here) for state in DECIDED}
    seconds = [d.seconds for d in here if d.seconds is not None]
    return {
        "from": period.start,
        "to": period.end,
        "cases": len(came),
        "decided": len(here),
        "correction_rate": _share(counts[CORRECTED], len(here)),
        "accept_rate": _share(counts[ACCEPTED], len(here)),
        "reject_rate": _share(counts[REJECTED], len(here)),
        "dice_in_service": _dice(here, structures),
        "seconds_per_case": {"median": statistics.median(seconds) if seconds else None},
        "flag_rate": _share(sum(bool(case.flags) for case in came), len(came)),
        "series": [_chart_json(chart) for chart in charts],
        "drift": [asdict(row) for row in drifts],
        "groups": [row for kind in _GROUPS for row in _groups(here, kind)],
        "alerts": [{"text": text, "since": since} for text, since in _alerts(charts, drifts, seen)],
    }


def decisions(database: Database, cases: Sequence[Case], structures: Sequence[str]) -> list[Decision]:
    """The last decision about every case that a network had segmented, oldest first."""
    networks = {row["case_id"] for row in database.rows("SELECT case_id FROM versions WHERE kind = 'network'")}
    first: dict[str, dict] = {}
    query = (
        "SELECT case_id, dice, seconds FROM versions WHERE kind = 'correction' AND dice IS NOT NULL ORDER BY version"
    )
    for row in database.rows(query):
        first.setdefault(row["case_id"], {"dice": json.loads(row["dice"]), "seconds": row["seconds"]})
    spent: dict[str, float] = {}
    for row in database.rows("SELECT case_id, details FROM audit WHERE action IN ('accept', 'reject') ORDER BY number"):
        seconds = json.loads(row["details"]).get("seconds")
        if seconds is not None:
            spent[row["case_id"]] = seconds
    made = []
    for case in cases:
        if case.state not in DECIDED or case.id not in networks:
            continue
        correction = first.get(case.id)
        seconds = correction["seconds"] if correction and case.state == CORRECTED else spent.get(case.id)
        dice = correction["dice"] if correction else dict.fromkeys(structures, 1.0)
        made.append(Decision(case, case.changed, case.state, seconds, None if case.state == REJECTED else dice))
    return sorted(made, key=lambda decision: (decision.time, decision.case.id))


def _measures(case):
    return {**case.features, **{f"decided volume of {name}": value for name, value in case.volumes.items()}}


def _charts(here: Sequence[Decision], weekly: bool) -> list[Chart]:
    if not here:
        return []
    rates = _points(here, weekly, lambda d: float(d.state != ACCEPTED))
    scored = [d for d in here if d.dice]
    charts = [share_chart("correction rate", rates)]
    if scored:
        charts.append(mean_chart("Dice in service", "", _points(scored, weekly, _mean_dice)))
    flags = _points(here, weekly, lambda d: float(bool(d.case.flags)))
    charts.append(share_chart("flag rate", flags))
    timed = [d for d in here if d.seconds is not None]
    if timed:
        charts.append(mean_chart("seconds per case", "s", _points(timed, weekly, lambda d: d.seconds), "high"))
    return charts


def _points(here, weekly: bool, value: Callable[[Decision], float]) -> list[Point]:
    periods: dict[str, list[float]] = {}
    for decision in here:
        day = datetime.date.fromisoformat(decision.time[:10])
        first = day - datetime.timedelta(days=day.weekday()) if weekly else day
        periods.setdefault(first.isoformat(), []).append(value(decision))
    return [Point(t, statistics.fmean(v), len(v), statistics.pstdev(v)) for t, v in sorted(periods.items())]


def _mean_dice(decision):
    return statistics.fmean(decision.dice.values()) if decision.dice else 1.0


def _dice(here, structures):
    scores = {name: [d.dice[name] for d in here if d.dice and name in d.dice] for name in structures}
    return {name: {"mean": statistics.fmean(values), "n": len(values)} for name, values in scores.items() if values}


def _groups(here, kind):
    names = sorted({d.case.origin.get(kind) for d in here if d.case.origin.get(kind)})
    for name in names:
        of_group = [d for d in here if d.case.origin.get(kind) == name]
        scored = [_mean_dice(d) for d in of_group if d.dice]
        yield {
            "by": kind,
            "name": name,
            "cases": len(of_group),
            "correction_rate": _share(sum(d.state == CORRECTED for d in of_group), len(of_group)),
            "dice": statistics.fmean(scored) if scored else None,
        }


def _alerts(charts: Sequence[Chart], drifts: Sequence[Drift], seen: Sequence[Case]):
    for chart in charts:
        if chart.alert:
            last = chart.points[-1]
            text = f"{chart.name}: {last.value:.3g} in {last.n} cases, expected {chart.low:.3g} to {chart.high:.3g}"
            yield text, last.t
    for row in drifts:
        if row.alert and row.outside is not None and row.outside > 0:
            yield f"{row.feature}: {row.outside:.0%} of the last cases lie beyond the training's range", seen[-1].added
        elif row.alert:
            yield f"{row.feature}: the last cases differ from the first {BASELINE} (p {row.p:.0e})", seen[-1].added


def _chart_json(chart: Chart) -> dict:
    points = [{"t": point.t, "value": point.value, "n": point.n} for point in chart.points]
    limits = {"center": chart.center, "low": chart.low, "high": chart.high, "alert": chart.alert}
    return {"name": chart.name, "unit": chart.unit, "points": points, **limits}


def _share(part, whole):
    return part / whole if whole else None


def _text(time: datetime.datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
