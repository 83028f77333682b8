"""``zoo-edge serve``: a DICOM service that segments what it is sent."""

import argparse
import logging
import signal
import sys
import threading
import warnings

from medseg.errors import InputError
from medseg.quiet import native_logs_hidden


def add_serve(commands) -> argparse.ArgumentParser:
    """Add ``serve``, and return its parser."""
    parser = commands.add_parser(
        "serve",
        help="run a DICOM node",
        description="Take series by DICOM, segment them and send the results on. See docs/how-to/node.md.",
    )
    parser.add_argument("config", metavar="CONFIG", help="TOML file, as deploy/node.toml")
    parser.add_argument("--check", action="store_true", help="say what is wrong with the file, all at once, and end")
    parser.add_argument("--verbose", action="store_true", help="log every instance, too (with --check there is no log)")
    parser.set_defaults(handler=serve)
    return parser


def serve(args) -> None:
    """Run the node until it is told to end, or check its configuration."""
    from edge.node.config import read_config

    config = read_config(args.config)
    if args.check:
        from edge.node.opening import open_segmenters

        try:
            with native_logs_hidden():
                open_segmenters(config)
        except InputError as error:
            raise InputError(f"{args.config}: {error}") from None
        print(f"{args.config}: no mistakes; rules: {len(config.rule)}, destinations: {len(config.destination)}")
        return
    _log(args.verbose)
    _hide_values()
    from edge.node.service import Node

    node = Node(config)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: node.stopping.set())
    with node:
        node.wait()


def _log(verbose):
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger = logging.getLogger("medseg.node")
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG if verbose else logging.INFO)


def _hide_values():
    """What pydicom and pynetdicom say of odd data sets quotes them; a log shall hold nothing of a patient."""
    warnings.simplefilter("ignore")
    threading.excepthook = _thread_ended
    for name in ("pydicom", "pynetdicom"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def _thread_ended(ended):
    """A malformed message raises in pynetdicom's own thread of the association, which ends by it."""
    logging.getLogger("medseg.node").warning("an association ended by %s", ended.exc_type.__name__)
