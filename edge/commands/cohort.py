"""``zoo-edge predict --cohort``: thousands of cases by processes, begun again where they stopped, one table of all."""

import functools
import sys
from pathlib import Path

from edge.cohort.cluster import check_scheduler, connected, run_tasks
from edge.cohort.listing import list_cohort
from edge.cohort.records import TABLE, report_if_done, task_of, work_digest, write_table
from edge.cohort.tasks import options_of, segment_task
from edge.commands.opening import artifacts, open_network
from edge.commands.scans import places_of
from edge.manifest import load_manifest
from edge.runtime.options import check_options
from edge.shipped import locate
from imaging.prior import FOLDER
from medseg import command
from medseg.errors import InputError, UsageError
from medseg.progress import Bar


def segment_cohort(args) -> None:
    """Segment a cohort and write its table.

    Args:
        args: of ``zoo-edge predict``.

    Raises:
        InputError: if a case cannot be segmented; the others are.
        UsageError: if the command line is none of a cohort.
    """
    if len(args.scans) != 1 or args.series is not None or args.report is not None:
        wrong = "--series" if args.series is not None else "--report" if args.report is not None else "several scans"
        raise UsageError(f"--cohort: takes one folder and neither --series nor --report, got {wrong}")
    if args.scheduler is not None:
        check_scheduler(args.scheduler)
    segmenter, options = open_network(args)  # so that a mistake is told here, not by every worker
    manifest, out = segmenter.manifest, Path(args.out)
    check_options(options, 1 + len(segmenter.others), manifest)
    cohort = list_cohort(args.scans[0], args.out, manifest.recipe.channels, manifest.recipe.rank)
    places = places_of(cohort.cases, options, manifest, args) if cohort.cases else []
    shared = options_of(args)
    work = work_digest(_models(args), dict(shared) | {"threads": None, "trust": None})
    tasks = [task_of(case, files, work, out) for case, files in zip(cohort.cases, places, strict=True)]
    reports: list = [report_if_done(task) for task in tasks]
    left = [number for number, report in enumerate(reports) if report is None]
    before = len(tasks) - len(left)
    table = [{"scan": name, "error": reason} for name, reason in cohort.faults]
    del segmenter
    try:
        if left:
            _run(args, shared, [tasks[number] for number in left], left, reports)
    finally:  # what was done is in the table also where the rest was interrupted
        write_table(out / TABLE, [report for report in reports if report is not None] + table)
    _tell(args, manifest, reports + table, before)


def _run(args, shared, tasks, numbers, reports):
    """Have the tasks done, and put each report where it belongs."""
    bar = Bar("cases")
    with connected(args.scheduler, args.jobs) as client:
        for done, (place, outcome) in enumerate(run_tasks(client, functools.partial(segment_task, shared), tasks), 1):
            failed = isinstance(outcome, Exception)
            report = {"scan": tasks[place].case.name, "error": _line(outcome)} if failed else outcome
            reports[numbers[place]] = report
            if "error" in report:
                bar.close()
                print(command.printable(f"error: {report['error']}"), file=sys.stderr)
            bar(done, len(tasks))
    bar.close()


def _models(args) -> list[str]:
    """The digests of all that segments: artifacts, and one that finds the region of interest."""
    names = artifacts(args.artifact)
    first = args.roi == FOLDER and load_manifest(locate(names[0]), verify=False).first is not None
    if args.roi is not None and not args.roi.startswith("threshold:") and not first:
        names.append(args.roi)
    digests = []
    for name in names:
        folder = locate(name)
        digests += [load_manifest(folder, verify=False).sha256, (folder / "manifest.json").read_text(encoding="utf-8")]
    return digests


def _line(error) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, InputError) else f"{type(error).__name__}: {text}"


def _tell(args, manifest, reports, before):
    failed = [report for report in reports if "error" in report]
    table = Path(args.out) / TABLE
    if args.json:
        facts = {"artifact": str(args.artifact), "format": manifest.format, "table": str(table)}
        command.emit_json(facts | {"done_before": before, "scans": reports})
    else:
        flagged = sum(bool(report.get("flags")) for report in reports)
        print(
            f"{len(reports) - len(failed)} cases done, {before} of them before; {flagged} flagged, {len(failed)} failed"
        )
        print(f"{table} written")
    if failed:
        raise InputError(f"{len(failed)} of {len(reports)} cases could not be segmented, see {table}")
