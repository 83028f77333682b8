"""``zoo inspect``: a look at a dataset folder, as one page, and a mended copy of it."""

import os
from pathlib import Path

from medseg.atomic import check_writable
from medseg.command import emit_json, next_command
from medseg.errors import InputError, UsageError
from train.commands.folder_options import add_folder_options, choices_of, repeated


def add_inspect(subparsers) -> None:
    """Add the sub-command ``inspect`` to ``subparsers``."""
    parser = subparsers.add_parser(
        "inspect",
        help="look at a dataset: pictures, histograms, outliers, duplicates, suspicious labels",
        description="Read every case of a dataset folder once and write one HTML page: a montage with the labels' "
        "outlines, histograms before and after each step of the recipe, and what sticks out, each with a picture and "
        "the command that mends it: scans that occur twice or nearly so, tiny islands and holes in labels, sides "
        "exchanged, labels far from their usual place, unusual sizes, spacings and intensities.",
    )
    parser.add_argument("folder", type=Path, help="dataset folder: MSD, nnU-Net v2, or images/ and labels/")
    parser.add_argument("-o", "--out", type=Path, default=Path("inspection.html"), help="the page to write")
    add_folder_options(parser)
    parser.add_argument("--mend", type=Path, metavar="FOLDER", help="write a mended copy of the dataset there instead")
    parser.add_argument("--only", metavar="KIND[,KIND]", help="with --mend: these kinds alone (default: island,hole)")
    parser.add_argument("--json", action="store_true", help="print what was found as JSON")
    parser.set_defaults(handler=run_inspect)


def run_inspect(args) -> int:
    """Handle ``zoo inspect``."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from train.data.dataset import read_dataset
    from train.inspect.findings import KINDS, findings
    from train.inspect.looks import look_at
    from train.inspect.page import write_page

    if args.only is not None and args.mend is None:
        raise UsageError("--only: goes with --mend, which it limits")
    kinds = [kind.strip() for kind in (args.only or "island,hole").split(",")]
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        raise UsageError(f"--only {unknown[0]}: expected some of {', '.join(KINDS)}, joined by commas")
    place = args.mend or args.out
    check_writable(place.absolute().parent, f"{place}")
    if args.mend is None and (args.out.is_dir() or args.out.suffix.lower() not in (".html", ".htm")):
        raise UsageError(f"--out {args.out}: expected the name of an HTML file, such as inspection.html")
    dataset = read_dataset(args.folder, choices_of(args), args.groups)
    looks = look_at(dataset, progress=not args.json)
    if not looks:
        raise InputError(f"{args.folder}: no labelled case; there is nothing to look at")
    problems = findings(looks, dataset.instances)
    if args.mend is not None:
        return _mend(args, dataset, problems, kinds)
    options = [*repeated(args), *(["--groups", args.groups] if args.groups else [])]
    write_page(args.out, dataset, looks, problems, _plan(dataset), options)
    if args.json:
        emit_json([{"kind": f.kind, "case": f.case, "message": f.message, "of": list(f.of)} for f in problems])
        return 0
    for finding in problems:
        print(f"{finding.kind:14} {finding.case}: {finding.message}")
    print(f"{len(looks)} cases, {len(problems)} findings; page: {args.out}")
    mendable = [kind for kind in ("island", "hole", "duplicate", "mirrored") if kind in {f.kind for f in problems}]
    if mendable and not dataset.instances and not dataset.regions:
        mended = f"{args.folder.resolve().name}-mended"
        next_command("zoo inspect", args.folder, *options, "--mend", mended, "--only", ",".join(mendable))
    else:
        next_command("zoo plan", args.folder, *options, "-o", "plan.json")
    return 0


def _plan(dataset):
    """The plan by the rules, for its recipe; None where the dataset cannot be planned as it is."""
    from train.planning.planner import make_plan

    try:
        return make_plan(dataset, folds=2)
    except InputError:
        return None


def _mend(args, dataset, problems, kinds) -> int:
    from train.inspect.mend import mend

    done = mend(dataset, problems, args.mend, kinds, progress=not args.json)
    if args.json:
        emit_json(done)
        return 0
    print(f"{args.mend}: {len(done['changed'])} label files mended, {len(done['left_out'])} cases left out")
    groups = ["--groups", args.groups] if args.groups else []
    next_command("zoo plan", args.mend, *groups, "-o", "plan.json")
    return 0
