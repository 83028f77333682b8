"""What was done of a cohort: a record for each case, by which it is known again, and one table of all."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge.cases import Case
from edge.outputs.report import described
from edge.outputs.tables import csv_bytes, json_bytes
from imaging.io.cases import parts_of
from imaging.io.dicom.reference import split_reference
from medseg.atomic import write_bytes
from medseg.errors import InputError
from medseg.untrusted import read_json

FOLDER, TABLE = ".cohort", "cohort.csv"


@dataclass(frozen=True)
class Task:
    """A case with all that its result depends on.

    Attributes:
        case: what is to be segmented.
        places: kind of output to its file.
        work: digest of artifact and options.
        record: file of the record.
    """

    case: Case
    places: dict[str, Path]
    work: str
    record: Path


def task_of(case: Case, places: Mapping[str, Path], work: str, out: Path) -> Task:
    """The task of a case in a cohort whose results go to ``out``."""
    name = hashlib.sha256(case.output.name.encode()).hexdigest()[:20]
    return Task(case, dict(places), work, Path(out) / FOLDER / f"{name}.json")


def work_digest(models: Sequence[str], options: Mapping) -> str:
    """What identifies the work on every case: the digests of the models, and the options by name."""
    text = json.dumps([list(models), {name: str(value) for name, value in sorted(options.items())}])
    return hashlib.sha256(text.encode()).hexdigest()


def report_if_done(task: Task) -> dict | None:
    """The report of a case whose result stands: of the same inputs, artifact and options, with all its outputs.

    Args:
        task: the case.
    """
    try:
        record = read_json(task.record, "record")
    except InputError:
        return None
    if not isinstance(record, dict) or record.get("work") != task.work or record.get("inputs") != _inputs(task.case):
        return None
    outputs, report = record.get("outputs"), record.get("report")
    if not isinstance(outputs, dict) or set(outputs) != set(task.places) or not _fits_table(report):
        return None
    stands = all(_content(path) == outputs[kind] for kind, path in task.places.items())
    return report if stands else None


def keep_report(task: Task, report: Mapping) -> None:
    """Record a case that is done, after its outputs were written.

    Raises:
        InputError: if the record cannot be written.
    """
    outputs = {kind: _content(path) for kind, path in task.places.items()}
    record = {"work": task.work, "inputs": _inputs(task.case), "outputs": outputs, "report": dict(report)}
    write_bytes(task.record, json_bytes(record))


def write_table(path: Path, reports: Sequence[Mapping]) -> None:
    """Write the table: a row a case, with sizes of all structures, flags, and the error of those that failed.

    Args:
        path: of the CSV file.
        reports: as ``edge.commands.scans`` makes them, or "scan" and "error".

    Raises:
        InputError: if it cannot be written.
    """
    done = [report for report in reports if "error" not in report]
    names = list(dict.fromkeys(name for report in done for name in report["voxels"]))
    write_bytes(path, csv_bytes([_row(report, names) for report in reports]))


def _fits_table(report) -> bool:
    """Whether a report that was read from a file has what the table is made of."""
    if not isinstance(report, dict) or "error" in report or not isinstance(report.get("scan"), str):
        return False
    sizes = [report.get(key) for key in ("voxels", "volumes_ml", "areas_mm2")]
    quality, flags = report.get("quality"), report.get("flags", [])
    return (
        all(isinstance(each, dict) for each in sizes)
        and isinstance(quality, dict | None)
        and isinstance(flags, list)
        and all(isinstance(flag, str) for flag in flags)
    )


def _row(report, names):
    failed = "error" in report
    quality = report.get("quality") or {}
    row = {
        "scan": report["scan"],
        "state": "failed" if failed else "done",
        "output": report.get("output"),
        "seconds": report.get("seconds"),
        "predicted_dice": quality.get("dice"),
        "predicted_dice_low": quality.get("low"),
        "predicted_dice_high": quality.get("high"),
        "flags": "; ".join(report.get("flags", ())),
        "error": report.get("error", ""),
    }
    for name in names:
        row[f"{name} voxels"] = None if failed else report["voxels"].get(name)
        row[f"{name} ml"] = None if failed else report["volumes_ml"].get(name)
        row[f"{name} mm2"] = None if failed else report["areas_mm2"].get(name)
    return row


def _inputs(case) -> list:
    """Name, size and time of every file of a scan; a change of any makes another result."""
    files: list[Path] = []
    for scan in case.scan:
        place = Path(split_reference(scan)[0])
        if place.is_dir():
            files += sorted(path for path in place.rglob("*") if path.is_file())
        else:
            files += parts_of(scan, strict=False)
    return [[str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns] for path in files]


def _content(path):
    """What identifies the content of an output: its digest, or of a folder those of its files; None of what is gone."""
    if path.is_dir():
        return {each.name: described(each)["sha256"] for each in sorted(path.iterdir()) if each.is_file()}
    return described(path)["sha256"] if path.is_file() else None
