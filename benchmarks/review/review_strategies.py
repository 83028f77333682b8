"""Does it pay which case is corrected next? Dice against cases corrected, for each strategy of the active learning.

    python benchmarks/review/review_strategies.py --data HIPPOCAMPUS --out runs/strategies

Of the cases that fold 0 trains on, 20 drawn at random are the training set of a first network. Then, in three rounds,
each strategy of ``review.learning`` chooses 10 more, one after the other, by what the review knows of every case: the
artifact of the strategy's last network segments them all through ``review.service``, which gives the predicted Dice,
the flags, the features and the volumes. A chosen case is "corrected": it gets its reference label. The strategy's next
network starts from its last one (``zoo train --from``) and trains on all that is labelled by then.

Fold 0's validation cases are never chosen: the last --held of them are held back from every training, as ``zoo export``
verifies artifacts and fits the predicted Dice by labelled cases; the others, or the first --test of those, are the test
set, on which each network segments whole scans.

All that is made lies in --out. What is there is not made again, so that the same command goes on where it was stopped.
Prints a Markdown table, and what share of the corrections that "random" makes each other strategy needs for the same
Dice, between the rounds by linear interpolation.
"""

import argparse
import json
import random
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
from review_process import link_scans, zoo
from review_strategies_table import means, show

import imaging
from imaging.measure.overlap import dice
from medseg.record import write_text
from review.learning import STRATEGIES, next_case
from review.segmenting import release, segment_case
from review.service import Service, open_service
from review.store.cases import CORRECTED, WAITING, all_cases
from train.data.dataset import Case, open_dataset

FIRST = "first"
SETTINGS = ("data", "model", "start", "batch", "epochs", "first_epochs", "steps", "precision", "format", "held", "seed")


@dataclass(frozen=True)
class Study:
    """What all strategies share.

    Attributes:
        args: of the command line.
        plan: of the dataset, as ``plan.json`` has it.
        cases: name to case of the dataset.
        pool: names of the cases that may be labelled.
        held: names of those that every training holds back.
        test: names of those that networks are scored on.
    """

    args: argparse.Namespace
    plan: dict
    cases: dict[str, Case]
    pool: tuple[str, ...]
    held: tuple[str, ...]
    test: tuple[str, ...]


