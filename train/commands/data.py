"""``zoo data``: public datasets by download, and phantoms by code."""

import re
from pathlib import Path

from medseg.command import emit_json, next_command
from medseg.errors import UsageError
from train.data.public_sets import PUBLIC_SETS


def add_data(subparsers) -> None:
    """Add the sub-command ``data`` to ``subparsers``."""
    parser = subparsers.add_parser(
        "data",
        help="get a dataset: download a public one or make phantoms",
        description="Download, verify and unpack a public dataset, or make phantoms. An interrupted download continues "
        "where it stopped. Known: phantom, " + ", ".join(PUBLIC_SETS) + ".",
    )
    parser.add_argument("name", nargs="?", help="phantom, or a public dataset; without it they are listed")
    parser.add_argument("-o", "--out", type=Path, help="dataset folder to make (default: data/NAME)")
    parser.add_argument("--url", help="fetch the archive from here instead, a mirror for example")
    parser.add_argument("--sha256", help="of the archive, hexadecimal, where you know it")
    parser.add_argument("--cases", type=int, default=30, help="phantom: labelled cases (default: 30)")
    parser.add_argument("--unseen", type=int, default=0, help="phantom: further cases in imagesTs/ (default: 0)")
    parser.add_argument("--seed", type=int, default=0, help="phantom: of the set (default: 0)")
    parser.add_argument("--json", action="store_true", help="print what was made as JSON")
    parser.set_defaults(handler=run_data)


def run_data(args) -> int:
    """Handle ``zoo data``."""
    if args.name is None:
        return _list(args)
    out = args.out or Path("data") / args.name
    if args.name == "phantom":
        if args.url or args.sha256:
            raise UsageError("--url and --sha256 go with a public dataset; phantoms are made, not fetched")
        return _phantoms(args, out)
    if args.sha256 is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", args.sha256.strip()):
        raise UsageError(f"--sha256 {args.sha256}: expected 64 hexadecimal digits")
    from train.data.download import fetch

    folder = fetch(args.name, out, url=args.url, sha256=args.sha256, progress=not args.json)
    return _made(args, folder)


def _phantoms(args, out):
    from train.data.dataset import open_dataset
    from train.data.phantom import best_threshold_dice, make_phantoms

    make_phantoms(out, args.cases, args.seed, args.unseen)
    dice = best_threshold_dice(open_dataset(out))
    if not args.json:
        scores = ", ".join(f"{name} {value:.2f}" for name, value in dice.items())
        print(f"Dice of the best intensity interval, chosen with the reference in hand: {scores}")
    return _made(args, out, best_threshold_dice=dice)


def _made(args, folder, **more):
    from train.data.dataset import open_dataset

    dataset = open_dataset(folder)
    if args.json:
        labels = {label.name: label.value for label in dataset.labels}
        emit_json({"folder": str(folder), "cases": len(dataset.cases), "labels": labels, **more})
        return 0
    print(f"{folder}: {len(dataset.cases)} cases, labels {', '.join(label.name for label in dataset.labels)}")
    next_command("zoo plan", folder, "-o", "plan.json")
    return 0


def _list(args):
    if args.json:
        emit_json({name: {"about": s.about, "url": s.url, "licence": s.licence} for name, s in PUBLIC_SETS.items()})
        return 0
    print(f"{'phantom':14} made by code: an ellipsoid cut into body and cap, among distractors")
    for name, public in PUBLIC_SETS.items():
        print(f"{name:14} {public.about} ({public.licence})")
    next_command("zoo data phantom")
    return 0
