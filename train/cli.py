"""Plan, get data, train and evaluate: ``python -m train``, also reached as ``zoo plan``, ``zoo data``, ..."""

import argparse
import importlib
from collections.abc import Callable

from medseg.command import run

COMMANDS = ("plan", "inspect", "data", "train", "finetune", "evaluate", "compare", "cache")
"""Sub-commands; ``train/commands/<name>.py`` holds ``add_<name>(subparsers)``."""


def build_parser(prog: str | None = None) -> argparse.ArgumentParser:
    """The parser of all sub-commands; nothing heavy is imported before one of them runs."""
    parser = argparse.ArgumentParser(prog=prog or "python -m train", description="Plan, get data, train and evaluate.")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="|".join(COMMANDS))
    for name in COMMANDS:
        module = importlib.import_module(f"train.commands.{name}")
        getattr(module, f"add_{name}")(subparsers)
    return parser


def main(
    argv=None, prog: str | None = None, measure: Callable | None = None, open_artifact: Callable | None = None
) -> int:
    """Run a sub-command and return the exit status.

    Args:
        argv: words of the command line.
        prog: name of the program.
        measure: what ``plan`` measures networks with, see ``train.make_plan``.
        open_artifact: what ``evaluate`` opens artifacts with, which returns None for what is none.
    """
    parser = build_parser(prog)
    parser.set_defaults(measure=measure, open_artifact=open_artifact)
    return run(parser, argv)
