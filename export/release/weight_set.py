"""A finished run to a set of pretrained weights: weights, card, and the int8 artifact for the device."""

import dataclasses
import gzip
import json
import re
import shlex
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge.manifest import Manifest, sha256
from edge.runtime.segmenter import Segmenter
from edge.trust import vector
from edge.trust.opening import read_artifact
from export.release.cross_validated_scores import cross_validated, cross_validated_artifacts, epochs, training_settings
from export.source.source import Source, load_network, open_source
from export.verify.comparison import compare
from export.verify.fidelity import Fidelity
from imaging.slices import stacked_names
from medseg import record
from medseg.atomic import temporary_folder
from medseg.errors import InputError

# A rooted path, a home folder or a Windows drive, at the beginning of a word.
_PLACE = re.compile(r"""(?:^|[\s'"=(,`])(?:~?/|[A-Za-z]:\\)\w""")


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
        max_drop: the largest drop in mean Dice of any class that storage may cost.
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
    entry = source.provenance["network"]
    if entry not in zoo.list_models():
        raise InputError(f"{run}: trained {entry}, which is no entry of the registry; zoo models lists them")
    _check_artifact(artifact, manifest, source)
    scored = cross_validated(source, scores, training_settings(run))
    on_device = {}
    if options.device_scores:
        on_device = cross_validated_artifacts(source, options.device_scores, scored, options.trust)
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
        artifact=_artifact(artifact, manifest),
        seed=source.provenance["seed"],
        epochs=epochs(run),
        plan={key: plan[key] for key in PLANNED if key in plan},
        versions=source.provenance["versions"],
        commands=(*options.commands, own),
    )
    _check_places(record.to_dict(card), "card")
    _check_places(record.to_dict(manifest), f"{artifact}/manifest.json")
    tell(f"{card.folder}: {entry} of {run}")

    out = Path(out)
    with temporary_folder(out / card.folder) as temporary:
        trained = load_network(source.model_file)
        weights.write_set(temporary, trained, card, options.kind)
        stored = zoo.get(entry, weights=temporary)
        tell(f"{card.folder}: {options.kind} compared with float32 on {len(_labelled(source))} cases")
        fidelity = _compare(trained, stored, manifest, source)
        _check_network(artifact, manifest, fidelity)
        if fidelity.drop > options.max_drop:
            raise InputError(
                f"{run}: stored as {options.kind} its mean Dice drops by {fidelity.drop:.4f}, "
                f"expected at most {options.max_drop:g}; store it as float16"
            )
        card = dataclasses.replace(
            card,
            storage=_storage(options.kind, seen, fidelity),
            parameters=trained.count_params(),
            bytes=(temporary / weights.WEIGHTS).stat().st_size,
        )
        packed = _copy_artifact(Path(artifact), manifest, temporary / manifest.format)
        card = dataclasses.replace(card, artifact=_artifact(temporary / manifest.format, packed))
        weights.write_card(temporary, card)
        weights.put_in_place(temporary, out / card.folder)
    return out / card.folder


def _copy_artifact(artifact, manifest, target) -> Manifest:
    """What a device needs of an artifact, the model compressed; reports with pictures stay behind, and so does the
    card's word on them.

    Returns:
        The manifest of the copy.
    """
    target.mkdir()
    model = target / f"{manifest.model}.gz"
    plain = (artifact / manifest.model).read_bytes()
    model.write_bytes(gzip.compress(plain, 9, mtime=0))
    files = ["CARD.md", model.name]
    if vector.NAME in manifest.files:
        shutil.copyfile(artifact / vector.NAME, target / vector.NAME)
        files.append(vector.NAME)
    packed = dataclasses.replace(manifest, model=model.name, sha256=sha256(model), files=tuple(files))
    record.save(target / "manifest.json", packed)
    text = (artifact / "CARD.md").read_text(encoding="utf-8")
    text = re.sub(r"(?m)^.*`report\.html`.*\n\n?", "", text)
    text = re.sub(
        r"(?m)^- Model file: ",
        f"- Model file: `{packed.model}`, {model.stat().st_size / 1e6:.2f} MB, sha256 `{packed.sha256}`; uncompressed ",
        text,
    )
    (target / "CARD.md").write_text(text, encoding="utf-8")
    return packed


def _artifact(folder, manifest) -> dict:
    """What a card says of the artifact in ``folder``."""
    return {
        "format": manifest.format,
        "file": manifest.model,
        "bytes": (Path(folder) / manifest.model).stat().st_size,
        "sha256": manifest.sha256,
        "patch": manifest.patch,
    }


def _labelled(source):
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


def _check_artifact(folder, manifest, source):
    of_run = {
        "labels": source.labels,
        "regions": source.regions,
        "instances": source.instances,
        "recipe": source.recipe,
        "channels": source.channels,
    }
    for attribute, value in of_run.items():
        if getattr(manifest, attribute) != value:
            raise InputError(
                f"{folder}: its {attribute} differs from the run's; give the artifact that was exported of it"
            )
    for attribute in ("network", "options", "fold", "seed"):
        stated, value = manifest.source.get(attribute), source.provenance.get(attribute)
        if stated != value:
            raise InputError(
                f"{folder}: made of {attribute} {stated}, the run has {value}; give the artifact of the run"
            )
    if not manifest.fidelity:
        raise InputError(f"{folder}: was not verified; export it without --no-verify")


def _check_network(folder, manifest, fidelity):
    """The float network that the artifact was verified against must be this one: the same Dice on the same cases."""
    for label, fidelity_of_label in fidelity.labels.items():
        then = manifest.fidelity["labels"].get(label, {}).get("dice_network")
        same_cases = list(manifest.fidelity["cases"]) == list(fidelity.cases)
        if then is None or not same_cases or abs(then - fidelity_of_label.dice_network) > 1e-4:
            raise InputError(
                f"{folder}: was verified against a network of Dice {then} on {label}, the run's has "
                f"{fidelity_of_label.dice_network:.4f}; export the run again and give that artifact"
            )


def _check_places(data, where):
    """Require that no text names a folder of the machine that made the set."""
    if isinstance(data, dict):
        for key, value in data.items():
            _check_places(key, where)
            _check_places(value, f"{where}: {key}")
    elif isinstance(data, list | tuple):
        for value in data:
            _check_places(value, where)
    elif isinstance(data, str) and _PLACE.search(data):
        raise InputError(f"{where}: {data!r} names a place on this machine; expected relative paths")


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
