"""``zoo-edge info``: what an artifact is."""

import dataclasses

from medseg import command


def add_info(commands) -> None:
    """Add ``info``."""
    parser = commands.add_parser(
        "info", help="what an artifact is", description="Check an artifact and say what it is."
    )
    parser.add_argument("artifact", metavar="ARTIFACT", help="artifact folder, or the name of a shipped one")
    command.add_trust(parser)
    parser.add_argument("--json", action="store_true", help="print the manifest as JSON")
    parser.set_defaults(handler=info)


def info(args) -> None:
    """Print what an artifact is."""
    from edge.shipped import locate
    from edge.summary import summary
    from edge.trust.opening import read_artifact

    manifest, _ = read_artifact(args.artifact, args.trust)
    if args.json:
        return command.emit_json(dataclasses.asdict(manifest))
    print(summary(manifest, (locate(args.artifact) / manifest.model).stat().st_size))
    trusted = ("--trust", args.trust) if args.trust else ()
    command.next_command("zoo-edge predict", args.artifact, "SCAN", "-o", "OUT", *trusted)
    return None
