"""Drift, limits and reports: what is planted is told, what is chance is not."""

import datetime
import json
import math

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families
from scipy import stats
from starlette.testclient import TestClient

from edge.trust.fingerprint import Fingerprint, Range, make_fingerprint
from review.monitoring.alerts import watch
from review.monitoring.charts import Point, mean_chart, share_chart
from review.monitoring.drift import BASELINE, drift_of, population_stability_index, training_sample
from review.monitoring.summary import last_days, month, summary
from review.server.app import create_app

NAMES = [f"intensity {q} %" for q in (1, 10, 25, 50, 75, 90, 99)]


def stream(random, count, shift=0.0, scale=1.0):
    """Features of cases as they come."""
    return [dict(zip(NAMES, shift + scale * random.normal(size=len(NAMES)), strict=True)) for _ in range(count)]


def first_alert(cases, fingerprint=None):
    """How many cases it takes until something is told; None for never."""
    for count in range(BASELINE, len(cases) + 1, 5):
        if any(row.alert for row in drift_of(cases[:count], fingerprint)):
            return count
    return None


@pytest.mark.parametrize(("shift", "scale"), [(2.0, 1.0), (-1.2, 1.0), (0.0, 5.0)])
def test_planted_change_is_told_within_fifty_cases(shift, scale):
    random = np.random.default_rng(1)
    cases = stream(random, 60) + stream(random, 50, shift, scale)
    assert 60 < first_alert(cases) <= 110


def test_change_against_the_training_is_told_from_the_first_cases_on():
    random = np.random.default_rng(2)
    fingerprint = make_fingerprint(stream(random, 40))
    assert first_alert(stream(random, 60), fingerprint) is None
    cases = stream(random, 25, shift=6.0)
    assert any(row.alert and row.outside == 1 for row in drift_of(cases, fingerprint))


def test_chance_is_not_told():
    random = np.random.default_rng(3)
    assert all(first_alert(stream(random, 150)) is None for _ in range(2))


def test_population_stability_index_by_hand():
    reference, recent = np.arange(100.0), np.arange(50, 100.0)
    p = np.full(2, 50.5 / 101)
    q = np.array([0.5, 50.5]) / 51
    expected = float(((q - p) * np.log(q / p)).sum())
    assert population_stability_index(reference, recent, bins=2) == pytest.approx(expected)
    assert population_stability_index(reference, reference) == 0


def test_training_sample_has_the_range_of_the_training():
    values = np.random.default_rng(0).normal(5, 2, 40)
    expected = make_fingerprint([{"x": value} for value in values]).ranges["x"]
    sample = training_sample(expected, 40)
    assert sample.mean() == pytest.approx((values.min() + values.max()) / 2)
    assert np.ptp(values) / 2 / sample.std() == pytest.approx(stats.norm.ppf(1 - 0.5 / 40), rel=0.05)


def test_share_chart_by_hand():
    points = [Point(f"2026-01-0{day}", 0.1, 20) for day in range(1, 5)]
    chart = share_chart("rate", [*points, Point("2026-01-05", 0.35, 20)])
    assert chart.high == pytest.approx(0.1 + 3 * math.sqrt(0.1 * 0.9 / 20))
    assert chart.alert
    assert not share_chart("rate", [*points, Point("2026-01-05", 0.3, 20)]).alert
    assert share_chart("rate", points[:2]).high is None


def test_mean_chart_by_hand():
    points = [Point(f"2026-01-0{day}", 0.9, 10, 0.05) for day in range(1, 5)]
    chart = mean_chart("Dice", "", [*points, Point("2026-01-05", 0.84, 10, 0.05)])
    assert chart.low == pytest.approx(0.9 - 3 * 0.05 / math.sqrt(10))
    assert chart.alert
    assert not mean_chart("Dice", "", [*points, Point("2026-01-05", 0.96, 10, 0.05)]).alert
    assert mean_chart("seconds", "s", [*points, Point("2026-01-05", 0.96, 10, 0.05)], "high").alert


def test_months():
    assert month(2026, 12).end.startswith("2027-01-01")
    assert month(2024, 2).end.startswith("2024-03-01")


def test_page_json_report_and_prometheus(client, segmented):
    decision = {"version": 1, "seconds": 30}
    client.post("/api/cases/case_a/decision", json={"action": "accept", **decision})
    client.post("/api/cases/case_b/decision", json={"action": "reject", "reason": "image quality", **decision})
    numbers = client.get("/api/monitoring?days=30").json()
    assert (numbers["cases"], numbers["decided"], numbers["accept_rate"]) == (3, 2, 0.5)
    assert numbers["dice_in_service"]["core"] == {"mean": 1.0, "n": 1}
    assert numbers["seconds_per_case"]["median"] == 30
    assert numbers["series"][0]["points"][0]["n"] == 2
    report = client.get("/api/monitoring/report.html").text
    assert "<h2>Decisions</h2>" in report
    assert "Anna" not in report
    families = {f.name: f for f in text_string_to_metric_families(client.get("/metrics").text)}
    by_state = {s.labels["state"]: s.value for s in families["medseg_review_cases"].samples}
    assert (by_state["accepted"], by_state["rejected"], by_state["segmented"]) == (1, 1, 1)
    for path in ("/api/monitoring?days=0", "/api/monitoring/report.html?month=2026-13"):
        assert client.get(path).status_code == 422


def test_alert_is_told_once(segmented, capsys):
    fingerprint = Fingerprint(10, {"detail": Range(0.0, 1.0)})
    now = datetime.datetime.now(datetime.UTC)
    with segmented.database.change() as connection:
        for number in range(25):
            added = (now - datetime.timedelta(minutes=25 - number)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            connection.execute(
                "INSERT INTO cases (id, files, state, added, changed, features) VALUES (?, '[]', 'segmented', ?, ?, ?)",
                (f"late {number:02d}", added, added, json.dumps({"detail": 5.0})),
            )
    known: set[str] = set()
    assert watch(segmented.database, ["core", "rim"], fingerprint, known) == [
        "detail: 100% of the last cases lie beyond the training's range"
    ]
    assert watch(segmented.database, ["core", "rim"], fingerprint, known) == []
    assert capsys.readouterr().err.count("alert:") == 1
    actions = [row["action"] for row in segmented.database.rows("SELECT action FROM audit")]
    assert actions.count("alert") == 1
    numbers = summary(segmented.database, ["core", "rim"], fingerprint, last_days(1))
    with TestClient(create_app(segmented)) as calls:
        assert calls.get("/metrics").status_code == 200
    assert len(numbers["alerts"]) == 1
