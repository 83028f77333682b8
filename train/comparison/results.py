"""Scores that ``zoo evaluate`` wrote, found in a run folder and read."""

from dataclasses import dataclass
from pathlib import Path

from imaging.configurations import load_configurations, scores_folder
from medseg.command import command_line
from medseg.errors import InputError
from medseg.untrusted import read_json

FILES = ("metrics.json", "summary.json", "ensemble.json")


@dataclass(frozen=True)
class Scores:
    """What is compared.

    Attributes:
        name: what it is called in tables.
        file: that it was read from.
        cases: {case: {label: {metric: value}}}.
        patients: case to patient, where the scores say so.
    """

    name: str
    file: Path
    cases: dict
    patients: dict


def read_scores(place, on: str | None = None) -> Scores:
    """Read the scores of a run.

    Args:
        place: run folder, the ``--out`` of an external test, or a file that ``zoo evaluate`` wrote.
        on: name of an external test of the run, instead of its own cases.

    Raises:
        InputError: in one line, if there are no scores, or they are none of ours.
    """
    place = Path(place)
    file = _file(place, on)
    content = read_json(file, "scores")
    cases = content.get("cases") if isinstance(content, dict) else None
    if not _are_scores(cases):
        raise InputError(f"{file}: holds no scores of cases; expected what zoo evaluate writes")
    patients = content.get("patients", {})
    if not isinstance(patients, dict) or not set(cases) >= set(patients):
        raise InputError(f"{file}: expected patients of its cases, got something else; score it again")
    name = str(place) if on is None else f"{place} on {on}"
    return Scores(name, file, cases, {case: str(patient) for case, patient in patients.items()})


def _file(place, on) -> Path:
    if place.is_file():
        return place
    if not place.is_dir():
        raise InputError(f"{place}: no such run folder or file of scores; give the --out of a zoo train")
    place = scores_folder(place) if load_configurations(place) else place
    folder = place if on is None else place / "external" / on
    for name in FILES:
        if (folder / name).is_file():
            return folder / name
    if on is not None:
        tested = sorted(path.parent.name for path in place.glob("external/*/metrics.json"))
        test = command_line("zoo evaluate", place, "FOLDER")
        known = f"it was tested on {', '.join(tested)}" if tested else f"{test} tests it"
        raise InputError(f"{place}: holds no external test of the name {on!r}; {known}")
    mend = command_line("zoo evaluate", place)
    raise InputError(f"{place}: holds no scores, {FILES[0]} is missing; score it with {mend}")


def _are_scores(cases) -> bool:
    """Whether this is {case: {label: {metric: number}}} with the same labels and metrics everywhere."""
    if not isinstance(cases, dict) or not cases:
        return False
    for labels in cases.values():
        if not isinstance(labels, dict) or not labels:
            return False
        for row in labels.values():
            numbers = isinstance(row, dict) and all(
                isinstance(value, int | float) and not isinstance(value, bool) for value in row.values()
            )
            if not numbers or "dice" not in row:
                return False
    first = next(iter(cases.values()))
    return all(
        labels.keys() == first.keys() and all(labels[name].keys() == first[name].keys() for name in first)
        for labels in cases.values()
    )
