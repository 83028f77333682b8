"""``zoo weights``: the shipped sets of pretrained weights, and how a run becomes one."""

import argparse
import dataclasses
import fnmatch
import os
import shlex
import sys
from pathlib import Path

from medseg import command
from medseg.atomic import check_writable
from medseg.errors import UsageError
from medseg.untrusted import inside


def build_parser(prog: str = "zoo") -> argparse.ArgumentParser:
    """The parser of ``zoo weights``."""
    parser = argparse.ArgumentParser(prog=prog)
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    weights = subparsers.add_parser("weights", help="pretrained weights: list, show, pack, fingerprint")
    actions = weights.add_subparsers(required=True, metavar="ACTION")
    _add_list(actions)
    _add_show(actions)
    _add_pack(actions)
    _add_fingerprint(actions)
    return parser


def main(argv=None, prog: str = "zoo") -> int:
    """Run ``weights``; returns the exit status."""
    return command.run(build_parser(prog), argv)


def _add_list(actions):
    parser = actions.add_parser("list", help="the shipped sets (zoo models --weights is the same)")
    parser.add_argument("pattern", nargs="?", default="*", help="wildcard on the network's name, for example '*3d*'")
    parser.add_argument("--json", action="store_true", help="print the cards as JSON")
    parser.set_defaults(handler=lambda args: list_sets(args.pattern, args.json))


def _add_show(actions):
    parser = actions.add_parser("show", help="the card of a set")
    parser.add_argument(
        "set",
        metavar="SET",
        help="its name, such as unet3d-hippocampus (hippocampus where one network alone has it), or its folder",
    )
    parser.add_argument("--json", action="store_true", help="print the card as JSON")
    parser.set_defaults(handler=run_show)


def _add_pack(actions):
    parser = actions.add_parser(
        "pack",
        help="a finished run as a set of weights",
        description="Write the weights of a run, their card and their artifact as a set for zoo.get(..., weights=...). "
        "The parts are checked against each other, and the stored network against the trained one.",
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="run folder, as zoo train leaves it")
    parser.add_argument("--name", required=True, help="of the set, what zoo.get(..., weights=NAME) will take")
    parser.add_argument(
        "--about",
        required=True,
        type=Path,
        metavar="JSON",
        help="file with data, source, licence, attribution, use and limits, as in zoo/weights/about-*.json",
    )
    parser.add_argument("--artifact", required=True, type=Path, metavar="DIR", help="the run's, as zoo export wrote it")
    parser.add_argument(
        "--scores",
        required=True,
        type=Path,
        nargs="+",
        metavar="RUN",
        help="scored runs of the same plan that held cases back, or the folder of a zoo train --fold all",
    )
    parser.add_argument(
        "--device-scores", type=Path, nargs="+", default=(), metavar="DIR", help="artifacts of those runs"
    )
    parser.add_argument(
        "--command", action="append", default=[], metavar="LINE", help="that made run, scores or artifact; repeatable"
    )
    parser.add_argument(
        "--storage", default="float16", help="float16, or int8: kernels in int8, half the size (default: float16)"
    )
    parser.add_argument("--max-drop", type=float, default=0.001, help="of mean Dice by the storage (default: 0.001)")
    command.add_trust(parser)
    parser.add_argument("--out", required=True, type=Path, help="folder that takes the set's folder")
    parser.set_defaults(handler=run_pack)


def _add_fingerprint(actions):
    parser = actions.add_parser(
        "fingerprint",
        help="let an artifact tell scans unlike its training's",
        description="Measure training scans through an artifact that was exported without them, and write into its "
        "manifest what they look like; a test vector is added where there is none. See docs/reference/trust.md.",
    )
    parser.add_argument(
        "folder", type=Path, metavar="DIR", help="unsigned artifact, or the set that holds it; changed in place"
    )
    parser.add_argument(
        "dataset", type=Path, metavar="DATASET", help="folder that the network was trained on, as zoo train reads it"
    )
    parser.set_defaults(handler=run_fingerprint)


