"""Run a float network and its artifact on labelled cases and score both."""

import dataclasses
import math

import numpy as np

import imaging
from export.verify.fidelity import (
    TOLERANCE_MM,
    CaseScores,
    Fidelity,
    LabelFidelity,
    LabelScores,
    ObjectScores,
    Scores,
    WorstCase,
)
from export.verify.gate import judge
from export.verify.references import read_objects, read_reference
from imaging.io.cases import CaseFiles
from imaging.labels import Label, Region
from imaging.measure import overlap
from imaging.measure.detection import score_objects
from imaging.measure.surface import surface_distances
from imaging.regions import mask_of, structure_values


def compare(
    network,
    artifact,
    cases: tuple[CaseFiles, ...],
    labels: tuple[Label, ...],
    progress=None,
    recipe: imaging.Recipe | None = None,
    ignore: int | None = None,
    regions: tuple[Region, ...] = (),
) -> Fidelity:
    """Run the network and the artifact on labelled cases and compare.

    Args:
        network: function of a ``Scan`` to label values (*spatial), or numbers of objects where cases have such.
        artifact: the same for the artifact, through the device runtime.
        cases: labelled cases.
        labels: classes by class index.
        progress: wraps the iteration over cases (``tqdm``), or None.
        recipe: says how many channels a scan must have and what NaN in it stands for; None takes what the files hold.
        ignore: value of voxels in label files that nobody has labelled, background to all three here; or None.
        regions: structures of several classes, which are compared instead of the classes.

    Raises:
        InputError: if there are no labelled cases, or labels hold values of no class or lie on another grid.
    """
    labelled = [case for case in cases if case.label is not None]
    if not labelled:
        raise imaging.InputError("verification: expected at least one labelled case held back from training, got none")
    members = structure_values(labels, regions)
    changed = voxels = 0
    per_case, worst, order = [], None, (-math.inf, -math.inf)
    channels, nan = (recipe.channels, recipe.nan) if recipe is not None else (None, None)
    for case in progress(labelled) if progress else labelled:
        scan = imaging.read(list(case.images), channels, nan)
        reference = read_reference(case, scan, labels, ignore)
        by_network, by_artifact = network(scan), artifact(scan)
        objects = None
        if case.instances:
            objects = _objects(by_network, by_artifact, read_objects(case, scan))
            by_network, by_artifact = (
                np.where(numbers > 0, labels[1].value, labels[0].value) for numbers in (by_network, by_artifact)
            )
        known = np.full(reference.shape, True) if ignore is None else reference != ignore
        if not known.all():
            by_network, by_artifact, reference = (
                np.where(known, values, labels[0].value) for values in (by_network, by_artifact, reference)
            )
        scores = dataclasses.replace(
            _case(case.name, by_network, by_artifact, reference, members, scan.spacing, known), objects=objects
        )
        per_case.append(scores)
        if (scores.drop, scores.argmax_changed) > order:  # only one case's voxels are kept
            order = scores.drop, scores.argmax_changed
            worst = WorstCase(case.name, scores.drop, scan, reference, by_network, by_artifact)
        changed += int(np.count_nonzero(by_network != by_artifact))
        voxels += int(np.count_nonzero(known))
    means = {name: _label_fidelity(name, per_case) for name in members}
    names = tuple(scores.name for scores in per_case)
    objects = _mean_objects([scores.objects for scores in per_case if scores.objects])
    share = changed / max(voxels, 1)
    judged = judge(means, share, objects)
    return Fidelity(
        cases=names,
        labels=means,
        argmax_changed=share,
        verdict=judged.verdict,
        reasons=judged.reasons,
        unseen=judged.unseen,
        objects=objects,
        per_case=tuple(per_case),
        worst=worst,
    )


def _objects(network, artifact, reference) -> ObjectScores:
    before, after = (score_objects(labels, reference) for labels in (network, artifact))
    scores = (("network", before), ("artifact", after))
    return ObjectScores(**{f"{name}_{of}": row[name] for name in ("ap", "ap50", "pq", "f1") for of, row in scores})


def _mean_objects(cases) -> ObjectScores | None:
    if not cases:
        return None
    names = [field.name for field in dataclasses.fields(ObjectScores)]
    return ObjectScores(**{name: float(np.mean([getattr(case, name) for case in cases])) for name in names})


def _case(name, network, artifact, reference, members, spacing, known) -> CaseScores:
    scores, labelled = {}, int(np.count_nonzero(known))
    unit = math.prod(spacing) / (1000 if reference.ndim == 3 else 1)
    for label, values in members.items():
        by_network, by_artifact, expected = (mask_of(array, values) for array in (network, artifact, reference))
        volume = float(np.count_nonzero(expected) * unit)
        between = overlap.dice(by_artifact, by_network)
        before = _scores(by_network, expected, spacing, unit)
        after = before if np.array_equal(by_network, by_artifact) else _scores(by_artifact, expected, spacing, unit)
        beyond = _beyond_chance(before.dice, by_network, expected, labelled)
        scores[label] = LabelScores(before, after, volume, between, beyond)
    return CaseScores(name, float(np.count_nonzero(network != artifact) / max(labelled, 1)), scores)


def _scores(mask, reference, spacing, unit) -> Scores:
    distances = surface_distances(mask, reference, spacing)
    return Scores(
        overlap.dice(mask, reference),
        distances.percentile(95),
        distances.within(TOLERANCE_MM),
        float(np.count_nonzero(mask) * unit),
    )


def _beyond_chance(dice, mask, reference, labelled) -> float:
    """Of the voxels that somebody has labelled: among those that nobody has, there is nothing to guess."""
    predicted, present = (np.count_nonzero(voxels) / max(labelled, 1) for voxels in (mask, reference))
    chance = 2 * predicted * present / (predicted + present) if predicted + present else 0.0
    return float((dice - chance) / (1 - chance)) if chance < 1 else dice


def _label_fidelity(name, cases) -> LabelFidelity:
    scores = [case.labels[name] for case in cases]
    worst = max(range(len(cases)), key=lambda i: scores[i].drop)
    changes = [abs(s.artifact.volume - s.network.volume) / s.network.volume for s in scores if s.network.volume]
    present = [s for s in scores if s.reference_volume]
    finite = [s for s in scores if math.isfinite(s.network.hd95) and math.isfinite(s.artifact.hd95)]
    before, after = (float(np.mean([getattr(s, which).dice for s in scores])) for which in ("network", "artifact"))
    return LabelFidelity(
        dice_network=before,
        dice_artifact=after,
        dice_drop=before - after,
        worst_drop=float(scores[worst].drop),
        worst_case=cases[worst].name,
        volume_change=float(np.mean(changes)) if changes else 0.0,
        hd95_network=float(np.mean([s.network.hd95 for s in finite])) if finite else None,
        hd95_artifact=float(np.mean([s.artifact.hd95 for s in finite])) if finite else None,
        nsd_network=float(np.mean([s.network.nsd for s in scores])),
        nsd_artifact=float(np.mean([s.artifact.nsd for s in scores])),
        cases=len(present),
        beyond_chance=float(np.mean([s.beyond_chance for s in present])) if present else 0.0,
    )
