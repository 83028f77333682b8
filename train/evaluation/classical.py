"""Classical methods scored on the cases of a fold as networks are, their parameters chosen on the others."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import imaging
from imaging.annotate.clicks import simulated_clicks
from imaging.classical.registry import get
from imaging.classical.segmentation import segment
from imaging.labels import Label
from imaging.measure.overlap import dice
from medseg.errors import InputError, UsageError, naming
from medseg.progress import track
from train.data.dataset import Dataset, open_dataset
from train.evaluation.averages import means
from train.evaluation.reference import read_case
from train.planning.split import given_folds, split

CANDIDATES = 20  # atlases that are registered to a scan at most
CLICKS = 5
_ROUNDS = 2
_FIRST = ("side", "merge", "keep")
_SEED = 0


@dataclass(frozen=True)
class Conditions:
    """What a method is scored under.

    Attributes:
        fold: whose cases it is scored on.
        folds: in how many the cases are divided, as ``zoo plan`` divides them.
        label: name of the only label that counts; None for all: joined to one structure for methods that find one.
        clicks: simulated points in each label and around them, for methods that take seeds; None gives 5 to those that
            need some, and none to others.
        tuning_cases: training cases that parameters are chosen on, evenly over the sorted names.
        candidates: training cases that serve as atlases, likewise.
    """

    fold: int = 0
    folds: int = 5
    label: str | None = None
    clicks: int | None = None
    tuning_cases: int = 8
    candidates: int = CANDIDATES


def evaluate_method(
    method: str,
    dataset,
    conditions: Conditions = Conditions(),
    parameters: dict | None = None,
    *,
    tune: bool = False,
    progress: bool = False,
) -> dict:
    """Score a classical method on the validation cases of a fold, each in its own geometry.

    Args:
        method: a name of ``imaging.classical.names()``.
        dataset: an open ``Dataset``, or the path of its folder.
        conditions: fold, label, clicks.
        parameters: of the method; those given are not tuned.
        tune: choose the others on training cases, one after the other, each by mean Dice, twice around.
        progress: show a bar.

    Returns:
        As ``train.evaluation.evaluate`` does, with "method", "parameters", "tuned" and "seconds" a case.

    Raises:
        UsageError: for an unknown method, parameter, fold or label.
        InputError: if a case cannot be read or segmented.
    """
    entry = get(method)
    given = dict(parameters or {})
    entry.complete(given)
    dataset = open_dataset(dataset) if isinstance(dataset, str | Path) else dataset
    trial = _Trial(entry, dataset, conditions)
    training, validation = fold_of(dataset, conditions)
    atlases = _atlas_pairs(training, dataset, conditions.candidates, progress) if entry.atlases else ()
    values = {**_defaults(entry), **given}
    if tune:
        cases = [trial.read(case) for case in evenly(training, conditions.tuning_cases)]
        values = _tuned(trial, cases, atlases, values, set(given), progress)
    scores, seconds = {}, []
    for case in track(validation, method, show=progress):
        scores[case.name], spent = trial.score(*trial.read(case), atlases, values)
        seconds.append(spent)
    return {
        "method": method,
        "parameters": entry.complete(values),
        "tuned": tune,
        "fold": conditions.fold,
        "mirror": False,
        "seen": False,
        "seconds": float(np.mean(seconds)),
        "cases": scores,
        **means(scores),
    }


def fold_of(dataset: Dataset, conditions: Conditions):
    """The training and the validation cases of a fold, divided as ``zoo plan`` does.

    Raises:
        UsageError: if there is no such fold.
    """
    parts = given_folds(dataset.cases, conditions.folds) or split(dataset.cases, conditions.folds)
    if not 0 <= conditions.fold < len(parts):
        raise UsageError(f"--fold {conditions.fold}: expected 0 to {len(parts) - 1}")
    held = set(parts[conditions.fold])
    labelled = [case for case in dataset.cases if case.label is not None]
    return [c for c in labelled if c.name not in held], [c for c in labelled if c.name in held]


def evenly(items: Sequence, count: int) -> list:
    """At most ``count`` of the items, evenly over their order."""
    if count >= len(items):
        return list(items)
    return [items[i] for i in np.linspace(0, len(items) - 1, count).round().astype(int)]


def read_atlases(folder, candidates: int = CANDIDATES):
    """Pairs of scan and label scan of a dataset folder, at most ``candidates`` of them."""
    dataset = open_dataset(folder)
    return _atlas_pairs([case for case in dataset.cases if case.label is not None], dataset, candidates, True)


def _atlas_pairs(cases, dataset, candidates, progress):
    pairs = []
    for case in track(evenly(cases, candidates), "atlases", show=progress):
        scan = imaging.read(list(case.images))
        labels = imaging.align(imaging.read_labels(case.label), scan, case.label, case.images[0])
        pairs.append((scan, labels))
    if not pairs:
        raise InputError(f"{dataset.folder}: holds no labelled case; expected some to serve as atlases")
    return tuple(pairs)


class _Trial:
    """How a method's results on a case are scored."""

    def __init__(self, entry, dataset, conditions):
        self.entry, self.dataset, self.conditions = entry, dataset, conditions
        self.known = dataset.labels
        names = [label.name for label in dataset.labels[1:]]
        if conditions.label is not None and conditions.label not in names:
            raise UsageError(f"--label {conditions.label}: expected one of {', '.join(names)}")
        self.seeded = entry.seeds == "needed" or (entry.seeds == "optional" and conditions.clicks is not None)
        several = entry.atlases or self.seeded
        if conditions.label is not None:
            self.labels = (dataset.labels[0], Label(conditions.label, 1))
        elif several and "contours" not in entry.function and entry.name != "grabcut":
            self.labels = dataset.labels
        else:
            name = names[0] if len(names) == 1 else "+".join(names) if len(names) < 4 else "all labels"
            self.labels = (dataset.labels[0], Label(name, 1))

    def read(self, case):
        """The case's name, its scan, and class indices (*spatial) of what is scored."""
        scan, reference = read_case(case, self.known, None, self.dataset.ignore)
        indices = reference.voxels[..., 0].astype(np.int32)
        ignored = indices == len(self.known)
        if self.conditions.label is not None:
            chosen = next(k for k, label in enumerate(self.known) if label.name == self.conditions.label)
            indices = (indices == chosen).astype(np.int32)
        elif len(self.labels) == 2:
            indices = (indices > 0).astype(np.int32)
        indices[ignored] = len(self.labels)
        return case.name, scan, indices

    def score(self, name, scan, reference, atlases, values):
        """{label: {metric: value}}, and the seconds that it took."""
        indices, seconds = self.segmented(name, scan, reference, atlases, values)
        return imaging.score_case(indices, reference, self.labels, scan.spacing), seconds

    def dice(self, name, scan, reference, atlases, values) -> float:
        """Mean Dice of the labels."""
        indices, _ = self.segmented(name, scan, reference, atlases, values)
        counted = reference < len(self.labels)
        return float(np.mean([dice((indices == k) & counted, reference == k) for k in range(1, len(self.labels))]))

    def segmented(self, name, scan, reference, atlases, values):
        """Class indices (*spatial), and the seconds that it took."""
        with naming(name):
            seeds = self._seeds(name, scan, reference) if self.seeded else None
        began = time.perf_counter()
        with naming(name):
            segmented = segment(scan, self.entry.name, seeds=seeds, atlases=atlases, **values).voxels[..., 0]
        seconds = time.perf_counter() - began
        indices = np.zeros(segmented.shape, np.int32)
        if self.entry.atlases:
            for k, label in enumerate(self.known):
                indices[segmented == label.value] = k
            if len(self.labels) == 2 and self.conditions.label is not None:
                indices = (indices == [label.name for label in self.known].index(self.conditions.label)).astype(
                    np.int32
                )
        else:
            indices = segmented.astype(np.int32) if seeds is not None else (segmented > 0).astype(np.int32)
        return indices, seconds

    def _seeds(self, name, scan, reference):
        """Simulated clicks in every label that the case holds, in class indices, the same whenever it is asked."""
        random = np.random.default_rng([_SEED, *name.encode()])
        labels = np.full(scan.shape, -1, np.int32)
        structure = (reference > 0) & (reference < len(self.labels))
        for k in range(1, len(self.labels)):
            if (reference == k).any():
                for stroke in simulated_clicks(
                    reference == k, scan.spacing, self.conditions.clicks or CLICKS, random, k
                ):
                    place = tuple(int(v) for v in stroke.points[0])
                    if stroke.label or not structure[place]:
                        labels[place] = stroke.label
        return labels


