"""``zoo filters`` and ``zoo filter``: the registry of filters, and one of them tried on a scan."""

import argparse
import dataclasses

from medseg import command


def main(argv=None, prog: str = "zoo") -> int:
    """Run ``filters`` or ``filter``; returns the exit status."""
    return command.run(build_parser(prog), argv)


def build_parser(prog: str = "zoo") -> argparse.ArgumentParser:
    """The parser of ``filters`` and ``filter``."""
    parser = argparse.ArgumentParser(prog=prog)
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_filters(subparsers)
    _add_filter(subparsers)
    return parser


def _add_filters(subparsers):
    parser = subparsers.add_parser("filters", help="list the filters", description="List the filters, or show one.")
    parser.add_argument("name", nargs="?", help="filter to show")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON")
    form.add_argument("--markdown", action="store_true", help="print the reference page")
    parser.set_defaults(handler=run_filters)


def run_filters(args) -> int:
    """Handle ``zoo filters``."""
    from imaging.filters.registry import FILTERS, get

    entries = [get(args.name)] if args.name else FILTERS
    if args.json:
        command.emit_json([dataclasses.asdict(entry) for entry in entries])
    elif args.markdown:
        print(markdown(entries), end="")
    elif args.name:
        print(described(entries[0]))
        command.next_command("zoo filter", args.name, "SCAN", "-o", "OUT")
    else:
        print(f"{'name':10} {'rank':5} {'parameters':52} summary")
        for entry in entries:
            print(f"{entry.name:10} {_ranks(entry):5} {_example(entry):52} {entry.summary}")
        command.next_command("zoo filters", entries[0].name)
    return 0


def _add_filter(subparsers):
    parser = subparsers.add_parser(
        "filter", help="filter a scan", description="Apply a filter to a scan, to see what it does before training."
    )
    parser.add_argument("step", metavar="NAME=PARAMETER:VALUE,...", help="such as clahe=clip:2,tile_mm:40")
    parser.add_argument("scan", metavar="SCAN", help="file of a scan")
    parser.add_argument("-o", "--out", required=True, help="file to write")
    parser.add_argument("--nan", type=float, metavar="VALUE", help="what voxels that are NaN stand for")
    parser.set_defaults(handler=run_filter)


def run_filter(args) -> int:
    """Handle ``zoo filter``."""
    from pathlib import Path

    import imaging
    from edge.dicom.command import placed_as
    from imaging.filters.steps import apply, learn_steps, parse_step
    from imaging.io.cases import names_of
    from imaging.io.files import suffix
    from medseg.atomic import check_writable
    from medseg.errors import UsageError, naming
    from medseg.progress import Bar

    step = parse_step(args.step)
    kind = suffix(args.out)
    if kind in (".jpg", ".jpeg"):
        raise UsageError(f"--out {args.out}: JPEG alters values; use .png, .tif or .nii.gz")
    if not names_of(args.out).isdisjoint(names_of(args.scan)):
        raise UsageError(f"--out {args.out}: is the scan itself and would be overwritten; choose another name")
    check_writable(Path(args.out).parent, f"--out {args.out}")
    scan = imaging.read(args.scan, nan=args.nan)
    # What other filters learn from the training cases they learn here from the one scan that there is.
    (step,) = learn_steps((step,), lambda steps: [scan])
    bar = Bar(step.name)
    with naming(args.scan):
        result = apply(scan, step.name, progress=bar, **step.parameters)
    bar.close()
    imaging.write(args.out, placed_as([args.scan], _storable(result, kind), args.out))
    print(f"{args.out} written, {' x '.join(map(str, result.shape))} voxels of {_mm(result.spacing)}")
    return 0


def markdown(entries) -> str:
    """The reference page of filters."""
    lines = [
        "# Filters",
        "",
        "Made by `zoo filters --markdown`. In a recipe: `zoo plan --filter NAME=PARAMETER:VALUE,...`, repeatable, in",
        "order; by hand: `zoo filter NAME=PARAMETER:VALUE,... SCAN -o OUT`. Lengths are in millimetres.",
        "",
        "| filter | what it does | library |",
        "|---|---|---|",
        *(f"| [`{entry.name}`](#{entry.name}) | {entry.summary} | {_code(entry.wraps)} |" for entry in entries),
    ]
    for entry in entries:
        lines += ["", f"## {entry.name}", "", f"{entry.summary[0].upper()}{entry.summary[1:]}.", ""]
        lines += [f"- For: {entry.use}.", f"- Scans: {_ranks(entry)}.", f"- Library: {_code(entry.wraps)}"]
        lines[-1] += ' (`pip install "medseg-zoo[imaging]"`).' if entry.package else "."
        lines += [f"- Published: {entry.paper}."] * bool(entry.paper)
        lines += ["- The result lies on another grid; segmentations are carried back."] * entry.moves
        if entry.parameters:
            lines += ["", "| parameter | default | takes | meaning |", "|---|---|---|---|"]
            lines += [f"| `{p.name}` | {_default(p)} | {p.range()} | {p.help} |" for p in entry.parameters]
    return "\n".join(lines) + "\n"


def described(entry) -> str:
    """What is known of a filter, a line each."""
    facts = {
        "name": f"{entry.name}, {_ranks(entry)}",
        "does": entry.summary,
        "for": entry.use,
        "library": entry.wraps + (" (extra imaging)" if entry.package else ""),
        "paper": entry.paper,
        "option": f"--filter {_example(entry)}",
    }
    lines = [f"{name:10} {text}" for name, text in facts.items() if text]
    lines += [f"{p.name:14} {_default(p):>12}  {p.range()}: {p.help}" for p in entry.parameters]
    return "\n".join(lines)


def _example(entry):
    given = [p for p in entry.parameters if p.default is not None or not p.learnt]
    values = ",".join(f"{p.name}:{_default(p)}" for p in given[:3])
    return entry.name + (f"={values}" if values else "")


def _default(parameter):
    if parameter.default is None:
        return "learnt" if parameter.learnt else "-"
    return f"{parameter.default:g}" if isinstance(parameter.default, int | float) else str(parameter.default)


def _ranks(entry):
    return " and ".join(f"{rank}D" for rank in entry.ranks)


def _code(names):
    return ", ".join(f"`{name}`" for name in names.split(", "))


def _storable(scan, kind):
    """The scan as the format takes it: pictures hold whole numbers; what lies beyond theirs the format refuses."""
    import numpy as np

    from imaging.io.files import IMAGES

    if kind not in IMAGES or scan.rank == 3:
        return scan
    voxels = scan.voxels
    if voxels.min() >= 0 and voxels.max() <= 1:  # a share, such as vesselness
        voxels = voxels * 255
    return dataclasses.replace(scan, voxels=np.rint(voxels))


def _mm(spacing):
    return " x ".join(f"{size:.4g}" for size in spacing) + " mm"
