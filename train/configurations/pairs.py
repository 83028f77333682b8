"""Two configurations together: the mean of their probabilities on the grid of the scan, on held-back cases."""

import itertools
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from imaging.configurations import Scored
from imaging.measure.overlap import dice
from imaging.regions import classes_of, mask_of, structures
from medseg.progress import track
from medseg.record import write_text
from train.evaluation.cross_validation import cross_validate
from train.evaluation.ensemble import ensemble_segmenter, probability_maps
from train.evaluation.evaluate import score_held_back
from train.evaluation.reference import read_case
from train.evaluation.reliability import Reliability
from train.fitting.folds import fold_folder
from train.fitting.run import Run
from train.input.pipeline import fold_cases

SCRATCH = ".probabilities"


def score_pairs(
    members: Mapping[str, Sequence[Run]], dataset, out, mirror: bool | None = None, progress: bool = False
) -> list[Scored]:
    """The mean Dice of every two configurations whose probabilities are averaged on the grid of the scan.

    Each case is segmented by the networks that held it back; the probabilities of each configuration are computed once
    and lie on the disk until the case is done.

    Args:
        members: configuration to its finished runs, the same folds of each.
        dataset: an open ``Dataset``.
        out: folder that takes the probabilities meanwhile.
        mirror: average over all flips along the plans' mirror axes, or not; None as each plan says.
        progress: show a bar per fold.
    """
    pairs = list(itertools.combinations(members, 2))
    plan = next(iter(members.values()))[0].plan
    values: dict[tuple[str, str], dict[str, list[float]]] = {pair: {} for pair in pairs}
    scratch = Path(out) / SCRATCH
    shutil.rmtree(scratch, ignore_errors=True)  # of a command that was killed
    scratch.mkdir(parents=True)
    try:
        for runs in zip(*members.values(), strict=True):
            maps = {name: probability_maps((run,), mirror) for name, run in zip(members, runs, strict=True)}
            cases = fold_cases(dataset, plan, runs[0].fold)[1]
            for case in track(cases, f"pairs, fold {runs[0].fold}", show=progress):
                scan, reference = read_case(case, plan.labels, plan.recipe.channels, plan.ignore, plan.recipe.nan)
                for name, chances in maps.items():
                    np.save(scratch / f"{name}.npy", chances(scan))
                for pair in pairs:
                    classes = _classes([np.load(scratch / f"{name}.npy", mmap_mode="r") for name in pair], plan)
                    for label, value in _dice(classes, reference.voxels[..., 0], plan).items():
                        values[pair].setdefault(label, []).append(value)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    scored = []
    for pair, of_cases in values.items():
        by_label = {label: float(np.mean(scores)) for label, scores in of_cases.items()}
        scored.append(Scored(pair, float(np.mean(list(by_label.values()))), by_label))
    return scored


def _classes(maps, plan):
    """Class indices by the mean of probabilities, slice by slice."""
    written = plan.written_classes
    half = 0.0 if written is None else 0.5
    return np.stack([classes_of(sum(slices) / len(maps) - half, written) for slices in zip(*maps, strict=True)])


def _dice(classes, reference, plan) -> dict[str, float]:
    labelled = reference < len(plan.labels)
    return {
        name: dice(mask_of(classes, indices) & labelled, mask_of(reference, indices) & labelled)
        for name, indices in structures(plan.labels, plan.regions).items()
    }


def cross_validate_pair(
    members: Mapping[str, Sequence[Run]], dataset, out, *, mirror=None, write=True, progress=False
) -> dict:
    """Score two configurations together on the cases that each fold held back, as ``cross_validate`` does one.

    Args:
        members: configuration to its finished runs, the same folds of each.
        dataset: an open ``Dataset``.
        out: folder of the pair, which takes for each fold ``metrics.json`` and ``predictions/``.
        mirror: average over all flips along the plans' mirror axes, or not; None as each plan says.
        write: write ``summary.json`` there, or what ``cross_validate`` calls it.
        progress: show a bar per fold.

    Returns:
        As ``cross_validate``.
    """
    by_fold = {runs[0].fold: runs for runs in zip(*members.values(), strict=True)}
    kept = [Run(fold_folder(out, fold), _plan(runs), fold, runs[0].dataset) for fold, runs in by_fold.items()]

    def score(run, dataset, *, mirror, keep, progress):
        reliability = Reliability(run.plan, logits=False)
        segment = ensemble_segmenter(by_fold[run.fold], mirror, reliability.keep)
        cases = fold_cases(dataset, run.plan, run.fold)[1]
        scores = score_held_back(segment, reliability, cases, run.plan, run if keep else None, mirror, progress)
        metrics = {"fold": run.fold, "mirror": run.plan.averages(mirror), "seen": False, **scores}
        write_text(run.result_file("metrics.json", mirror=mirror), json.dumps(metrics, indent=1) + "\n")
        return metrics

    return cross_validate(kept, dataset, out if write else None, mirror=mirror, progress=progress, score=score)


def _plan(runs):
    """The plan of the first run; where the plans differ in flips, one of neither, so that both ways have own files."""
    averages = {run.plan.average_flips for run in runs}
    return runs[0].plan if len(averages) == 1 else replace(runs[0].plan, average_flips=None)
