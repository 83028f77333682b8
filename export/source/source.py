"""What an artifact is made from: a trained network with its recipe, classes and cases."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from export.source.fine_tuned import finetuning
from imaging.adopted import adopted_postprocessing
from imaging.cleaning import Postprocessing
from imaging.configurations import load_configurations
from imaging.instances import Decoding
from imaging.io.cases import CaseFiles, Cases
from imaging.labels import Label, Region
from imaging.prior import first_folder
from imaging.recipe import Recipe, of_pictures
from medseg import record, schema
from medseg.errors import InputError
from medseg.untrusted import read_json


@dataclass(frozen=True)
class Source:
    """A trained network and what must travel with it.

    Attributes:
        name: what the artifact will be called.
        recipe: preprocessing of a scan.
        patch: spatial size of the network's input, voxels.
        overlap: share of a patch that neighbouring tiles overlap by.
        labels: classes by class index.
        channels: names of the input channels.
        training: labelled cases that the network was trained on; calibration draws from these only.
        validation: labelled cases that calibration does not see; fidelity is measured on these. The network never saw
            them either, unless its run held back no case.
        model_file: the ``.keras`` file; of networks not trained here also ``.h5``, or a SavedModel folder.
        provenance: network, run, fold and versions, for the manifest.
        ignore: value of voxels in label files that nobody has labelled, or None.
        reference: the network before it was fine-tuned for int8, or None.
        regions: structures that may overlap, of which the network has a channel each (``imaging.regions``), or none.
        instances: how the network's answer is cut into objects (``imaging.instances``), or None.
        postprocessing: how segmentations are cleaned up, which cross-validation adopted.
        adapts: the network was not trained here, and is first brought into the form that is exported
            (``export.rewrite.heads``).
        first: of a cascade, the network of low resolution that is asked first (``edge.cascade``), or None.
        mirror: axes of the patch over whose flips predictions are averaged.
    """

    name: str
    recipe: Recipe
    patch: tuple[int, ...]
    overlap: float
    labels: tuple[Label, ...]
    channels: tuple[str, ...]
    training: tuple[CaseFiles, ...]
    validation: tuple[CaseFiles, ...]
    model_file: Path
    provenance: dict = field(default_factory=dict)
    ignore: int | None = None
    reference: Path | None = None
    regions: tuple[Region, ...] = ()
    instances: Decoding | None = None
    postprocessing: Postprocessing = field(default_factory=Postprocessing)
    adapts: bool = False
    first: "Source | None" = None
    mirror: tuple[int, ...] = ()


def run_folder(run) -> Path | None:
    """The run folder of what is exported; None for a network of another origin."""
    folder = run.model_file.parent if isinstance(run, Source) else Path(run)
    return folder if (folder / "run.json").is_file() else None


_FILES = ("plan.json", "cases.json", "model.keras")  # without which a run is not finished


def open_source(run) -> Source:
    """Read what an export needs from a finished run folder.

    Raises:
        InputError: if the folder is no finished run.
    """
    run = Path(run)
    missing = [name for name in _FILES if not (run / name).is_file()]
    if missing and (several := load_configurations(run)):
        place = run / several.planned[0] / f"fold_{several.folds[0]}"
        raise InputError(f"{run}: holds configurations; give a run of one of them, such as {place}")
    if missing and folds_in(run):
        raise InputError(
            f"{run}: holds the folds of a cross-validation; give one, {next(iter(folds_in(run).values()))}"
        )
    if missing:
        raise InputError(
            f"{run}: not a finished run folder, {', '.join(missing)} missing; give the --out of a zoo train that ended"
        )
    plan = read_json(run / "plan.json", "plan")
    schema.check_number(run / "plan.json", plan, schema.PLAN)
    origin = read_json(run / "run.json", "run") if (run / "run.json").is_file() else {}
    cases = _split(record.load(run / "cases.json", Cases))
    try:
        return Source(
            name=f"{plan['dataset']}-{plan['network']['name']}",
            recipe=_recipe(plan),
            patch=tuple(plan["patch"]),
            overlap=float(plan["overlap"]),
            labels=record.from_dict(tuple[Label, ...], plan["labels"], "labels"),
            channels=tuple(plan["channels"]),
            training=cases.training,
            validation=cases.validation,
            model_file=run / "model.keras",
            provenance={
                "dataset": plan["dataset"],
                "network": plan["network"]["name"],
                "options": plan["network"]["options"],
                "fold": origin.get("fold"),
                "seed": plan["training"]["seed"],
                "versions": origin.get("versions", {}),
                **finetuning(plan["training"]),
            },
            ignore=plan.get("ignore"),
            regions=record.from_dict(tuple[Region, ...], plan.get("regions", []), "regions"),
            instances=record.from_dict(Decoding | None, plan.get("instances"), "instances"),
            postprocessing=adopted_postprocessing(run),
            reference=run / "reference.keras" if (run / "reference.keras").is_file() else None,
            first=_first(run) if plan.get("first") else None,
            mirror=tuple(plan["training"].get("mirror", ())) if plan.get("average_flips") else (),
        )
    except KeyError as error:
        raise InputError(f"{run / 'plan.json'}: field {error} is missing; it was not written by zoo train") from None


def _recipe(plan):
    recipe = record.from_dict(Recipe, plan["recipe"], "recipe")
    return of_pictures(recipe) if plan.get("fingerprint", {}).get("has_spacing") is False else recipe


def _first(run):
    """The first network of a cascade, whose answer was not cleaned up before the second one was trained on it."""
    return replace(open_source(first_folder(run, _FILES)), postprocessing=Postprocessing())


def folds_in(folder) -> dict[int, Path]:
    """The finished runs in a folder that ``zoo train --fold all`` wrote, by fold; none in a run's own folder."""
    folder = Path(folder)
    if (folder / "model.keras").is_file():
        return {}
    folders = {path.parent.name.removeprefix("fold_"): path.parent for path in folder.glob("fold_*/model.keras")}
    return {int(fold): folders[fold] for fold in sorted(filter(str.isdecimal, folders), key=int)}


