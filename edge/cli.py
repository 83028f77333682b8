"""The command line of the device: ``zoo-edge``; its sub-commands lie in ``edge.commands``, one a file."""

import argparse
import importlib
import sys

from medseg import command

# Each has a module of its name with a function ``add_<name>``.
COMMANDS = ("info", "predict", "stream", "serve", "bench", "verify")


def build_parser(prog: str = "zoo-edge", only: str | None = None) -> argparse.ArgumentParser:
    """The parser, with a sub-command each.

    Args:
        prog: what the program is called.
        only: the one sub-command that is needed; modules of the others are then not loaded.
    """
    parser = argparse.ArgumentParser(
        prog=prog, description="Segment scans with an exported network, without TensorFlow."
    )
    parser.add_argument("--version", action=Version, nargs=0, help="print the version")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for name in COMMANDS if only is None else (only,):
        getattr(importlib.import_module(f"edge.commands.{name}"), f"add_{name}")(commands)
    return parser


class Version(argparse.Action):
    """Prints the version of the package, looked up when asked for."""

    def __call__(self, parser, *_):
        from importlib.metadata import version

        print(version("medseg-zoo"))
        parser.exit()


def main(argv=None, prog: str = "zoo-edge") -> int:
    """Run the command line and return the exit status."""
    first = next(iter(sys.argv[1:] if argv is None else argv), None)
    return command.run(build_parser(prog, first if first in COMMANDS else None), argv)