def main() -> int:
    """Train what is not there yet, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="dataset folder")
    parser.add_argument("--out", type=Path, default=Path("runs/strategies"), help="folder for all that is made")
    parser.add_argument("--strategy", nargs="+", choices=tuple(STRATEGIES), default=list(STRATEGIES))
    parser.add_argument("--start", type=int, default=20, help="cases that train the first network")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=10, help="cases that are corrected in a round")
    parser.add_argument("--model", help="network; the plan's by default")
    parser.add_argument("--first-epochs", type=int, default=10, help="of the first network")
    parser.add_argument("--epochs", type=int, default=6, help="of each later one")
    parser.add_argument("--steps", type=int, default=50, help="of an epoch")
    parser.add_argument("--precision", default="auto", help="as for zoo train; the first network's choice is kept")
    parser.add_argument("--format", default="onnx-float32", help="of the artifacts that segment the cases")
    parser.add_argument("--held", type=int, default=8, help="validation cases that every training holds back")
    parser.add_argument("--test", type=int, help="cases to score on (default: all others of fold 0)")
    parser.add_argument("--seed", type=int, default=0, help="of the first cases and of random")
    args = parser.parse_args()
    args.data, began = args.data.resolve(), time.monotonic()
    args.out.mkdir(parents=True, exist_ok=True)
    same_settings(args)
    study = open_study(args)
    pool = link_scans([study.cases[name] for name in study.pool], args.out / "pool")
    first = args.out / FIRST
    drawn = random.Random(args.seed).sample(study.pool, args.start)
    train(study, first, drawn, None, args.first_epochs)
    curves = {strategy: [score(study, first)] for strategy in args.strategy}
    last = dict.fromkeys(args.strategy, first)
    for number in range(1, args.rounds + 1):
        for strategy in args.strategy:
            place = args.out / f"{strategy}-{number}"
            labelled = labelled_of(place)
            if labelled is None:
                known = labelled_of(last[strategy])
                asked = first if strategy == "random" else last[strategy]  # chance asks no network
                labelled = [*known, *choose(study, pool, asked, known, strategy)]
            train(study, place, labelled, last[strategy] / "run", args.epochs)
            curves[strategy].append(score(study, place))
            last[strategy] = place
            minutes = (time.monotonic() - began) / 60
            mean = np.mean(means(curves[strategy][-1]))
            print(
                f"{place.name}: {len(labelled)} cases, Dice {mean:.4f}, {minutes:.1f} minutes so far", file=sys.stderr
            )
    print(heading(study))
    show(curves, args.start, args.batch)
    return 0


def same_settings(args) -> None:
    """Keep the settings in the folder, or require those that are there."""
    file = args.out / "settings.json"
    asked = {name: str(getattr(args, name)) for name in SETTINGS}
    if not file.is_file():
        write_text(file, json.dumps(asked, indent=1) + "\n")
    held = json.loads(file.read_text(encoding="utf-8"))
    for name in SETTINGS:
        if held[name] != asked[name]:
            option = name.replace("_", "-")
            raise SystemExit(
                f"{args.out}: was begun with --{option} {held[name]}, not {asked[name]}; go on with the same settings, "
                "or give another --out"
            )


def open_study(args) -> Study:
    """Plan the dataset, unless that was done, and divide its cases."""
    file = args.out / "plan.json"
    if not file.is_file():
        zoo("plan", args.data, "--out", file, *(["--model", args.model] if args.model else []))
    plan = json.loads(file.read_text(encoding="utf-8"))
    validation, pool = plan["folds"][0], sorted(name for fold in plan["folds"][1:] for name in fold)
    test = validation[: len(validation) - args.held][: args.test]
    held = validation[len(validation) - args.held :]
    needed = args.start + args.rounds * args.batch
    if not test or len(pool) < needed:
        raise SystemExit(
            f"{args.data}: fold 0 trains on {len(pool)} cases and validates with {len(validation)}; expected at least "
            f"{needed} (--start, --rounds, --batch) and more than {args.held} (--held)"
        )
    cases = {case.name: case for case in open_dataset(args.data).cases}
    return Study(args, plan, cases, tuple(pool), tuple(held), tuple(test))


def labelled_of(place: Path) -> list[str] | None:
    """The cases that a network trains on, once they are chosen."""
    file = place / "labelled.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None


def train(study: Study, place: Path, labelled, start, epochs: int) -> None:
    """Train a network on labelled cases, or what is left of that; its cases are kept in ``labelled.json``."""
    args, run = study.args, place / "run"
    write_text(place / "labelled.json", json.dumps(list(labelled)) + "\n")
    if (run / "model.keras").is_file():
        return
    if (run / "plan.json").is_file():
        zoo("train", "--resume", "--out", run)
        return
    # The first network's own plan has the precision that "auto" became.
    begun = args.out / FIRST / "run" / "plan.json"
    plan = json.loads(begun.read_text(encoding="utf-8")) if begun.is_file() else study.plan
    plan |= {"folds": [study.held, list(labelled)], "reasons": {}}
    write_text(place / "plan.json", json.dumps(plan, indent=1) + "\n")
    words = ["--fold", 0, "--epochs", epochs, "--steps-per-epoch", args.steps, "--seed", args.seed]
    words += ["--from", start] if start else ["--precision", args.precision]
    zoo("train", args.data, "--plan", place / "plan.json", *words, "--out", run)


def choose(study: Study, pool: Path, place: Path, labelled, strategy: str) -> list[str]:
    """The cases that a strategy would have corrected next, by what a network's artifact says of all.

    Args:
        study: what is shared.
        pool: folder of the scans.
        place: of the network.
        labelled: names of the cases that are corrected already.
        strategy: one of ``review.learning.STRATEGIES``.
    """
    args = study.args
    draw = random.Random(f"{args.seed} {len(labelled)}")
    artifact = place / "artifact" / args.format
    if not artifact.is_dir():
        zoo("export", place / "run", "--format", args.format, "--out", artifact.parent, "--ship-anyway")
    service = open_service(pool, [artifact], place / "review")
    try:
        if service.manifest.training is None or service.manifest.training.quality is None:
            print(f"{artifact}: predicts no Dice; give more --held cases", file=sys.stderr)
        release(service)
        for case in all_cases(service.database):
            if case.state == WAITING:
                segment_case(service, case)
        cases = {case.id: case for case in all_cases(service.database)}
        chosen = []
        for name in labelled:
            cases[name] = corrected(service, cases[name], study.cases[name].label)
        while len(chosen) < args.batch:
            name = next_case(list(cases.values()), strategy, draw).id
            cases[name] = corrected(service, cases[name], study.cases[name].label)
            chosen.append(name)
        return chosen
    finally:
        service.close()


def corrected(service: Service, case, label):
    """A case as it stands in the worklist once its reference label was saved for a correction."""
    return replace(case, state=CORRECTED, volumes=service.volumes(case, service.check_labels(case, label)))


def score(study: Study, place: Path) -> dict[str, dict[str, float]]:
    """Structure to Dice of every test case by a network, kept in ``dice.json``."""
    file = place / "dice.json"
    if file.is_file():
        kept = json.loads(file.read_text(encoding="utf-8"))
        if all(list(scores) == list(study.test) for scores in kept.values()):
            return kept
    import keras

    from train.evaluation.segmenting import patch_predictor, segmenter
    from train.fitting.run import open_run

    run = open_run(place / "run")
    segment = segmenter(patch_predictor(run.model()), run.plan)
    structures = run.plan.labels[1:]
    scores: dict[str, dict[str, float]] = {label.name: {} for label in structures}
    for name in study.test:
        case = study.cases[name]
        scan, labels = imaging.read(list(case.images)), imaging.read_labels(case.label)
        reference = imaging.align(labels, scan, case.label, case.images[0]).voxels[..., 0]
        segmented = segment(scan)
        for index, label in enumerate(structures, 1):
            scores[label.name][name] = dice(segmented == index, reference == label.value)
    keras.backend.clear_session()
    write_text(file, json.dumps(scores, indent=1) + "\n")
    return scores


def heading(study: Study) -> str:
    """What the table is of."""
    args = study.args
    return (
        f"{args.data.name}, {study.plan['network']['name']}: {len(study.test)} test cases, {len(study.held)} held back "
        f"from every training, seed {args.seed}; {args.first_epochs} epochs of {args.steps} steps, then {args.epochs} "
        "each round\n"
    )


if __name__ == "__main__":
    sys.exit(main())