def int8_warning(source: Source, formats) -> str | None:
    """What to tell before a network that the zoo declares float, such as a transformer, is converted to int8.

    Args:
        source: what is exported.
        formats: names of the formats asked for.
    """
    import zoo

    network = source.provenance.get("network")
    asked = [name for name in formats if name.endswith("int8")]
    if not asked or network not in zoo.list_models() or zoo.info(network).edge == "int8":
        return None
    return (
        f"{network}: the zoo declares it {zoo.info(network).edge}, as int8 costs its attention accuracy; "
        f"{', '.join(asked)} stands only if verification passes, onnx-float32 and tflite-float32 are exact"
    )


def _split(cases):
    """Cases with some to verify on: every third of a run that trained on all, as calibration must not see them.

    A single case is left to calibration.
    """
    if cases.validation or len(cases.training) < 2:
        return cases
    kept = cases.training[::3]
    return Cases(tuple(case for case in cases.training if case not in kept), kept)


def network_of(source: Source):
    """The network of a source, in the form that is exported.

    Raises:
        InputError: if it cannot be read or brought into that form.
    """
    model = load_network(source.model_file)
    if not source.adapts:
        return model
    from export.rewrite.heads import adapt

    return adapt(model, source.model_file, source.patch).model


def load_network(path):
    """Load a saved network, which may come from a stranger; one of Keras 3 without its optimizer.

    Args:
        path: a ``.keras`` or ``.h5`` file, or a SavedModel folder.

    Raises:
        InputError: if it cannot be read as a Keras model.
    """
    import zoo
    from zoo.legacy import LoadError
    from zoo.user_code import hint

    try:
        return zoo.load(path, compile=Path(path).suffix != ".keras")
    except LoadError as error:
        raise InputError(f"{error}{hint(Path(path).parent)}") from None
