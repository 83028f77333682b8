"""Monitoring: JSON, a monthly report, and what Prometheus reads."""

import datetime
import re
from collections import Counter

from fastapi import APIRouter
from starlette.responses import HTMLResponse, Response

from medseg.untrusted import shown
from review.errors import WrongRequestError
from review.monitoring.prometheus import metrics_text
from review.monitoring.report import report_html
from review.monitoring.summary import last_days, summary
from review.monitoring.summary import month as period_of
from review.server.described import answers
from review.server.routes.context import Review
from review.store.cases import all_cases

router = APIRouter()
_MOST_DAYS = 3660


@router.get("/api/monitoring")
def monitoring(review: Review, days: int = 90) -> dict:
    """The numbers of the last days."""
    if not 1 <= days <= _MOST_DAYS:
        raise WrongRequestError(f"days {days}: expected 1 to {_MOST_DAYS}")
    return numbers_of(review, last_days(days))


@router.get("/api/monitoring/report.html", **answers("text/html"))
def report(review: Review, month: str = ""):
    """The report of a month, this one by default."""
    return HTMLResponse(_report(review, month))


@router.get("/metrics", **answers("text/plain"))
def metrics(review: Review):
    """For Prometheus."""
    states = Counter(case.state for case in all_cases(review.database))
    text = metrics_text(numbers_of(review, last_days(30)), states)
    return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")


def numbers_of(review, period) -> dict:
    """The numbers of a period of the open review."""
    structures = [label.name for label in review.labels[1:]]
    return summary(review.database, structures, review.manifest.training, period)


def _report(review, text):
    text = text or datetime.datetime.now(datetime.UTC).strftime("%Y-%m")
    match = re.fullmatch(r"(\d{4})-(0[1-9]|1[0-2])", text, re.ASCII)
    if match is None or not 1970 <= int(match[1]) < 9999:
        raise WrongRequestError(f"month {shown(text)}: expected a year and a month, 2026-11 for example")
    numbers = numbers_of(review, period_of(int(match[1]), int(match[2])))
    return report_html(review.workspace.scans.name, numbers, text)
