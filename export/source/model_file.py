"""An export of a network that no run folder belongs to: a model file, a recipe and a folder of scans."""

import re
from collections.abc import Sequence
from pathlib import Path

from edge.cases import scans_of
from export.source.source import Source, load_network
from export.verify.references import check_references
from imaging.io.cases import CaseFiles, by_name, name_clashes, owner, scans_in
from imaging.labels import Label
from imaging.recipe import Recipe, check
from medseg import record
from medseg.errors import InputError, UsageError
from medseg.untrusted import read_json

OVERLAP = 0.5


def is_model(path) -> bool:
    """Whether a path is a model file or a SavedModel folder rather than a run folder."""
    path = Path(path)
    return path.suffix in (".keras", ".h5", ".hdf5") or (path / "saved_model.pb").is_file()


def open_model(
    model_file,
    recipe,
    scans=None,
    *,
    labels=None,
    patch: Sequence[int] | None = None,
    classes: Sequence[str] = (),
) -> Source:
    """Gather what an export needs around a model file.

    Args:
        model_file: a ``.keras`` or ``.h5`` file, or a SavedModel folder, of any origin: logits out, channels last.
        recipe: JSON file of the preprocessing that the network was trained with, fields as in ``imaging.Recipe``.
        scans: folder of scans of the kind that the network was trained on, as ``zoo-edge predict`` takes it; integer
            formats are calibrated with them.
        labels: folder of their label files, of the same names; every third case is then held back from calibration to
            verify the artifact.
        patch: spatial size of the artifact's input, voxels; by default the model's own, if that is fixed.
        classes: names by class index, "liver" or, where its value in label files is another than the index,
            "liver=255"; by default "background", "class 1", ...

    Raises:
        InputError: if a file cannot be read, or network, recipe, patch and labels do not fit together.
        UsageError: if labels are given without scans.
    """
    model_file = Path(model_file)
    recipe_read = _read_recipe(Path(recipe))
    if recipe_read.prior:
        raise InputError(
            f"{recipe}: prior {recipe_read.prior} is of the second network of a cascade; give the run folder, which "
            "holds both networks, or a recipe without it"
        )
    if labels is not None and scans is None:
        raise UsageError("labels: are those of the calibration scans; give --calibration-folder too")
    cases = () if scans is None else _cases(Path(scans), labels, recipe_read.channels)
    adapted = _adapted(model_file, recipe_read, patch)
    model = adapted.model
    held = cases[::3] if labels is not None else ()
    labels_of_classes = _labels(model_file, model, classes)
    check_references(held, labels_of_classes, recipe_read.channels)
    return Source(
        name=model_file.stem,
        recipe=recipe_read,
        patch=_patch(model_file, model, recipe_read, patch),
        overlap=OVERLAP,
        labels=labels_of_classes,
        channels=tuple(f"channel {i}" for i in range(recipe_read.channels)),
        training=tuple(case for case in cases if case not in held),
        validation=held,
        model_file=model_file,
        provenance={
            "network": model.name,
            "model_file": model_file.name,
            **({"adapted": list(adapted.changes)} if adapted.changes else {}),
        },
        adapts=True,
    )


def _adapted(model_file, recipe, patch):
    model = load_network(model_file)
    shape = model.inputs[0].shape[1:] if getattr(model, "inputs", None) else ()
    if len(shape) == recipe.patch_rank + 1 and shape[0] == recipe.patch_channels != shape[-1]:
        raise InputError(
            f"{model_file}: takes {tuple(shape)}, which has the channels first, expected channels last; build the same "
            "network with data_format='channels_last' and give it the weights: new.set_weights(old.get_weights())"
        )
    from export.rewrite.heads import adapt  # not before a file that cannot be read is refused: it imports Keras

    return adapt(model, model_file, patch)


def _read_recipe(path) -> Recipe:
    if not path.exists():
        raise InputError(f"{path}: no such file; give the recipe as JSON, for example " + '{"rank": 3, "channels": 1}')
    data = read_json(path, "recipe")
    if isinstance(data, dict) and "recipe" in data:
        data = data["recipe"]  # a plan.json or manifest.json will do
    try:
        recipe = record.from_dict(Recipe, data, "recipe")
        check(recipe)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return recipe


def _cases(folder, labels, channels) -> tuple[CaseFiles, ...]:
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give a folder of scans, as zoo-edge predict takes it")
    listed = scans_of(folder, channels)
    clashes = name_clashes((name, files[0]) for name, files in listed)
    if clashes:
        raise InputError(clashes[0])
    scans = dict(listed)
    label_of = {} if labels is None else _label_files(Path(labels), scans)
    return tuple(CaseFiles(name, tuple(str(path) for path in scan), label_of.get(name)) for name, scan in scans.items())


def _label_files(folder, scans) -> dict[str, str]:
    """The label file of every scan, paired by name as ``zoo plan`` pairs them."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give the folder of the scans' label files")
    label_of = {}
    for name, path in by_name(scans_in(folder)).items():
        scan = owner(name, scans)
        if scan in label_of:
            raise InputError(f"{folder}: both {label_of[scan]} and {path} are labels of case {scan}; take one away")
        if scan is not None:
            label_of[scan] = str(path)
    missing = [name for name in scans if name not in label_of]
    if missing:
        raise InputError(
            f"{folder}: holds no label file for {len(missing)} of {len(scans)} scans, the first is case {missing[0]}; "
            "give one of the scan's name for every scan"
        )
    return label_of


def _patch(path, model, recipe, patch) -> tuple[int, ...]:
    shape = model.inputs[0].shape
    if len(shape) != recipe.patch_rank + 2 or shape[-1] != recipe.patch_channels:
        raise InputError(
            f"{path}: takes {shape[1:]}, the recipe gives {recipe.patch_rank} spatial axes and "
            f"{recipe.patch_channels} channels; mend rank, channels and slices of the recipe"
        )
    patch = tuple(shape[1:-1] if patch is None else patch)
    if None in patch:
        raise InputError(f"{path}: its input shape {shape[1:]} is open; give --patch")
    if len(patch) != recipe.patch_rank:
        raise InputError(f"patch {patch}: the recipe has rank {recipe.patch_rank}; give as many numbers")
    return patch


def _labels(path, model, classes) -> tuple[Label, ...]:
    count = model.outputs[0].shape[-1]
    given = tuple(classes) or ("background", *(f"class {i}" for i in range(1, count)))
    if len(given) != count:
        raise InputError(f"{path}: has {count} classes, {len(given)} names are given: {', '.join(given)}")
    labels = tuple(_label(text, index) for index, text in enumerate(given))
    for name in ("name", "value"):
        values = [getattr(label, name) for label in labels]
        if len(set(values)) < count:
            raise UsageError(f"classes {' '.join(given)}: expected {count} different {name}s, got {values}")
    return labels


def _label(text, index) -> Label:
    """From "liver", whose value in label files is the class index, or "liver=255"."""
    name, equals, value = text.rpartition("=")
    if equals and re.fullmatch(r"-?\d{1,9}", value):
        return Label(name, int(value))
    return Label(text, index)
