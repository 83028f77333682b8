"""Measures of a node in Prometheus' text format: counts, seconds, flags, and drift against the fingerprint."""

import json
import shutil
from collections.abc import Iterator

import numpy as np
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

_RECENT = 100  # jobs of a rule that drift is told from
_COUNTS = {
    "instances_received": "Instances that were kept",
    "instances_repeated": "Instances that were there already",
    "instances_refused": "Instances that were refused",
    "associations_rejected": "Associations of callers that are not allowed",
    "series_received": "Series that were complete",
    "jobs_done": "Jobs that were done",
    "jobs_failed": "Failures after which a job was tried again",
    "jobs_parked": "Jobs that were given up",
    "deliveries_done": "Objects that their destination took",
    "deliveries_failed": "Failures after which an object was sent again",
    "deliveries_parked": "Objects that were given up",
    "commitments_done": "Requests for storage commitment that were answered",
}
_STATES = {"series": "open complete parked", "jobs": "waiting running done parked", "deliveries": "waiting done parked"}


def measures(node) -> bytes:
    """The measures as Prometheus reads them.

    Args:
        node: an ``edge.node.service.Node`` whose database is open.
    """
    registry = CollectorRegistry()
    registry.register(_Collector(node))
    return generate_latest(registry)


class _Collector:
    def __init__(self, node):
        self.node = node

    def describe(self):
        """Nothing beforehand: the database is asked when the measures are."""
        return []

    def collect(self) -> Iterator:
        """The families of measures."""
        database = self.node.database
        counts = {row["name"]: row["value"] for row in database.rows("select * from counts")}
        for name, text in _COUNTS.items():
            yield CounterMetricFamily(f"medseg_{name}", text, value=counts.get(name, 0))
        for table, states in _STATES.items():
            family = GaugeMetricFamily(f"medseg_{table}", f"{table.capitalize()} by state", labels=["state"])
            present = dict(map(tuple, database.rows(f"select state, count(*) from {table} group by state")))
            for state in states.split():
                family.add_metric([state], present.get(state, 0))
            yield family
        yield from self._work()
        free = shutil.disk_usage(self.node.config.node.folder).free
        yield GaugeMetricFamily("medseg_disk_free_bytes", "Free bytes of the node's disk", value=free)

    def _work(self):
        seconds = CounterMetricFamily("medseg_job_seconds", "Seconds that jobs took", labels=["rule"])
        done = CounterMetricFamily("medseg_rule_jobs", "Jobs that were done, by rule", labels=["rule"])
        flags = CounterMetricFamily("medseg_flags", "Flags of results, by rule", labels=["rule"])
        drift = GaugeMetricFamily(
            "medseg_drift",
            f"Median of a feature over the last {_RECENT} jobs, from the middle of its range in half widths",
            labels=["rule", "feature"],
        )
        outside = GaugeMetricFamily(
            "medseg_outside_share", f"Share of the last {_RECENT} jobs outside that range", labels=["rule", "feature"]
        )
        query = (
            "select count(*) n, total(seconds) seconds, total(json_array_length(flags)) flags from jobs "
            "where rule = ? and state = 'done'"
        )
        for rule in self.node.config.rule:
            row = self.node.database.row(query, rule.name)
            seconds.add_metric([rule.name], row["seconds"])
            done.add_metric([rule.name], row["n"])
            flags.add_metric([rule.name], row["flags"])
            for name, values in self._drifts(rule.name).items():
                drift.add_metric([rule.name, name], float(np.median(values)))
                outside.add_metric([rule.name, name], float(np.mean(np.abs(values) > 1)))
        yield from (seconds, done, flags, drift, outside)

    def _drifts(self, rule) -> dict[str, list[float]]:
        """Of each feature that the artifact's fingerprint knows its values, in half widths from the middle."""
        training = self.node.segmenters[rule].manifest.training
        rows = self.node.database.rows(
            "select features from jobs where rule = ? and state = 'done' order by ended desc limit ?", rule, _RECENT
        )
        drifts: dict[str, list[float]] = {}
        for row in rows if training else ():
            for name, value in json.loads(row["features"]).items():
                expected = training.ranges.get(name)
                if expected is not None and expected.high > expected.low:
                    middle = (expected.low + expected.high) / 2
                    drifts.setdefault(name, []).append(2 * (value - middle) / (expected.high - expected.low))
        return drifts
