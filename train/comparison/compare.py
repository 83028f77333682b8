"""Paired statistics of scored runs: every run against the first, on the cases that all of them have."""

from collections.abc import Sequence
from dataclasses import dataclass

from imaging.measure.intervals import DRAWS, LEVEL, Interval, Paired, bootstrap_mean, compare_paired, holm
from imaging.measure.scoring import HIGHER_IS_BETTER
from medseg.errors import InputError, UsageError
from train.comparison.results import Scores
from train.data.grouping import group_names
from train.evaluation.averages import OBJECT_COLUMNS

HIGHER = HIGHER_IS_BETTER | dict.fromkeys(OBJECT_COLUMNS, True)
"""What a larger value of each metric means, those of objects included."""


@dataclass(frozen=True)
class Row:
    """One run and one label.

    Attributes:
        run: name of the run.
        label: of the structure.
        mean: over the shared cases.
        paired: against the first run; None for that itself.
        p: ``paired.p`` adjusted for the number of comparisons by Holm's method.
    """

    run: str
    label: str
    mean: Interval
    paired: Paired | None = None
    p: float | None = None


@dataclass(frozen=True)
class Comparison:
    """Runs side by side.

    Attributes:
        metric: that was compared.
        cases: shared by all, sorted.
        patients: case to patient.
        labels: shared by all.
        rows: label by label, the first run first.
        values: run to label to the value of each case.
        left_out: run to how many of its cases others lack.
    """

    metric: str
    cases: tuple[str, ...]
    patients: dict[str, str]
    labels: tuple[str, ...]
    rows: tuple[Row, ...]
    values: dict[str, dict[str, tuple[float, ...]]]
    left_out: dict[str, int]

    @property
    def method(self) -> str:
        """How the figures were made, in words."""
        count = len(set(self.patients.values()))
        better = "higher" if HIGHER[self.metric] else "lower"
        return (
            f"{self.metric} ({better} is better) of {len(self.cases)} shared cases of {count} patients; {LEVEL:.0%} "
            f"percentile intervals of {DRAWS} bootstrap draws of patients; p of Wilcoxon's signed-rank test, adjusted "
            "by Holm's method"
        )


def compare(scores: Sequence[Scores], metric: str = "dice") -> Comparison:
    """Compare runs on the cases that all of them were scored on.

    Args:
        scores: of two or more runs, the reference first.
        metric: one of ``HIGHER``.

    Raises:
        UsageError: for an unknown metric, or fewer than two runs.
        InputError: in one line, if they share no case or no label.
    """
    if metric not in HIGHER:
        raise UsageError(f"metric {metric!r}: expected one of {', '.join(HIGHER)}")
    if len(scores) < 2:
        raise UsageError(f"{len(scores)} run: expected two or more to compare")
    names = [each.name for each in scores]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"{twice}: is given twice; give each run once")
    cases, labels = _shared(scores, metric)
    patients = _patients(scores, cases)
    groups = [patients[case] for case in cases]
    values = {
        each.name: {label: tuple(float(each.cases[case][label][metric]) for case in cases) for label in labels}
        for each in scores
    }
    rows = []
    for label in labels:
        reference = values[names[0]][label]
        rows.append(Row(names[0], label, bootstrap_mean(reference, groups)))
        for name in names[1:]:
            paired = compare_paired(reference, values[name][label], groups)
            rows.append(Row(name, label, bootstrap_mean(values[name][label], groups), paired))
    left_out = {each.name: len(each.cases) - len(cases) for each in scores}
    return Comparison(metric, cases, patients, labels, tuple(_adjusted(rows)), values, left_out)


def _adjusted(rows):
    adjusted = iter(holm([row.paired.p for row in rows if row.paired]))
    return [Row(row.run, row.label, row.mean, row.paired, next(adjusted)) if row.paired else row for row in rows]


def _shared(scores, metric):
    shared = set.intersection(*(set(each.cases) for each in scores))
    if not shared:
        listed = ", ".join(f"{each.name} ({len(each.cases)} cases, such as {min(each.cases)})" for each in scores)
        raise InputError(f"{listed}: have no case in common; score them on the same folder or fold")
    labels = [next(iter(each.cases.values())) for each in scores]
    same = tuple(label for label in labels[0] if all(label in each and metric in each[label] for each in labels))
    if not same:
        listed = "; ".join(f"{each.name}: {', '.join(rows)}" for each, rows in zip(scores, labels, strict=True))
        raise InputError(f"{listed}: share no label with {metric}; expected runs of one task")
    return tuple(sorted(shared)), same


def _patients(scores, cases) -> dict[str, str]:
    """The patient of each case, as the first scores that know them all say, else read from the names."""
    for each in scores:
        if set(cases) <= set(each.patients):
            return {case: each.patients[case] for case in cases}
    return dict(zip(cases, group_names(cases).groups, strict=True))
