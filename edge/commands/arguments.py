"""Options that several sub-commands of ``zoo-edge`` share."""

import argparse


def add_threads(parser) -> None:
    """Add ``--threads``."""
    parser.add_argument("--threads", type=positive, default=2, help="processor threads (default 2)")


def add_runtime(parser) -> None:
    """Add ``--runtime``."""
    parser.add_argument(
        "--runtime",
        choices=("auto", "litert", "onnxruntime", "openvino"),
        default="auto",
        help="what runs the network (default: what the artifact is made for)",
    )


def positive(text: str) -> int:
    """A whole number of at least 1, of an argument."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)
