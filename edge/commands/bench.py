"""``zoo-edge bench``: artifacts timed beside each other."""

import dataclasses

from edge.commands.arguments import add_threads, positive
from medseg import command
from medseg.quiet import native_logs_hidden


def add_bench(commands) -> None:
    """Add ``bench``."""
    parser = commands.add_parser(
        "bench",
        help="time artifacts beside each other",
        description="Time the networks of artifacts on one patch each, in turn, so that all meet the same machine.",
    )
    parser.add_argument("artifacts", metavar="ARTIFACT", nargs="+", help="artifact folders, or names of shipped ones")
    parser.add_argument("--rounds", type=positive, default=20, help="timed runs of each (default 20)")
    parser.add_argument("--warmup", type=positive, default=3, help="runs before those, not counted (default 3)")
    add_threads(parser)
    command.add_trust(parser)
    parser.add_argument("--json", action="store_true", help="print the timings as JSON")
    parser.set_defaults(handler=bench)


def bench(args) -> None:
    """Time artifacts and print the table."""
    from edge.runtime.benchmark import compare, table
    from medseg.progress import Bar

    with native_logs_hidden() as seen:
        bar = Bar("rounds", seen)
        timings = compare(args.artifacts, args.threads, args.rounds, args.warmup, bar, args.trust)
        bar.close()
    quickest = min(timings, key=lambda timing: timing.median_ms).name
    if args.json:
        facts = [dataclasses.asdict(timing) for timing in timings]
        return command.emit_json({"threads": args.threads, "quickest": quickest, "artifacts": facts})
    print(table(timings))
    print(
        f"{args.rounds} rounds after {args.warmup} of warm-up, in turn; {args.threads} threads; speed against the first"
    )
    if len(timings) > 1:
        print(f"{quickest} is the quickest on this machine, by the median")
    return None
