"""Scores of a network by cross-validation, read from the folders that training, evaluation and export left behind."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edge.trust.opening import read_artifact
from export.source.source import Source, open_source
from imaging.adopted import summary_file
from imaging.regions import structures
from medseg.command import command_line
from medseg.errors import InputError
from medseg.untrusted import read_json

METRICS = ("dice", "iou", "precision", "recall", "hd95", "assd", "nsd")
OBJECTS = ("ap", "ap50", "ap75", "pq", "f1", "lesion_dice")  # where objects are told apart


def cross_validated(source: Source, folders: Sequence, settings: dict) -> dict:
    """The scores of runs of the same plan, each on the cases that it held back.

    Args:
        source: the run that is shipped.
        folders: run folders with ``metrics.json``, or folders of ``zoo train --fold all``.
        settings: training settings of the shipped run by name; what differs in a scored run is listed.

    Returns:
        {"folds", "cases", "mirror", "mean", "std", "training"} as in ``zoo.weights.Card.scores``.

    Raises:
        InputError: for a run that was not scored, of another network or recipe, or scored on what it was trained on.
    """
    cases, folds, differing, mirrored, of_fold = {}, [], {}, set(), {}
    for folder in _runs(folders):
        scored, metrics = open_source(folder), _metrics(folder)
        _check_same(folder, scored, source)
        if scored.provenance["fold"] is None:
            raise InputError(f"{folder}: was trained on every case; give runs that held a fold back")
        seen = sorted({case.name for case in scored.training} & set(metrics["cases"]))
        if seen:
            raise InputError(
                f"{folder}: metrics.json scores {seen[0]}, which the run was trained on; score what it held back: "
                f"{command_line('zoo evaluate', folder)}"
            )
        twice = sorted(set(cases) & set(metrics["cases"]))
        if twice:
            raise InputError(f"{folder}: case {twice[0]} was scored by another run too; give each fold once")
        cases |= metrics["cases"]
        folds.append(metrics["fold"])
        mirrored.add(bool(metrics.get("mirror")))
        of_fold[metrics["fold"]] = metrics["mean"]
        different = _difference(training_settings(folder), settings)
        if different:
            differing[str(metrics["fold"])] = different
    if len(mirrored) > 1:
        raise InputError("scores: some runs were scored with --mirror and some without; score all alike")
    return {
        "folds": sorted(folds),
        "cases": len(cases),
        "mirror": mirrored.pop(),
        "mean": _over_cases(cases, np.mean),
        "std": _over_cases(cases, np.std),
        "training": differing,
        "mean_of_fold": {str(fold): _numbers(of_fold[fold]) for fold in sorted(folds)},
    }


def cross_validated_artifacts(source: Source, folders: Sequence, runs: Sequence, trust=None) -> dict:
    """Mean Dice of int8 artifacts of those runs on the cases that they held back, from their manifests.

    An artifact cleans up as its run adopted, and is held against the run's scores with that.

    Args:
        source: the run that is shipped.
        folders: artifact folders, one a fold.
        runs: run folders with ``metrics.json``, as ``cross_validated`` takes them.
        trust: as for ``edge.load``.

    Returns:
        {"folds", "cases", "dice": {label: value}}; of instances also "objects": {"ap", "ap50", "pq", "f1": value}.

    Raises:
        InputError: for an artifact of another network, of a fold that was not scored, or not verified.
    """
    manifests = [read_artifact(folder, trust)[0] for folder in folders]
    plain, cleaned = _means_of_folds(runs)
    folds, weights, objects, dice = [], [], [], {name: [] for name in structures(source.labels, source.regions)}
    for folder, manifest in zip(folders, manifests, strict=True):
        fold, labels = manifest.source.get("fold"), manifest.fidelity.get("labels", {})
        if fold in folds or fold is None or fold not in plain or not labels:
            raise InputError(
                f"{folder}: an artifact of fold {fold}{'' if labels else ', not verified'}; expected a verified one "
                f"for each of the folds scored: {', '.join(map(str, sorted(plain)))}"
            )
        cleaning = {each.label for each in manifest.postprocessing.classes}
        for label, values in labels.items():
            known = cleaned.get(fold, {}) if label in cleaning else plain[fold]
            scored = known.get(label, {}).get("dice")
            if scored is None or abs(scored - values["dice_network"]) > 1e-3:
                raise InputError(
                    f"{folder}: its network has Dice {values['dice_network']:.4f} on {label}, the run of fold {fold} "
                    f"has {scored}; give the artifact of that run"
                )
            dice[label].append(values["dice_artifact"])
        folds.append(fold)
        weights.append(len(manifest.fidelity["cases"]))
        objects += [manifest.fidelity["objects"]] if "objects" in manifest.fidelity else []
    mean = {label: round(float(np.average(values, weights=weights)), 6) for label, values in dice.items()}
    scores = {"folds": sorted(folds), "cases": sum(weights), "dice": mean}
    if len(objects) != len(folds):
        return scores
    names = ("ap", "ap50", "pq", "f1")
    return scores | {
        "objects": {
            name: round(float(np.average([row[f"{name}_artifact"] for row in objects], weights=weights)), 6)
            for name in names
        }
    }


def _means_of_folds(runs):
    """{fold: {label: means}} of what the networks found, and of it cleaned up by a run or its cross-validation."""
    plain, cleaned = {}, {}
    for folder in _runs(runs):
        metrics, summary = _metrics(folder), summary_file(folder.parent)
        plain[metrics["fold"]] = _numbers(metrics["mean"])
        content = metrics
        if folder.name.startswith("fold_") and summary.is_file():
            content = read_json(summary, "cross-validation's summary")
        cases = (content.get("postprocessed") or {}).get("cases", {})
        if set(metrics["cases"]) <= set(cases):
            cleaned[metrics["fold"]] = _over_cases({name: cases[name] for name in metrics["cases"]}, np.mean)
    return plain, cleaned


def training_settings(folder) -> dict:
    """Training settings of a run, nested ones by dotted name, with the epochs that it really took."""
    plan = read_json(Path(folder) / "plan.json", "plan")
    settings = _flat(plan["training"])
    settings.pop("minutes", None)
    return settings | {"epochs": epochs(folder)}


def epochs(folder) -> int:
    """Epochs that a run took, by its ``history.csv``."""
    path = Path(folder) / "history.csv"
    try:
        return len(path.read_text(encoding="utf-8").split()) - 1
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); give a run folder of zoo train") from None


def _runs(folders):
    runs = []
    for folder in map(Path, folders):
        inner = sorted(path.parent for path in folder.glob("fold_*/plan.json"))
        runs += inner if inner and not (folder / "plan.json").is_file() else [folder]
    if not runs:
        raise InputError(
            "scores: no run is given; give the runs of the folds, as zoo train --fold N or all leaves them"
        )
    return runs


def _metrics(folder):
    path = folder / "metrics.json"
    if not path.exists():
        raise InputError(f"{path}: no such file; score the run with {command_line('zoo evaluate', folder)}")
    return read_json(path, "run's scores")


def _check_same(folder, scored, source):
    for key in ("recipe", "labels", "channels", "patch"):
        if getattr(scored, key) != getattr(source, key):
            raise InputError(f"{folder}: its {key} differs from the shipped run's; give runs of the same plan")
    for key in ("network", "options"):
        if scored.provenance[key] != source.provenance[key]:
            raise InputError(
                f"{folder}: trained {key} {scored.provenance[key]}, the shipped run {source.provenance[key]}; give "
                "runs of the same network"
            )


def _difference(scored, own):
    return {name: [scored[name], own[name]] for name in scored if name in own and scored[name] != own[name]}


def _flat(data, prefix=""):
    flat = {}
    for name, value in data.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return flat


def _over_cases(cases, statistic):
    first = next(iter(cases.values()))
    return _numbers(
        {
            label: {
                metric: statistic([case[label][metric] for case in cases.values()])
                for metric in (*OBJECTS, *METRICS)
                if metric in row
            }
            for label, row in first.items()
        }
    )


def _numbers(table):
    """Rounded, and None for what JSON has no number for."""
    return {
        label: {metric: round(float(v), 6) if math.isfinite(v) else None for metric, v in row.items()}
        for label, row in table.items()
    }
