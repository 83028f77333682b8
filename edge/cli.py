"""The command line of the device: ``zoo-edge``; its sub-commands lie in ``edge.commands``, one a file."""

import argparse

from edge.commands.bench import add_bench
from edge.commands.info import add_info
from edge.commands.predict import add_predict
from edge.commands.serve import add_serve
from edge.commands.stream import add_stream
from edge.commands.verify import add_verify
from medseg import command


def build_parser(prog: str = "zoo-edge") -> argparse.ArgumentParser:
    """The parser, with a sub-command each."""
    parser = argparse.ArgumentParser(
        prog=prog, description="Segment scans with an exported network, without TensorFlow."
    )
    parser.add_argument("--version", action=Version, nargs=0, help="print the version")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    add_info(commands)
    add_predict(commands)
    add_stream(commands)
    add_serve(commands)
    add_bench(commands)
    add_verify(commands)
    return parser


class Version(argparse.Action):
    """Prints the version of the package, looked up when asked for."""

    def __call__(self, parser, *_):
        from importlib.metadata import version

        print(version("medseg-zoo"))
        parser.exit()


def main(argv=None, prog: str = "zoo-edge") -> int:
    """Run the command line and return the exit status."""
    return command.run(build_parser(prog), argv)
