"""``zoo-edge verify``: whether an artifact is whole, and who signed it."""

import dataclasses

from edge.commands.arguments import add_runtime, add_threads
from medseg import command
from medseg.quiet import native_logs_hidden


def add_verify(commands) -> None:
    """Add ``verify``."""
    parser = commands.add_parser(
        "verify",
        help="check an artifact, and who signed it",
        description="Check that an artifact is whole: its manifest, its model file and, with --trust, the signature of "
        "every file in it; then open it, and compare what it answers here with its test vector.",
    )
    parser.add_argument("artifact", metavar="ARTIFACT", help="artifact folder, or the name of a shipped one")
    add_runtime(parser)
    command.add_trust(parser)
    add_threads(parser)
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(handler=verify)


def verify(args) -> None:
    """Check an artifact and run it once."""
    from edge.trust.verification import check_artifact

    with native_logs_hidden():
        verified = check_artifact(args.artifact, args.threads, args.runtime, args.trust)
    if args.json:
        return command.emit_json(dataclasses.asdict(verified))
    for line in verified.lines():
        print(line)
    trusted = ("--trust", args.trust) if args.trust else ()
    command.next_command("zoo-edge predict", args.artifact, "SCAN", "-o", "OUT", *trusted)
    return None
