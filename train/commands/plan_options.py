"""The options of ``zoo plan``, and how their values are written."""

import argparse
import math
from pathlib import Path

from imaging.slices import ORIENTATIONS
from medseg.byte_sizes import parse_size
from medseg.command import check_left_out, complete
from medseg.errors import UsageError
from train.commands.folder_options import add_folder_options
from train.planning.configuration import CONFIGURATIONS

DEFAULTS = {"folds": 5, "seed": 0}
SPLIT = ("folds", "seed", "nan", "instances")
"""Options that a plan answers, so that they are idle where one is given."""

PLANNING = (
    *("out", "explain", "model", "patch", "spacing", "size", "interpolation", "filter", "configuration"),
    *("context_slices", "slice_axis", "overlap", "batch", "epochs", "minutes", "max_params", "max_macs", "max_arena"),
    *("max_ram", "target_ms", "threads", "no_mirror"),
)
"""Options of making a plan, which are idle where a dataset is only checked."""


def check_together(args) -> None:
    """Require that no option is given that means nothing without another, and fill in what was left out.

    Raises:
        UsageError: naming the options and what they belong to.
    """
    if args.folder.is_file():
        others = [name for name in PLANNING if name != "explain"]
        others += ["check", "plan", "images", "labels", "follow_paths", "groups", *SPLIT]
        check_left_out(args, others, f"of a dataset folder; {args.folder} is a file, a plan to explain, leave it out")
    if args.plan is not None and not args.check:
        raise UsageError("--plan goes with --check; to plan anew leave it out, to train by it use zoo train --plan")
    if args.check:
        check_left_out(args, PLANNING, "of making a plan; leave it out with --check, which makes none")
    if args.plan is not None:
        check_left_out(args, SPLIT, f"{args.plan} says that already; leave it out, or leave --plan out")
    check_one_length(args)
    if args.threads is not None and args.threads < 1:
        raise UsageError(f"--threads {args.threads}: expected at least 1")
    if args.target_ms is None and args.max_ram is None:
        check_left_out(args, ["threads"], "of --target-ms and --max-ram; give one of them too, or leave it out")
    complete(args, DEFAULTS)


def check_one_length(args) -> None:
    """Require that a training's length is given in minutes or in epochs, not in both.

    Raises:
        UsageError: naming both options.
    """
    if args.minutes is not None and args.epochs is not None:
        raise UsageError("--minutes and --epochs exclude each other; give one")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add all arguments of ``zoo plan`` to its parser."""
    parser.add_argument(
        "folder", type=Path, help="dataset folder (MSD, nnU-Net v2, or images/ and labels/), or a plan.json to explain"
    )
    parser.add_argument("-o", "--out", type=Path, help="where to write the plan (default: plan.json)")
    parser.add_argument("--check", action="store_true", help="verify the dataset instead: print every problem at once")
    parser.add_argument("--plan", type=Path, help="with --check: also verify this plan against the dataset")
    parser.add_argument("--explain", action="store_true", help="say for each decision which rule made it")
    add_folder_options(parser)
    parser.add_argument("--model", help="network, see zoo models, or my_nets.py:name (default: unet or unet3d)")
    parser.add_argument("--folds", type=int, help="of the cross-validation (default: 5)")
    parser.add_argument("--seed", type=int, help="of split and training (default: 0)")
    parser.add_argument("--patch", type=_sizes, help="voxels per axis, such as 64x64x32")
    parser.add_argument("--spacing", type=_spacing, help="target spacing in mm, such as 1x1x2.5")
    parser.add_argument("--size", type=_sizes, help="resize flat images to this many pixels, such as 256x256")
    parser.add_argument(
        "--interpolation",
        choices=("linear", "cubic"),
        help="of images on their new grid (default: linear); cubic is nnU-Net's, with thick slices apart",
    )
    parser.add_argument(
        "--filter",
        action="append",
        default=[],
        metavar="NAME=PARAMETER:VALUE,...",
        help="filter of the scans, such as clahe=clip:2,tile_mm:40, see zoo filters; repeatable, in order",
    )
    parser.add_argument(
        "--nan", type=float, metavar="VALUE", help="what voxels that are NaN, outside the field of view, stand for"
    )
    parser.add_argument(
        "--configuration",
        choices=CONFIGURATIONS,
        help="2d takes volumes slice by slice, 2.5d each slice with its neighbours, 3d whole, 3d-low at a coarser "
        "spacing, cascade both in turn (default: 2d where slices are thick, else 3d)",
    )
    parser.add_argument(
        "--context-slices", type=int, metavar="N", help="slices that a 2D network takes at once: 1, 3 (2.5d), 5, ..."
    )
    parser.add_argument(
        "--slice-axis", choices=tuple(ORIENTATIONS), help="axis across the slices of 2d (default: the coarsest)"
    )
    parser.add_argument("--overlap", type=float, help="of neighbouring tiles, 0 to 0.9 (default: 0.5)")
    parser.add_argument("--batch", type=int, help="patches per step")
    parser.add_argument("--epochs", type=int, help="of training")
    parser.add_argument(
        "--minutes", type=float, help="of training, instead of epochs; the learning rate falls with the clock"
    )
    parser.add_argument("--max-params", type=_count, help="weights that the network may have, such as 500k or 1.5M")
    parser.add_argument("--max-macs", type=_count, help="operations that a patch may cost, such as 800M or 2G")
    parser.add_argument(
        "--max-arena",
        type=_size,
        metavar="SIZE",
        help="activations that the int8 TFLite file may need, such as 4MB; zoo export --max-arena holds it to that",
    )
    parser.add_argument(
        "--max-ram",
        type=_size,
        metavar="SIZE",
        help="memory that the process which runs the int8 TFLite file on a patch may take, Python and LiteRT (some "
        "50 MB) included, such as 512MB; measured on this machine",
    )
    parser.add_argument(
        "--target-ms",
        type=_milliseconds,
        metavar="MS",
        help="time that the int8 TFLite file may take for a patch; measured on this machine",
    )
    parser.add_argument("--threads", type=int, help="that --target-ms and --max-ram are measured with (default: 2)")
    parser.add_argument("--no-mirror", action="store_true", help="never flip a patch while training")
    parser.add_argument("--json", action="store_true", help="print the plan, or the problems, as JSON")


def _numbers(text, kind):
    try:
        values = tuple(kind(part) for part in text.lower().replace(",", "x").split("x"))
    except ValueError:
        values = ()
    if len(values) not in (2, 3) or not all(value > 0 for value in values):
        raise argparse.ArgumentTypeError(f"{text!r}: expected two or three positive numbers joined by x")
    return values


def _count(text):
    factor = {"k": 1e3, "m": 1e6, "g": 1e9}.get(text[-1:].lower(), 1)
    try:
        value = round(float(text[:-1] if factor > 1 else text) * factor)
    except (ValueError, OverflowError):
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a positive number, with k, M or G perhaps")
    return value


def _size(text):
    try:
        return parse_size(text)
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _milliseconds(text):
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a positive number of milliseconds")
    return value


def _sizes(text):
    return _numbers(text, int)


def _spacing(text):
    return _numbers(text, float)
