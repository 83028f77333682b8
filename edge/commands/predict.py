"""``zoo-edge predict``: scans in, segmentations out."""

import argparse
import os
import sys
import traceback

from edge.commands.arguments import add_runtime, add_threads, add_trust
from medseg import command
from medseg.errors import InputError, UsageError, naming
from medseg.quiet import native_logs_hidden


def add_predict(commands, model: str = "artifact folder, or the name of a shipped one") -> argparse.ArgumentParser:
    """Add ``predict``, and return its parser.

    Args:
        commands: the sub-parsers.
        model: what segments, for the help.
    """
    parser = commands.add_parser(
        "predict",
        help="segment scans",
        description="Segment scans. The result lies in the scan's own geometry, voxel for voxel.",
    )
    parser.add_argument("artifact", metavar="ARTIFACT", help=model)
    parser.add_argument(
        "scans", metavar="SCAN", nargs="+", help="a file, the files of several channels joined by commas, or a folder"
    )
    add_runtime(parser)
    add_trust(parser)
    parser.add_argument("-o", "--out", required=True, help="file for one scan, folder for several")
    add_threads(parser)
    parser.add_argument("--json", action="store_true", help="print volumes and times as JSON")
    parser.set_defaults(handler=predict)
    return parser


def predict(args) -> None:
    """Segment scans and print the volumes."""
    from edge.runtime.segmenter import load

    with native_logs_hidden():
        segmenter = load(args.artifact, args.threads, args.runtime, args.trust)
    segment_scans(segmenter, args)


def segment_scans(segmenter, args) -> None:
    """Segment the scans of ``args`` and print the volumes.

    Args:
        segmenter: an ``edge.Segmenter``, or what has a manifest and a method ``predict`` as that has.
        args: what the user asked for: ``scans``, ``out``, ``json`` and ``artifact``.

    Raises:
        InputError: if a scan cannot be segmented; the others are.
        UsageError: if the results cannot be written as asked; known before any scan is read.
    """
    from edge.cases import find_cases
    from imaging.io.files import NIFTI, suffix
    from medseg.progress import Bar

    cases = find_cases(args.scans, args.out, segmenter.manifest.recipe.channels)
    for case in cases:
        if segmenter.manifest.recipe.rank == 3 and suffix(case.output) not in NIFTI:
            raise UsageError(
                f"--out {case.output}: a 3D segmentation is written as {' or '.join(NIFTI)}; use one of them"
            )
    reports, bar = [], Bar("scans")
    for case in cases:
        try:
            reports.append(_segment(segmenter, case, Bar(case.scan[0].name) if len(cases) == 1 else None))
        except Exception as error:  # whatever it is, it must not cost the user the other scans
            reason = _reason(error, case)
            if len(cases) == 1 and isinstance(error, MemoryError):
                raise InputError(f"{reason}; crop the scan or use a larger machine") from None
            if len(cases) == 1:
                raise
            bar.close()
            print(f"error: {reason}", file=sys.stderr)
            reports.append({"scan": case.name, "error": reason})
        if len(cases) > 1:
            bar(len(reports), len(cases))
    bar.close()
    if args.json:
        command.emit_json({"artifact": str(args.artifact), "format": segmenter.manifest.format, "scans": reports})
    else:
        _print_reports(reports, segmenter.manifest)
    failed = sum("error" in report for report in reports)
    if failed:
        raise InputError(f"{failed} of {len(reports)} scans could not be segmented, as said above")


def _segment(segmenter, case, bar):
    """Segment one case, write the result and report it."""
    from edge.measure import voxel_counts
    from imaging.io.files import read, write

    manifest = segmenter.manifest
    scan = read(case.scan[0] if len(case.scan) == 1 else case.scan, manifest.recipe.channels)
    if scan.rank != manifest.recipe.rank:
        raise InputError(
            f"{case.name}: shape {scan.shape} has {scan.rank} spatial axes, {manifest.name} takes "
            f"{manifest.recipe.rank}; give a {manifest.recipe.rank}D scan"
        )
    try:
        with naming(case.name):
            segmentation = segmenter.predict(scan, bar)
    finally:
        if bar is not None:
            bar.close()
    write(case.output, segmentation.labels)
    return {
        "scan": case.name,
        "output": str(case.output),
        "voxels": voxel_counts(segmentation.labels, manifest.labels, manifest.regions),
        "volumes_ml": segmentation.volumes_ml,
        "areas_mm2": segmentation.areas_mm2,
        "seconds": segmentation.seconds,
        "stages": segmentation.stages,
    }


def _reason(error, case):
    """One line for an error of a scan, with the scan's name; messages for users have it already."""
    if isinstance(error, InputError):
        return str(error)
    if os.environ.get("MEDSEG_TRACEBACK"):
        traceback.print_exception(error)
    return f"{case.name}: {type(error).__name__}: {' '.join(str(error).split())}"


def _print_reports(reports, manifest):
    from imaging.regions import structures

    done = [report for report in reports if "error" not in report]
    named = len(reports) > 1
    names = list(structures(manifest.labels) | structures(manifest.labels, manifest.regions))
    scan_width = 2 + max([4, *(len(report["scan"]) for report in done)]) if named else 0
    width = 2 + max(5, *(len(name) for name in names))
    counted = "voxels" if manifest.recipe.rank == 3 else "pixels"
    unit, key = ("ml", "volumes_ml") if manifest.recipe.rank == 3 else ("mm²", "areas_mm2")
    sized = any(report[key] for report in done)  # pictures do not tell the size of a pixel
    if done:
        print(f"{'scan':{scan_width}}" * named + f"{'label':{width}}{counted:>10}" + f"{unit:>12}" * sized)
    for report in done:
        for name in names:
            line = f"{report['scan']:{scan_width}}" * named + f"{name:{width}}{report['voxels'][name]:10d}"
            print(line + (f"{report[key][name]:12.3f}" if report[key] else ""))
    for report in done:
        print(f"{report['output']} written, {report['seconds']:.2f} s")
