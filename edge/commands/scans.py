"""Scans of a command line through a segmenter: in order, some at a time, each result written, all of them reported."""

import contextlib
import functools
import os
import sys
import traceback
from dataclasses import asdict

from edge.cases import DICOM, Case, find_cases
from edge.dicom.command import kinds_of, object_places, placed, series_of, write_objects
from edge.dicom.kinds import NIFTI_KIND
from edge.dicom.objects import DicomOptions
from edge.measure import of_classes, voxel_counts
from edge.outputs.writing import planned, write_outputs
from edge.runtime.many import predict_in_order
from edge.runtime.options import Options, check_options
from imaging.io.cases import names_of, parts_of
from imaging.io.files import TIFF, VOLUMES, suffix
from imaging.regions import structures
from medseg import command
from medseg.atomic import check_writable
from medseg.claims import claimed
from medseg.columns import aligned
from medseg.errors import InputError, UsageError
from medseg.progress import Bar


def segment_scans(segmenter, args, options: Options | None = None) -> None:
    """Segment the scans of ``args`` and print the volumes.

    Args:
        segmenter: an ``edge.Segmenter``, or what has a manifest and a method ``predict_file`` as that has.
        args: what the user asked for: ``scans``, ``out``, ``json``, ``jobs``, ``report``, ``artifact`` and
            those of DICOM (``edge.dicom.kinds``).
        options: how, and what is written beside the labels.

    Raises:
        InputError: if a scan cannot be segmented; the others are.
        UsageError: if the results cannot be written as asked; known before any scan is read.
    """
    from edge.outputs.report import now

    options = options or Options()
    manifest = segmenter.manifest
    check_options(options, 1 + len(getattr(segmenter, "others", ())), manifest)
    if args.report is not None:
        check_writable(args.report.parent, f"--report {args.report}")
    cases = find_cases(args.scans, args.out, manifest.recipe.channels, manifest.recipe.rank, args.series)
    places = places_of(cases, options, manifest, args)
    began = now()
    reports = _segment_all(segmenter, args, options, cases, places)
    if args.report is not None:
        _write_report(args, manifest, reports, cases, places, began)
    if args.json:
        command.emit_json({"artifact": str(args.artifact), "format": manifest.format, "scans": reports})
    else:
        print_reports(reports, manifest)
    failed = sum("error" in report for report in reports)
    if failed:
        raise InputError(f"{failed} of {len(reports)} scans could not be segmented, as said above")


def _segment_all(segmenter, args, options, cases, places):
    """A report a case."""
    reports, bar, dicom = [], Bar("scans"), DicomOptions(args.codes, args.labelmap)
    alone = Bar(cases[0].scan[0].name) if len(cases) == 1 else None

    def work(number, stop):
        return segment_case(segmenter, cases[number], places[number], options, alone, stop, dicom)

    with contextlib.closing(predict_in_order(range(len(cases)), work, args.jobs)) as outcomes:
        for outcome in outcomes:
            error, case = outcome.error, cases[outcome.scan]
            if error is None:
                reports.append(outcome.segmentation)
            else:
                reason = reason_of(error, case)
                if len(cases) == 1 and isinstance(error, MemoryError):
                    raise InputError(f"{reason}; crop the scan or use a larger machine") from None
                if len(cases) == 1:
                    raise error
                bar.close()
                print(command.printable(f"error: {reason}"), file=sys.stderr)
                reports.append({"scan": case.name, "error": reason})
            if len(cases) > 1:
                bar(len(reports), len(cases))
    bar.close()
    return reports


def segment_case(segmenter, case: Case, places, options: Options, bar, stop, dicom: DicomOptions) -> dict:
    """Segment one case, write the result and report it."""
    manifest = segmenter.manifest
    with claimed(case.output):
        try:
            scan = case.scan[0] if len(case.scan) == 1 else case.scan
            segmentation = segmenter.predict_file(scan, bar, options, stop)
        finally:
            if bar is not None:
                bar.close()
        series = series_of(case, manifest.recipe.rank)
        classes = of_classes(segmentation.labels, manifest)
        write_objects(places, classes, series, manifest, dicom)
        put = functools.partial(placed, series)
        write_outputs(places, segmentation, manifest, case.scan, options.outputs.split, put)
    return {
        "scan": case.name,
        "output": str(case.output),
        **({"series": series.uid} if series is not None else {}),
        **({"outputs": {kind: str(path) for kind, path in places.items()}} if len(places) > 1 else {}),
        "voxels": voxel_counts(classes, manifest.labels, manifest.regions),
        **({"objects": int(segmentation.labels.voxels.max())} if manifest.instances else {}),
        "volumes_ml": segmentation.volumes_ml,
        "areas_mm2": segmentation.areas_mm2,
        "seconds": segmentation.seconds,
        "stages": segmentation.stages,
        "flags": list(segmentation.flags),
        "quality": asdict(segmentation.quality) if segmentation.quality else None,
    }


