"""A finished run to a set of pretrained weights: weights, card, and the int8 artifact for the device."""

import dataclasses
import json
import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge.manifest import Manifest
from edge.runtime.segmenter import Segmenter
from edge.trust.opening import read_artifact
from export.release.cross_validated_scores import cross_validated, cross_validated_artifacts, epochs, training_settings
from export.release.set_artifact import copy_artifact, described
from export.release.set_checks import check_artifact, check_network, check_places
from export.source.source import Source, load_network, open_source
from export.verify.comparison import compare
from export.verify.fidelity import Fidelity
from export.verify.gate import UNJUDGED, refusal
from imaging.slices import stacked_names
from medseg import record
from medseg.atomic import temporary_folder
from medseg.errors import InputError

# What a card tells of the plan.
PLANNED = ("recipe", "patch", "overlap", "labels", "training", "regions", "instances")


@dataclass(frozen=True)
class About:
    """What no run folder knows of a set of weights.

    Attributes:
        data: what it was trained on.
        source: where the data can be had.
        licence: SPDX name of the data's licence.
        attribution: what that licence asks to be said.
        use: intended use.
        limits: what it must not be used for, and where it fails.
    """

    data: str
    source: str
    licence: str
    attribution: str
    use: str
    limits: str


@dataclass(frozen=True)
class PackOptions:
    """What may be chosen of a set of weights.

    Attributes:
        device_scores: artifact folders of the runs that give the scores.
        commands: that made the run, its scores and its artifact, for the card.
        kind: how weights are stored: "float16", or "int8" for kernels in int8.
        max_drop: the largest drop in mean Dice of any class that storage may cost, within what the gate allows.
        trust: as for ``edge.load``, of all artifacts.
    """

    device_scores: Sequence = ()
    commands: Sequence[str] = ()
    kind: str = "float16"
    max_drop: float = 0.001
    trust: object = None


def pack(
    run,
    name: str,
    about: About,
    artifact,
    scores: Sequence,
    out,
    *,
    tell: Callable[[str], None] = print,
    **options,
) -> Path:
    """Write a set of weights: ``OUT/<entry>-<name>/`` with weights, card and artifact, whole or not at all.

    Args:
        run: finished run folder, as ``zoo train`` leaves it.
        name: of the set, what ``zoo.get(entry, weights=name)`` will take.
        about: what the run folder does not know.
        artifact: folder of the run's artifact, as ``zoo export`` wrote and verified it.
        scores: run folders with ``metrics.json``, or folders of ``zoo train --fold all``, of the same plan.
        out: folder that takes the set's folder.
        tell: takes a line of progress.
        options: attributes of ``PackOptions``: device_scores, commands, kind, max_drop, trust.

    Returns:
        The set's folder.

    Raises:
        InputError: if the parts do not belong together, or name a place on this machine.
        ZooError: if the weights do not fit the registry's network or their storage.
    """
    import zoo
    from zoo import weights

    options = PackOptions(**options)

    if not re.fullmatch(r"[a-z0-9_]+", name):
        raise InputError(f"name {name!r}: expected lower-case letters, digits and _")
    manifest, _ = read_artifact(artifact, options.trust)
    source, plan = open_source(run), json.loads((Path(run) / "plan.json").read_text(encoding="utf-8"))
    if source.first is not None:
        raise InputError(f"{run}: is a cascade of two networks; expected a run of one, which a set of weights holds")
    entry = source.provenance["network"]
    if entry not in zoo.list_models():
        raise InputError(f"{run}: trained {entry}, which is no entry of the registry; zoo models lists them")
    check_artifact(artifact, manifest, source)
    scored = cross_validated(source, scores, training_settings(run))
    on_device = {}
    if options.device_scores:
        on_device = cross_validated_artifacts(source, options.device_scores, scores, options.trust)
    seen = source.provenance["fold"] is None
    own = _pack_command(run, name, artifact, scores, options.device_scores, options.kind)
    card = weights.Card(
        entry=entry,
        name=name,
        classes=tuple(each.name for each in (not source.instances and source.regions) or source.labels),
        channels=stacked_names(source.channels, source.recipe.slices),
        options=source.provenance["options"],
        **record.to_dict(about),
        split=_split(source, plan, scored),
        scores=scored,
        int8_scores=on_device,
        artifact=described(artifact, manifest),
        seed=source.provenance["seed"],
        epochs=epochs(run),
        plan={key: plan[key] for key in PLANNED if key in plan},
        versions=source.provenance["versions"],
        commands=(*options.commands, own),
    )
    check_places(record.to_dict(card), "card")
    check_places(record.to_dict(manifest), f"{artifact}/manifest.json")
    tell(f"{card.folder}: {entry} of {run}")

    out = Path(out)
    with temporary_folder(out / card.folder) as temporary:
        trained = load_network(source.model_file)
        weights.write_set(temporary, trained, card, options.kind)
        stored = zoo.get(entry, weights=temporary)
        tell(f"{card.folder}: {options.kind} compared with float32 on {len(_labelled(source))} cases")
        fidelity = _compare(trained, stored, manifest, source)
        check_network(artifact, manifest, fidelity)
        reason = refusal(fidelity) or refusal(fidelity, options.max_drop)
        if reason is not None:
            mend = "train it for longer" if fidelity.verdict == UNJUDGED else "store it as float16"
            raise InputError(f"{run}: stored as {options.kind}: {reason}; {mend}")
        card = dataclasses.replace(
            card,
            storage=_storage(options.kind, seen, fidelity),
            parameters=trained.count_params(),
            bytes=(temporary / weights.WEIGHTS).stat().st_size,
        )
        packed = copy_artifact(Path(artifact), manifest, temporary / manifest.format)
        card = dataclasses.replace(card, artifact=described(temporary / manifest.format, packed))
        weights.write_card(temporary, card)
        weights.put_in_place(temporary, out / card.folder)
    return out / card.folder


