"""``zoo compare``: scored runs side by side, case by case."""

from pathlib import Path

from imaging.measure.scoring import HIGHER_IS_BETTER


def add_compare(subparsers) -> None:
    """Add the sub-command ``compare`` to ``subparsers``."""
    parser = subparsers.add_parser(
        "compare",
        help="compare runs case by case",
        description="Compare the scores that zoo evaluate wrote, each run with the first, on the cases that all have: "
        "means and differences with bootstrap intervals by patient, Wilcoxon's signed-rank test, a plot.",
    )
    parser.add_argument(
        "runs",
        metavar="RUN",
        nargs="+",
        type=Path,
        help="run folder, --out of an external test, or a metrics.json; the first is what others are compared with",
    )
    parser.add_argument("--on", metavar="NAME", help="compare their external tests on this folder, not their own cases")
    parser.add_argument(
        "--metric", default="dice", metavar="NAME", help=f"{', '.join(HIGHER_IS_BETTER)} (default: dice)"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="write a page (.html) or the plot (.png, .svg, .pdf)")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.set_defaults(handler=run_compare)


def run_compare(args) -> int:
    """Handle ``zoo compare``."""
    from medseg.atomic import check_writable
    from medseg.command import emit_json
    from train.comparison.compare import compare
    from train.comparison.report import check_name, table, to_dict, write
    from train.comparison.results import read_scores

    if args.out is not None:
        check_name(args.out)
        check_writable(args.out.parent, f"--out {args.out}")
    comparison = compare([read_scores(run, args.on) for run in args.runs], args.metric)
    if args.out is not None:
        write(args.out, comparison)
    if args.json:
        emit_json(to_dict(comparison))
        return 0
    print(table(comparison))
    if args.out is not None:
        print(f"{args.out} written")
    return 0
