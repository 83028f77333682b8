"""``zoo bench``: artifacts side by side, with other runtimes on the same network."""

import argparse
from pathlib import Path

from medseg.command import add_trust
from medseg.errors import InputError, UsageError


def add_bench(subparsers) -> None:
    """Add the sub-command ``bench`` to ``subparsers``."""
    parser = subparsers.add_parser(
        "bench",
        help="time artifacts, and other runtimes on the same network, side by side",
        description="Time the networks of artifacts on one patch, in turn, each in a process of its own that is "
        "stopped while the others run. With --peers other runtimes run the same network, made from --model.",
    )
    parser.add_argument("artifacts", metavar="ARTIFACT", nargs="*", help="artifact folder")
    parser.add_argument("--peers", action="store_true", help="run the peers that are installed, and name those absent")
    parser.add_argument("--peer", action="append", default=[], metavar="NAME", help="may be repeated; see --list")
    parser.add_argument("--model", type=Path, metavar="RUN", help="run folder or saved Keras network, for the peers")
    parser.add_argument(
        "--python",
        action="append",
        default=[],
        metavar="PATH",
        help="another interpreter for peers that this one lacks",
    )
    parser.add_argument("--threads", type=_counts, default=(2,), metavar="N[,N]", help="processor threads (default 2)")
    parser.add_argument("--rounds", type=_positive, default=20, help="turns of each, three runs long (default 20)")
    parser.add_argument("--warmup", type=_positive, default=3, help="turns before those, not counted (default 3)")
    add_trust(parser)
    parser.add_argument("--plot", type=Path, metavar="FILE", help="write a picture: .png, .svg or .pdf")
    parser.add_argument("--list", action="store_true", help="print the peers and where they are")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.set_defaults(handler=run_bench)


def run_bench(args) -> int:
    """Handle ``zoo bench``."""
    import sys

    from export.bench import report
    from export.bench.compare import compare
    from export.bench.contest import Rounds
    from export.bench.peers import PeerOptions, choose
    from medseg.atomic import check_writable
    from medseg.command import emit_json
    from medseg.progress import Bar

    if args.list:
        return _list(args)
    if not args.artifacts and not (args.peers or args.peer):
        raise UsageError("nothing to time: give an artifact folder, or --peers and --model RUN")
    if args.trust is not None and not args.artifacts:
        raise UsageError(f"--trust {args.trust}: of signed artifacts, and none is given")
    if args.plot is not None:
        report.check_picture(args.plot)
        check_writable(args.plot.parent, f"--plot {args.plot}")
    choose(args.peer, args.peers)  # says so if a name is unknown, before anything is looked for
    if args.model is not None and not args.model.exists():
        raise InputError(f"--model {args.model}: no such run folder or saved Keras network")
    bar = Bar("rounds")
    comparison = compare(
        args.artifacts,
        PeerOptions(args.peer, args.peers, args.model, args.python),
        trust=args.trust,
        rounds=Rounds(args.threads, args.rounds, args.warmup),
        progress=bar,
        tell=lambda line: print(line, file=sys.stderr, flush=True),
    )
    bar.close()
    if args.plot is not None:
        report.plot(comparison, args.plot)
    if args.json:
        emit_json(report.to_dict(comparison))
    else:
        print(report.table(comparison))
        print(
            f"{args.rounds} turns of 3 runs after {args.warmup} of warm-up; first: opening and one run, the runtime "
            "imported before; peak: the whole process; same: voxels of the reference's class"
        )
    failed = [name for name in (*args.artifacts, *args.peer) if name in comparison.failures]
    if failed:
        raise InputError("; ".join(f"{name}: {comparison.failures[name]}" for name in failed))
    return 0


def _list(args) -> int:
    import dataclasses

    from export.bench.peers import PEERS, find
    from medseg.command import emit_json

    peers = find(list(PEERS.values()), args.python)
    if args.json:
        emit_json(
            [
                dataclasses.asdict(peer) | {"python": peers.python.get(name), "absent": peers.absent.get(name)}
                for name, peer in PEERS.items()
            ]
        )
        return 0
    for name, peer in PEERS.items():
        slow = "; by --peer only, takes a minute" if peer.slow else ""
        print(f"{name:26} {peer.description}{slow}: {peers.absent.get(name) or peers.python[name]}")
    return 0


def _counts(text):
    return tuple(dict.fromkeys(_positive(part) for part in text.split(",")))


def _positive(text):
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)