def _labelled(source: Source):
    return tuple(case for case in source.validation if case.label is not None)


def _compare(trained, stored, manifest: Manifest, source: Source) -> Fidelity:
    """The stored network against the trained one, scan to segmentation."""
    from export.verify.verification import NetworkRunner

    trained_segmenter, stored_segmenter = (Segmenter(manifest, NetworkRunner(model)) for model in (trained, stored))
    return compare(
        lambda scan: trained_segmenter.predict(scan).labels.voxels[..., 0],
        lambda scan: stored_segmenter.predict(scan).labels.voxels[..., 0],
        _labelled(source),
        source.labels,
        recipe=source.recipe,
        ignore=source.ignore,
        regions=source.regions,
    )


def _storage(kind, seen, fidelity):
    return {
        "kind": kind,
        "cases": len(fidelity.cases),
        "seen": seen,
        "labels": {
            label: {
                "dice_float32": round(fidelity_of_label.dice_network, 6),
                "dice_stored": round(fidelity_of_label.dice_artifact, 6),
                "worst_drop": round(fidelity_of_label.worst_drop, 6),
            }
            for label, fidelity_of_label in fidelity.labels.items()
        },
        "argmax_changed": round(fidelity.argmax_changed, 8),
    }


def _split(source, plan, scored):
    fold = source.provenance["fold"]
    trained = len(source.training) + (len(source.validation) if fold is None else 0)
    held = "none held back" if fold is None else f"those of fold {fold} held back"
    rule = plan.get("reasons", {}).get("folds", "")
    folds = ", ".join(map(str, scored["folds"]))
    return (
        f"trained on {trained} cases, {held}; scored by cross-validation on {scored['cases']} cases of "
        f"fold{'s' * (len(scored['folds']) > 1)} {folds} of {len(plan['folds'])}" + (f" ({rule})" if rule else "")
    )


def _pack_command(run, name, artifact, scores, device_scores, kind):
    """What to type for this set, without the folders of this machine."""

    def last(places):
        return [_short(place) for place in places]

    words = ["zoo", "weights", "pack", _short(run), "--name", name, "--about", f"about-{name}.json"]
    words += ["--artifact", _short(artifact, 3), "--scores", *last(scores)]
    words += ["--device-scores", *(_short(place, 3) for place in device_scores)] if device_scores else []
    return shlex.join([*words, "--storage", kind, "--out", "OUT"])


def _short(place, parts: int = 1):
    return "/".join(Path(place).absolute().parts[1:][-parts:])