def _defaults(entry) -> dict:
    """Parameters at which a method writes one structure: the brightest class, merged superpixels."""
    defaults = {parameter.name: parameter.default for parameter in entry.parameters}
    if "keep" in defaults:
        return {"keep": int(defaults["classes"]) - 1}
    return {}


def _tuned(trial, cases, atlases, values, fixed, progress):
    """The best values by mean Dice, one parameter after the other."""

    def mean_dice(candidate):
        return float(np.mean([trial.dice(*case, atlases, candidate) for case in cases]))

    best = mean_dice(values)
    steps = [p for p in trial.entry.parameters if p.tune and p.name not in fixed]
    # Which side or class is the structure comes first: on the wrong one no other value can be judged.
    steps = sorted(steps, key=lambda parameter: parameter.name not in _FIRST) * _ROUNDS
    channels = cases[0][1].channels
    seen = {_key(values)}
    for parameter in track(steps, "tune", show=progress):
        for value in parameter.tune:
            candidate = {**values, parameter.name: value}
            if _key(candidate) in seen or not _fits(candidate, channels):
                continue
            seen.add(_key(candidate))
            score = mean_dice(candidate)
            if score > best:
                best, values = score, candidate
    return values


def _key(values):
    return tuple(sorted(values.items()))


def _fits(values, channels) -> bool:
    """Whether values make sense together and for the scan."""
    return (
        values.get("channel", -1) < channels
        and not (channels == 1 and values.get("channel", -1) == 0)
        and values.get("keep", -1) < values.get("classes", 3)
        and values.get("low", 0) <= values.get("high", 100)
        and values.get("smallest_mm", 0) <= values.get("largest_mm", 1000)
    )
