"""What a worker does: open the artifact once, segment a case, write its outputs and its record."""

import functools
from argparse import Namespace

from edge.cohort.records import Task, keep_report, report_if_done
from edge.commands.opening import open_network
from edge.commands.scans import reason_of, segment_case
from edge.dicom.objects import DicomOptions

_NOT_OF_THE_WORK = ("handler", "scans", "out", "json", "jobs", "report", "scheduler", "cohort", "series")


def options_of(args: Namespace) -> tuple[tuple[str, object], ...]:
    """The options of a command line that make its results, to be sent to workers."""
    kept = {name: value for name, value in vars(args).items() if name not in _NOT_OF_THE_WORK}
    return tuple(sorted(kept.items()))


@functools.lru_cache(maxsize=1)
def _opened(options):
    """The network of a worker, which its cases share."""
    return open_network(Namespace(**dict(options)))


def segment_task(options, task: Task) -> dict:
    """Segment a case in a worker.

    Args:
        options: as ``options_of`` returns them.
        task: the case.

    Returns:
        Its report, or "scan" and "error": a scan that cannot be segmented costs no other.
    """
    report = report_if_done(task)  # where a worker ended before it could tell
    if report is not None:
        return report
    try:
        segmenter, how = _opened(options)
        arguments = Namespace(**dict(options))
        dicom = DicomOptions(arguments.codes, arguments.labelmap)
        report = segment_case(segmenter, task.case, task.places, how, None, None, dicom)
        keep_report(task, report)
        return report
    except Exception as error:  # whatever it is, it is the outcome of this case alone
        return {"scan": task.case.name, "error": reason_of(error, task.case)}
