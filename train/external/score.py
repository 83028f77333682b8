"""A network or an artifact scored on a labelled folder from elsewhere, with intervals, by site or scanner."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from imaging.cleaning import Postprocessing, apply
from imaging.labels import Label, Region
from imaging.measure.intervals import DRAWS, LEVEL, Interval, bootstrap_mean
from imaging.recipe import Recipe
from medseg import record
from medseg.command import command_line
from medseg.errors import InputError
from train.data.dataset import Dataset
from train.evaluation.averages import columns_of, means
from train.evaluation.contents import trained_cases
from train.evaluation.evaluate import score_cases
from train.external.same_task import as_trained
from train.external.sites import Sites
from train.planning.fingerprint import fingerprint
from train.planning.inspection import inspect
from train.planning.near_duplicates import with_duplicates_together


@dataclass(frozen=True)
class Candidate:
    """What is tested.

    Attributes:
        name: of dataset and network.
        kind: in words: "network" or the format of an artifact, and of how many.
        segment: from a scan as read to class indices (*spatial).
        labels: classes by class index, background first.
        channels: names of the input channels.
        recipe: preprocessing of a scan, which says how many axes and channels it has and what NaN stands for.
        regions: structures that may overlap, or none.
        postprocessing: how its segmentations are cleaned up, where ``segment`` does not do that itself.
        fingerprint: what was measured of the training's scans (``train.planning.fingerprint``); {} if it is not known.
        trained_on: ``cases.json`` of each run, whose training cases are left out.
        instances: ``segment`` gives numbers of objects instead, see ``imaging.instances``.
        weights: SHA-256 over the files of its weights, which tells networks of one name apart.
    """

    name: str
    kind: str
    segment: Callable
    labels: tuple[Label, ...]
    channels: tuple[str, ...]
    recipe: Recipe
    regions: tuple[Region, ...] = ()
    postprocessing: Postprocessing = field(default_factory=Postprocessing)
    fingerprint: dict = field(default_factory=dict)
    trained_on: tuple[Path, ...] = ()
    instances: bool = False
    weights: str = ""


def prepare(candidate: Candidate, dataset: Dataset) -> Dataset:
    """The cases of a folder that a candidate can be tested on; no image is opened, but files of equal size are read.

    Raises:
        InputError: in one line, if labels or channels differ, or no labelled case is left.
    """
    dataset = as_trained(dataset, candidate.labels, candidate.regions, candidate.channels)
    if dataset.instances != candidate.instances:
        here, there = ("objects" if each else "classes" for each in (dataset.instances, candidate.instances))
        raise InputError(
            f"{dataset.folder}: its labels number {here}, {candidate.name} finds {there}; expected the same"
        )
    labelled = [case for case in dataset.cases if case.label is not None]
    if not labelled:
        raise InputError(
            f"{dataset.folder}: none of its {len(dataset.cases)} cases has a label; expected some to score"
        )
    seen = trained_cases(candidate.trained_on, labelled)
    unseen = tuple(case for case in labelled if case.name not in seen)
    if not unseen:
        raise InputError(
            f"{dataset.folder}: each of its {len(labelled)} labelled cases trained {candidate.name}; give a folder "
            "with other cases"
        )
    return dataclasses.replace(dataset, cases=unseen)


def score(candidate: Candidate, dataset: Dataset, sites: Sites | None = None, progress: bool = False) -> dict:
    """Score a candidate on every case of a folder.

    Args:
        candidate: what is tested.
        dataset: what ``prepare`` returned.
        sites: columns to score by, and patients, or None.
        progress: show bars.

    Returns:
        {"name", "kind", "weights", "dataset": folder, "patients": {case: patient}, "grouping": the rule of these,
        "postprocessing", "cases": {case: {label: {metric: value}}}, "mean", "mean_present" as
        ``train.evaluation.averages.means`` gives them,
        "interval": {label: {metric: [low, high]}}, "by": {column: {value: {"cases": number, "patients": number,
        "mean", "interval"}}}, "fingerprint": of these scans, "trained": of the training's, "notes": lines}.

    Raises:
        InputError: before anything is segmented, if a case cannot be read or has other axes; every problem is listed.
    """
    facts = _inspected(candidate, dataset, progress)
    dataset = with_duplicates_together(dataset, facts.facts, folds=2)

    def segment(scan):
        return apply(candidate.segment(scan), candidate.postprocessing, candidate.labels, scan.spacing)

    whose = {"recipe": candidate.recipe, "ignore": dataset.ignore, "regions": candidate.regions}
    cases = score_cases(segment, dataset.cases, dataset.labels, progress=progress, **whose)["cases"]
    patients = {case.name: case.group for case in dataset.cases} | (sites.patients if sites else {})
    columns = sites.columns if sites else {}
    return {
        "name": candidate.name,
        "kind": candidate.kind,
        "weights": candidate.weights,
        "dataset": str(dataset.folder),
        "postprocessing": list(record.to_dict(candidate.postprocessing)["classes"]),
        "patients": patients,
        "grouping": "the column patient" if sites and sites.patients else dataset.grouping,
        **summed_up(cases, patients),
        "by": {column: _by(cases, patients, values) for column, values in columns.items()},
        "cases": cases,
        "fingerprint": fingerprint(dataset, facts.facts),
        "trained": candidate.fingerprint,
        "notes": [*dataset.notes, *facts.warnings],
    }


def summed_up(cases: dict, patients: dict) -> dict:
    """Means over the cases and their 95 % intervals, patients drawn with replacement."""
    intervals = {
        label: {
            metric: bootstrap_mean([rows[label][metric] for rows in cases.values()], [patients[n] for n in cases])
            for metric in columns_of(next(iter(cases.values())))
        }
        for label in next(iter(cases.values()))
    }
    ends = {label: {m: [each.low, each.high] for m, each in row.items()} for label, row in intervals.items()}
    return {**means(cases), "interval": ends}


def interval_of(result: dict, label: str, metric: str) -> Interval:
    """A mean of ``score`` or of one of its sites, with its interval."""
    return Interval(result["mean"][label][metric], *result["interval"][label][metric])


def method_text(result: dict) -> str:
    """How the intervals were made, in words."""
    count = len(set(result["patients"].values()))
    if count < 2:
        return "no interval: all cases are of one patient"
    return f"{LEVEL:.0%} percentile intervals of {DRAWS} bootstrap draws of {count} patients ({result['grouping']})"


def _by(cases, patients, values) -> dict:
    rows = {}
    for value in sorted(set(values.values())):
        here = {name: scores for name, scores in cases.items() if values[name] == value}
        rows[value] = {"cases": len(here), "patients": len({patients[name] for name in here})}
        rows[value] |= summed_up(here, patients)
    return rows


def _inspected(candidate, dataset, progress):
    inspection = inspect(dataset, progress, candidate.recipe.nan)
    # A class that no scan here holds is worth knowing, but no fault of a test set, as it would be of a training set.
    absent = [message for message in inspection.fatal if "occurs in no case" in message]
    fatal = [message for message in inspection.fatal if message not in absent]
    axes = {len(fact.shape) for fact in inspection.facts} - {candidate.recipe.rank}
    if axes:
        fatal.append(
            f"its scans have {axes.pop()} spatial axes, {candidate.name} takes {candidate.recipe.rank}; expected as "
            "many"
        )
    if fatal:
        check = command_line("zoo plan", dataset.folder, "--check")
        more = f" (and {len(fatal) - 1} more: {check} lists all)" if len(fatal) > 1 else ""
        raise InputError(f"{dataset.folder}: {fatal[0]}{more}")
    return inspection
