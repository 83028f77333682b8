"""The numbers of the last thirty days in Prometheus' text format, without any patient's or user's name."""

from collections import Counter

from review.store.cases import STATES


def metrics_text(numbers: dict, states: Counter) -> bytes:
    """The text that Prometheus reads.

    Args:
        numbers: as ``review.monitoring.summary.summary`` returns them.
        states: number of cases by state.
    """
    from prometheus_client import CollectorRegistry, Gauge, generate_latest

    registry = CollectorRegistry()
    cases = Gauge("medseg_review_cases", "Cases by state", ["state"], registry=registry)
    for state in STATES:
        cases.labels(state).set(states.get(state, 0))
    for name, text in (
        ("correction_rate", "Share of decided cases that were corrected, 30 days"),
        ("accept_rate", "Share of decided cases that were accepted as they were, 30 days"),
        ("reject_rate", "Share of decided cases that were rejected, 30 days"),
        ("flag_rate", "Share of cases with a flag, 30 days"),
        ("decided", "Cases decided on, 30 days"),
    ):
        if numbers[name] is not None:
            Gauge(f"medseg_review_{name}", text, registry=registry).set(numbers[name])
    dice = Gauge("medseg_review_dice", "Mean Dice in service, 30 days", ["structure"], registry=registry)
    for structure, row in numbers["dice_in_service"].items():
        dice.labels(structure).set(row["mean"])
    index = Gauge("medseg_review_psi", "Population stability index of the last cases", ["feature"], registry=registry)
    for row in numbers["drift"]:
        index.labels(row["feature"]).set(row["psi"])
    Gauge("medseg_review_alerts", "Limits that are crossed now", registry=registry).set(len(numbers["alerts"]))
    return generate_latest(registry)