def list_sets(pattern: str = "*", as_json: bool = False, tags=()) -> int:
    """Print the shipped sets whose network fits the wildcard and carries the tags."""
    import zoo
    from zoo.weights import artifact, list_weights, set_folder
    from zoo.weights.card_text import folds_line, score_line

    known = set(zoo.list_models(pattern, tags or None))
    cards = [card for card in list_weights() if card.entry in known and fnmatch.fnmatchcase(card.entry, pattern)]
    if as_json:
        command.emit_json([_plain(card) for card in cards])
        return 0
    if not cards:
        print(f"no weights are shipped for {pattern}" if pattern != "*" or tags else "no weights are shipped")
        return 1 if pattern != "*" or tags else 0
    rows = [("set", 'zoo.get(..., weights="...")', "channels", "MB", "int8 MB", "licence", "Dice, cross-validated")]
    for card in cards:
        folds = f" ({folds_line(card.scores['folds'])}, {card.scores['cases']} cases)" if card.scores else ""
        rows.append(
            (
                card.folder,
                f'"{card.entry}", weights="{card.name}"',
                ", ".join(card.channels),
                f"{card.bytes / 1e6:.2f}",
                f"{card.artifact['bytes'] / 1e6:.2f}" if card.artifact else "",
                card.licence,
                score_line(card) + folds,
            )
        )
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())
    print(f"\nin {set_folder(cards[0].entry, cards[0].name).parent}; zoo weights show SET prints a card")
    with_artifact = [card for card in cards if card.artifact]
    if with_artifact:
        first = with_artifact[0]
        print(f"the artifact of {first.folder}: {artifact(first.entry, first.name)}")
        command.next_command("zoo-edge predict", first.folder, "SCAN", "-o", "OUT")
    return 0


def run_show(args) -> int:
    """Handle ``zoo weights show``."""
    from zoo.weights import card_by_name
    from zoo.weights.card import FILE
    from zoo.weights.card_text import card_text
    from zoo.weights.reading import read_card

    lying_there = (Path(args.set) / FILE).is_file()
    card = read_card(Path(args.set) / FILE) if lying_there else card_by_name(args.set)
    if args.json:
        command.emit_json(_plain(card))
    else:
        print(card_text(card), end="")
    return 0


def run_pack(args) -> int:
    """Handle ``zoo weights pack``."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from export.release.weight_set import About, pack
    from medseg import record
    from zoo.errors import unknown
    from zoo.weights import KINDS

    if args.storage not in KINDS:
        raise unknown("storage of weights", args.storage, KINDS)
    if not args.max_drop >= 0:
        raise UsageError(f"--max-drop {args.max_drop:g}: expected at least 0")
    check_writable(args.out, f"--out {args.out}")
    about = record.load(args.about, About)
    folder = pack(
        args.run,
        args.name,
        about,
        args.artifact,
        args.scores,
        args.out,
        device_scores=args.device_scores,
        commands=args.command,
        kind=args.storage,
        max_drop=args.max_drop,
        trust=args.trust,
        tell=lambda line: print(line, file=sys.stderr, flush=True),
    )
    print(f"{folder}: {sum(f.stat().st_size for f in folder.rglob('*') if f.is_file()) / 1e6:.2f} MB in all")
    command.next_command("zoo weights show", folder)
    return 0


def run_fingerprint(args) -> int:
    """Handle ``zoo weights fingerprint``."""
    from edge.manifest import load_manifest
    from export.release.training_fingerprint import add_fingerprint
    from imaging.io.cases import CaseFiles
    from train.data.dataset import read_dataset
    from train.data.dataset_json import Choices
    from zoo.weights import write_card
    from zoo.weights.card import FILE
    from zoo.weights.reading import read_card

    folder = args.folder
    card = read_card(folder / FILE) if (folder / FILE).is_file() else None
    if card is not None and not card.artifact:
        raise UsageError(f"{folder}: is a set without an artifact; give the folder of an artifact")
    artifact = folder if card is None else inside(folder, card.artifact["format"])
    check_writable(artifact, str(artifact))
    manifest = load_manifest(artifact)
    dataset = read_dataset(args.dataset, Choices(labels=None if manifest.instances else manifest.labels))
    cases = [CaseFiles(case.name, tuple(map(str, case.images))) for case in dataset.cases]
    manifest = add_fingerprint(artifact, cases, lambda line: print(line, file=sys.stderr, flush=True))
    line = shlex.join(["zoo", "weights", "fingerprint", f"OUT/{folder.resolve().name}", args.dataset.resolve().name])
    if card is not None and line not in card.commands:
        write_card(folder, dataclasses.replace(card, commands=(*card.commands, line)))
    print(f"{artifact}: knows {manifest.training.cases} scans of {dataset.name}")
    command.next_command("zoo-edge verify", artifact)
    return 0


def _plain(card):
    return dataclasses.asdict(card)
