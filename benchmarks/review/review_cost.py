"""What a person spends on a segmentation of Dice 0.90: drawing it, correcting a network's, or clicking it from nothing.

    python benchmarks/review/review_cost.py --data DATA
    python benchmarks/review/review_cost.py --data DATA --set hippocampus \\
        --artifact hippocampus=runs/strategies/first/artifact/onnx-float32 --plan hippocampus=runs/strategies/plan.json

Nobody was watched: the person is simulated with a fixed seed, and what takes how long is assumed (--speed, --screen-mm,
--slice-seconds, --click-seconds, --look-seconds), as follows.

drawing: the structure is outlined in slices across the axis of the longest voxels, the largest slices first, without a
fault, and filled; as many as the Dice needs. A slice fills --screen-mm of the screen, where its outline takes its
length over --speed; to go to the slice and look takes --slice-seconds.
proposal, clicks: the network's artifact proposes, which is looked through once. Each click is in the middle of the
largest wrong part (benchmarks/accuracy/annotate.py, imaging.annotate.refine). It takes --click-seconds to find the
place and click, and the time of the machine.
proposal, drawing: the same proposal, in which the slices with the most wrong voxels are drawn anew, until it is enough.
click tools: imaging.annotate.annotate from one click inside and one outside; then as with the proposal.

All labels of a case are one structure, as in annotate.py. Cases that do not have the Dice after --most clicks count as
more clicks and minutes than any other in the medians, and are listed. --plan leaves only the validation cases of a
plan's fold 0, on which neither the shipped networks nor those of review_strategies.py were trained. Prints a Markdown
table for each set.
"""

import argparse
import math
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.append(str(Path(__file__).resolve().parents[1] / "accuracy"))

import numpy as np
from annotate import correcting_click, evenly, proposal, scan_and_mask
from skimage.measure import find_contours

import edge
from imaging.annotate import annotate, refine, simulated_clicks
from imaging.measure.overlap import dice
from train.data.dataset import open_dataset
from train.planning.plan import load_plan

NETWORKS = {"hippocampus": "unet3d-hippocampus", "hc18": "unet-hc18"}
WAYS = ("drawing", "proposal, clicks", "proposal, drawing", "click tools")


@dataclass(frozen=True)
class Effort:
    """What a case took.

    Attributes:
        actions: clicks, or outlines drawn; infinite where the Dice was not reached.
        minutes: of the person, waiting for the machine included; likewise.
        machine: seconds of the processor for each click.
    """

    actions: float
    minutes: float
    machine: tuple[float, ...] = ()


NEVER = math.inf