def places_of(cases, options, manifest, args):
    """Where the outputs of each case go, checked before any scan is read."""
    kinds, report = kinds_of(args, cases), args.report
    for case in cases:
        if manifest.recipe.rank == 3 and NIFTI_KIND in kinds and suffix(case.output) not in VOLUMES + TIFF:
            raise UsageError(
                f"--out {case.output}: a 3D segmentation is written as {', '.join(VOLUMES + TIFF)}; use one of them"
            )
    numbered = manifest.instances is not None
    places = [_of_case(case.output, options.outputs, kinds, numbered) for case in cases]
    inputs = {name for case in cases for path in case.scan for name in names_of(path)}
    given = [path for paths in places for path in paths.values()] + ([] if report is None else [report])
    seen = set()
    for path in given:
        place = path.resolve()
        if not inputs.isdisjoint(names_of(path)):
            raise UsageError(f"{path}: would be written over an input; choose another place")
        if str(place).casefold() in seen:
            raise UsageError(f"{path}: two outputs would be written there; rename a scan, or choose another --report")
        if path.is_dir() and not path.name.endswith("-capture"):
            raise UsageError(f"{path}: is a folder; a file would be written there, choose another place")
        seen.add(str(place).casefold())
    return places


def _of_case(output, outputs, kinds, numbered):
    """Kind to place of a case's files: the labels, what is beside them, DICOM objects."""
    objects = object_places(output, kinds) if set(kinds) - {NIFTI_KIND} else {}
    name = output.with_suffix(".nii.gz") if output.name.lower().endswith(DICOM) else output
    beside = planned(name, outputs, numbered)
    if NIFTI_KIND not in kinds:
        del beside["labels"]
    return beside | objects


def _write_report(args, manifest, reports, cases, places, began):
    from edge.outputs.report import described, write_report

    scans = []
    for report, case, paths in zip(reports, cases, places, strict=True):
        parts = [part for path in case.scan if path.is_file() for part in parts_of(path, strict=False)]
        files: dict = {"inputs": [described(part) for part in parts]}
        if "error" not in report:
            files["outputs"] = {kind: described(path) for kind, path in paths.items() if path.is_file()}
        scans.append(report | files)
    options = {name: _plain(value) for name, value in vars(args).items() if name != "handler"}
    write_report(args.report, began, _artifacts(args, manifest), scans, options)


def _artifacts(args, manifest) -> list[dict]:
    """What is known of each artifact of the command line, or of the run."""
    from edge.commands.opening import artifacts
    from edge.manifest import load_manifest

    several = artifacts(str(args.artifact)) if hasattr(manifest, "sha256") else []
    named = [(name, load_manifest(name, verify=False)) for name in several] if len(several) > 1 else []
    return [
        {"folder": folder, "name": each.name, "format": each.format, "model_sha256": getattr(each, "sha256", None)}
        for folder, each in named or [(str(args.artifact), manifest)]
    ]


def _plain(value):
    return value if isinstance(value, bool | int | float | list | None) else str(value)


def reason_of(error, case):
    """One line for an error of a scan, with the scan's name; messages for users have it already."""
    if isinstance(error, InputError):
        return str(error)
    if os.environ.get("MEDSEG_TRACEBACK"):
        traceback.print_exception(error)
    return f"{case.name}: {type(error).__name__}: {' '.join(str(error).split())}"


def print_reports(reports, manifest) -> None:
    """Print what was measured, and what was written."""
    done = [report for report in reports if "error" not in report]
    named = len(reports) > 1
    names = list(structures(manifest.labels) | structures(manifest.labels, manifest.regions))
    counted = "voxels" if manifest.recipe.rank == 3 else "pixels"
    unit, key = ("ml", "volumes_ml") if manifest.recipe.rank == 3 else ("mm²", "areas_mm2")
    sized = any(report[key] for report in done)  # pictures do not tell the size of a pixel
    rows = [(*("scan",) * named, "label", counted, *(unit,) * sized)] if done else []
    for report in done:
        for name in names:
            scan = (command.printable(report["scan"]),) * named
            size = (f"{report[key][name]:.3f}" if report[key] else "",) * sized
            rows.append((*scan, name, str(report["voxels"][name]), *size))
    for line in aligned(rows, 1 + named):
        print(line)
    for report in done:
        beside = len(report.get("outputs", "x")) - 1
        more = f" with {beside} more beside it" if beside else ""
        objects = f", {report['objects']} objects" if "objects" in report else ""
        print(f"{command.printable(report['output'])} written{more}{objects}, {report['seconds']:.2f} s")
    for report in done:
        about = f"{command.printable(report['scan'])}: " if named else ""
        if report["quality"]:
            dice, low, high = (report["quality"][name] for name in ("dice", "low", "high"))
            print(f"{about}predicted mean Dice {dice:.2f} ({low:.2f} to {high:.2f})")
        for flag in report["flags"]:
            print(f"{about}check this result: {flag}")
