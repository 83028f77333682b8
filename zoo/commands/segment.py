"""``zoo segment``: classical methods on the command line."""

import argparse
from pathlib import Path

from imaging.classical.registry import METHODS, get
from medseg import command
from medseg.errors import UsageError, naming


def build_parser(prog: str = "zoo") -> argparse.ArgumentParser:
    """The parser of ``zoo segment``."""
    parser = argparse.ArgumentParser(prog=prog)
    _add_segment(parser.add_subparsers(required=True, metavar="COMMAND"))
    return parser


def main(argv=None, prog: str = "zoo") -> int:
    """Run ``zoo segment``; returns the exit status."""
    return command.run(build_parser(prog), argv)


def _add_segment(subparsers):
    parser = subparsers.add_parser(
        "segment",
        help="segment scans without a network",
        description="Segment scans by a classical method: thresholds, regions, graphs, clusters, contours, an atlas. "
        "The result lies in the scan's own geometry, voxel for voxel. zoo segment --list shows the methods; "
        "zoo segment METHOD --list the parameters of one.",
    )
    parser.add_argument("method", metavar="METHOD", nargs="?", help="such as otsu or random-walker")
    parser.add_argument(
        "scans", metavar="SCAN", nargs="*", help="a file, the files of several channels joined by commas, or a folder"
    )
    parser.add_argument("-o", "--out", help="file for one scan, folder for several")
    parser.add_argument("--param", action="append", default=[], metavar="NAME=VALUE", help="of the method; repeatable")
    parser.add_argument("--seeds", metavar="FILE.json", help="points, boxes and scribbles that the method starts from")
    parser.add_argument("--atlases", metavar="DATASET", help="labelled scans for the method atlas")
    parser.add_argument("--list", action="store_true", help="list the methods, or the parameters of METHOD")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(handler=run_segment)


def run_segment(args) -> int:
    """Handle ``zoo segment``."""
    if args.list:
        return _list(args)
    if args.method is None or not args.scans:
        raise UsageError("expected METHOD and SCAN, such as: zoo segment otsu scan.nii.gz -o labels.nii.gz")
    entry = get(args.method)
    parameters = entry.read(args.param)
    entry.complete(parameters)
    if args.out is None:
        raise UsageError("-o: missing; give the file, or for several scans the folder, to write to")
    from edge.cases import find_cases
    from imaging.classical.segmentation import check_given, check_installed

    check_given(entry, bool(args.seeds), bool(args.atlases))
    check_installed(f"method {entry.name}", entry.packages)
    cases = find_cases(args.scans, args.out, 1)
    if args.seeds and len(cases) > 1:
        raise UsageError(f"--seeds {args.seeds}: lie on one scan; {len(cases)} were given")
    from imaging.classical.seeds.strokes import read_strokes

    seeds = read_strokes(args.seeds) if args.seeds else None
    atlases = _atlases(args.atlases) if args.atlases else ()
    reports = [_segment(case, entry.name, seeds, atlases, parameters) for case in cases]
    if args.json:
        command.emit_json({"method": entry.name, "parameters": entry.complete(parameters), "scans": reports})
        return 0
    for report in reports:
        counts = ", ".join(f"{value}: {count}" for value, count in list(report["voxels"].items())[:12])
        print(f"{report['output']} written, {report['seconds']:.2f} s; voxels by label {counts or 'none'}")
    return 0


def _segment(case, method, seeds, atlases, parameters):
    import time

    import numpy as np

    from edge.dicom.command import placed_as
    from imaging.classical.segmentation import segment
    from imaging.io.files import TIFF, VOLUMES, read, suffix, write
    from medseg.progress import Bar

    with naming(case.name):
        scan = read(list(case.scan))
    if scan.rank == 3 and suffix(case.output) not in VOLUMES + TIFF:
        kinds = ", ".join(VOLUMES + TIFF)
        raise UsageError(f"--out {case.output}: a 3D segmentation is written as {kinds}; use one of them")
    bar, began = Bar(method), time.perf_counter()
    try:
        with naming(case.name):
            labels = segment(scan, method, seeds=seeds, atlases=atlases, progress=bar, **parameters)
    finally:
        bar.close()
    seconds = time.perf_counter() - began
    write(case.output, placed_as(case.scan, labels, case.output))
    values, counts = np.unique(labels.voxels, return_counts=True)
    voxels = {str(value): int(count) for value, count in zip(values.tolist(), counts, strict=True) if value}
    return {"scan": case.name, "output": str(case.output), "seconds": seconds, "voxels": voxels}


def _atlases(folder):
    from train.evaluation.classical import read_atlases

    return read_atlases(Path(folder))


def _list(args) -> int:
    if args.scans:
        raise UsageError(f"{args.scans[0]}: --list segments nothing; leave one of the two out")
    command.check_left_out(args, ("out", "param", "seeds", "atlases"), "of a segmentation; leave it out with --list")
    methods = METHODS if args.method is None else (get(args.method),)
    if args.json:
        command.emit_json([_facts(method) for method in methods])
        return 0
    if args.method is None:
        width = max(len(method.name) for method in methods)
        for method in methods:
            print(f"{method.name:{width}}  {_axes(method):6}  {_needs(method):7}  {method.summary}")
        command.next_command("zoo segment", methods[0].name, "SCAN", "-o", "LABELS")
        return 0
    method = methods[0]
    print(f"{method.name}: {method.summary}\n{method.paper}; by {method.wraps}\n")
    width = max(len(parameter.name) for parameter in method.parameters)
    for parameter in method.parameters:
        print(f"{parameter.name:{width}}  {parameter.help} ({parameter.range()}; default {parameter.default})")
    return 0


def _facts(method) -> dict:
    import dataclasses

    facts = dataclasses.asdict(method)
    facts.pop("function")
    for row, parameter in zip(facts["parameters"], method.parameters, strict=True):
        row["range"] = parameter.range()
        for name in ("low", "high", "tune", "many", "learnt"):
            row.pop(name)
    return facts


def markdown(methods) -> str:
    """The reference page of methods."""
    lines = [
        "# Methods without a network",
        "",
        "`zoo segment METHOD SCAN -o OUT --param NAME=VALUE`, in Python `imaging.classical.segment`:",
        "[segment without a network](../how-to/segment.md). Names that end in a unit are in that unit.",
        "",
        "| method | axes | needs | what it does |",
        "|---|---|---|---|",
    ]
    for method in methods:
        lines.append(f"| [`{method.name}`](#{method.name}) | {_axes(method)} | {_needs(method)} | {method.summary} |")
    for method in methods:
        lines += ["", f"## {method.name}", "", f"{method.summary[0].upper()}{method.summary[1:]}.", ""]
        functions = ", ".join(f"`{name}`" for name in method.wraps.split(", "))
        extra = ' (`pip install "medseg-zoo[imaging]"`)' if method.packages else ""
        lines += [f"- Published: {method.paper}.", f"- Library: {functions}{extra}."]
        lines += ["", "| parameter | default | takes | meaning |", "|---|---|---|---|"]
        for parameter in method.parameters:
            default = str(parameter.default).lower() if isinstance(parameter.default, bool) else parameter.default
            lines.append(f"| `{parameter.name}` | {default} | {parameter.range()} | {parameter.help} |")
    return "\n".join(lines) + "\n"


def _axes(method):
    return "2D, 3D" if method.ranks == (2, 3) else f"{method.ranks[0]}D"


def _needs(method):
    return "atlases" if method.atlases else {"none": "", "needed": "seeds", "optional": "seeds?"}[method.seeds]
