"""The command line of the export: ``python -m export``; ``zoo export`` and ``zoo bench`` are the same."""

import argparse
from collections.abc import Callable

from medseg import command


def build_parser(prog: str = "python -m export") -> argparse.ArgumentParser:
    """The parser with its sub-commands, each of which sets ``handler``."""
    from export.commands.bench import add_bench
    from export.commands.export import add_export

    parser = argparse.ArgumentParser(prog=prog, description="Trained networks to verified artifacts.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    add_export(commands)
    add_bench(commands)
    return parser


def main(argv=None, prog: str = "python -m export", read_folder: Callable | None = None) -> int:
    """Run a sub-command; returns the exit status.

    Args:
        argv: words of the command line.
        prog: name of the program.
        read_folder: what ``export --verify-on`` reads a dataset folder with, from folder and source to cases.
    """
    parser = build_parser(prog)
    parser.set_defaults(read_folder=read_folder)
    return command.run(parser, argv)