def main() -> int:
    """Print a table for each set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of dataset folders")
    parser.add_argument("--set", nargs="+", choices=tuple(NETWORKS), default=list(NETWORKS))
    parser.add_argument("--artifact", nargs="+", type=pair, default=[], metavar="SET=ARTIFACT", help="who proposes")
    parser.add_argument(
        "--plan", nargs="+", type=pair, default=[], metavar="SET=JSON", help="only fold 0's cases of it"
    )
    parser.add_argument("--cases", type=int, default=20, help="of each set")
    parser.add_argument("--goal", type=float, default=0.90, help="Dice")
    parser.add_argument("--most", type=int, default=30, help="clicks")
    parser.add_argument("--speed", type=float, default=30.0, help="mm of outline drawn a second, on the screen")
    parser.add_argument("--screen-mm", type=float, default=200.0, help="that the longer side of a slice fills")
    parser.add_argument("--slice-seconds", type=float, default=2.0, help="to go to a slice and look at it")
    parser.add_argument("--click-seconds", type=float, default=3.0, help="to find what is wrong and click it")
    parser.add_argument("--look-seconds", type=float, default=10.0, help="to look through a proposal")
    args = parser.parse_args()
    networks, plans = NETWORKS | dict(args.artifact), dict(args.plan)
    print(
        f"Assumed: outlines drawn at {args.speed:g} mm/s on a slice of {args.screen_mm:g} mm on the screen, "
        f"{args.slice_seconds:g} s for each slice, {args.click_seconds:g} s for each click, {args.look_seconds:g} s to "
        "look through a proposal."
    )
    for name in args.set:
        show(name, networks[name], of_set(args, name, plans.get(name), networks[name]), args)
    return 0


def pair(text: str) -> tuple[str, str]:
    """``SET=VALUE``."""
    name, equals, value = text.partition("=")
    if not equals or name not in NETWORKS:
        raise argparse.ArgumentTypeError(f"{text!r}: expected one of {', '.join(NETWORKS)}, =, and a path or name")
    return name, value


def of_set(args, name: str, plan, artifact) -> dict[str, dict[str, Effort]]:
    """Way to case to what it took."""
    cases = open_dataset(args.data / name).cases
    if plan is not None:
        held = set(load_plan(plan).folds[0])
        cases = [case for case in cases if case.name in held]
    segmenter, efforts = edge.load(artifact), {way: {} for way in WAYS}
    for number, case in enumerate(evenly(cases, args.cases, 0)):
        scan, mask = scan_and_mask(case)
        chances = proposal(segmenter, scan)
        proposed = chances.argmax(axis=-1) == 1
        first = simulated_clicks(mask, scan.spacing, 1, np.random.default_rng([1, number]))

        def refined(strokes, scan=scan, chances=chances):
            return refine(scan, strokes, chances, (0, 1)).labels.voxels[..., 0] == 1

        def annotated(strokes, scan=scan):
            return annotate(scan, strokes).labels.voxels[..., 0] == 1

        look = args.look_seconds / 60
        efforts["drawing"][case.name] = drawn(np.zeros_like(mask), mask, scan.spacing, args, 0.0)
        efforts["proposal, clicks"][case.name] = clicked(refined, (), mask, scan.spacing, args, look)
        efforts["proposal, drawing"][case.name] = drawn(proposed, mask, scan.spacing, args, look)
        efforts["click tools"][case.name] = clicked(annotated, first, mask, scan.spacing, args, 0.0)
    return efforts


def drawn(labels, mask, spacing, args, minutes: float) -> Effort:
    """Draw slices until the Dice is there, those with the most wrong voxels first.

    Args:
        labels: bool (*spatial), what is there already.
        mask: bool (*spatial), the reference.
        spacing: mm per axis.
        args: goal and times.
        minutes: spent before.
    """
    if mask.ndim == 2:
        labels, mask, spacing = labels[..., None], mask[..., None], (*spacing, np.inf)
    across = int(np.argmax(np.asarray(spacing)[::-1]))  # of equal ones the last axis
    across = mask.ndim - 1 - across
    plane = [size for axis, size in enumerate(spacing) if axis != across]
    labels, mask = np.moveaxis(labels, across, 0).copy(), np.moveaxis(mask, across, 0)
    magnified = args.screen_mm / max(n * size for n, size in zip(mask.shape[1:], plane, strict=True))
    wrong = (labels != mask).sum(axis=(1, 2))
    actions = 0
    for number in np.argsort(-wrong, kind="stable"):
        if dice(labels, mask) >= args.goal:
            break
        lengths = outlines(mask[number], plane)
        actions += max(1, len(lengths))  # what is wrong where nothing belongs is wiped away
        minutes += (magnified * sum(lengths) / args.speed + args.slice_seconds) / 60
        labels[number] = mask[number]
    return Effort(actions, minutes)


def outlines(mask, spacing) -> list[float]:
    """Lengths of the outlines of a flat mask, mm.

    Args:
        mask: bool (rows, columns).
        spacing: mm of a row and of a column.
    """
    lines = find_contours(np.pad(mask, 1).astype(np.float32), 0.5)
    return [float(np.linalg.norm(np.diff(line * spacing, axis=0), axis=1).sum()) for line in lines]


def clicked(segment, strokes, mask, spacing, args, minutes: float) -> Effort:
    """Click until the Dice is there.

    Args:
        segment: from strokes to labels, bool (*spatial).
        strokes: the first ones.
        mask: bool (*spatial), the reference.
        spacing: mm per axis.
        args: goal and times.
        minutes: spent before.
    """
    strokes, machine = list(strokes), []
    while True:
        began = time.process_time()
        labels = segment(strokes)
        if strokes:
            machine.append(time.process_time() - began)
        if dice(labels, mask) >= args.goal:
            spent = minutes + (len(strokes) * args.click_seconds + sum(machine)) / 60
            return Effort(len(strokes), spent, tuple(machine))
        if len(strokes) >= args.most:
            return Effort(NEVER, NEVER, tuple(machine))
        strokes.append(correcting_click(labels, mask, spacing))


def show(name: str, artifact, efforts, args) -> None:
    """Print the table of a set."""
    count = len(efforts["drawing"])
    print(f"\n{name}, {count} cases, {artifact}, to Dice {args.goal:.2f}\n")
    print("| way | cases that have it | clicks or outlines, median | minutes, median | machine, s a click |")
    print("|---|---|---|---|---|")
    for way, of_case in efforts.items():
        reached = sum(effort.actions < NEVER for effort in of_case.values())
        actions, minutes = (
            statistics.median_high(getattr(effort, field) for effort in of_case.values())
            for field in ("actions", "minutes")
        )
        seconds = [spent for effort in of_case.values() for spent in effort.machine]
        texts = (
            f"{100 * reached / count:.0f} %",
            f"{actions:g}" if actions < NEVER else f"more than {args.most}",
            f"{minutes:.2f}" if minutes < NEVER else "",
            f"{statistics.fmean(seconds):.2f}" if seconds else "",
        )
        print(f"| {way} | {' | '.join(texts)} |", flush=True)
    print()
    for way, of_case in efforts.items():
        never = [case for case, effort in of_case.items() if effort.actions == NEVER]
        if never:
            print(f"{way}: {len(never)} of {count} not within {args.most} clicks ({', '.join(never)})")


if __name__ == "__main__":
    sys.exit(main())
