"""The run folder: what a training leaves behind and how to read it."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from imaging.adopted import flips_suffix
from imaging.configurations import load_configurations
from imaging.io.cases import CaseFiles, Cases
from medseg import record
from medseg.atomic import write_bytes
from medseg.command import command_line
from medseg.errors import InputError
from medseg.record import write_text
from train.evaluation.contents import content_of
from train.planning.plan import Plan, load_plan
from zoo.user_code import FOLDER, files_of

CONTENTS = "contents.json"
# What a training leaves beside plan.json, without what is written before that: a killed process may have left those.
WRITTEN = (
    "model.keras", "history.csv", "progress.png", "postprocessing.json", "metrics.json", "summary.json", "report.html",
    "checkpoints", "tensorboard", "predictions",
)  # fmt: skip


@dataclass(frozen=True)
class Origin:
    """``run.json``: what a run was made from.

    Attributes:
        fold: whose validation cases were held back; None if every case was trained on.
        dataset: the folder.
        versions: package name to version.
        devices: that took the plan's batch each in every step.
        code: files of the user's own in the folder ``code`` that network or loss come from: name to SHA-256.
        step_ms: of a step in each precision, where the plan's "auto" had them timed; the plan holds the choice.
    """

    fold: int | None
    dataset: str
    versions: dict = field(default_factory=dict)
    devices: int = 1
    code: dict = field(default_factory=dict)
    step_ms: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """A run folder: ``plan.json``, ``run.json``, ``cases.json``, ``contents.json`` (a digest of each case's files),
    ``model.keras``, ``history.csv``, ``progress.png``, ``postprocessing.json``, ``metrics.json`` and its kin (see
    ``result_file``), ``checkpoints/`` and ``tensorboard/``; of a cascade ``first/``, the run of its first network.

    Attributes:
        folder: where it lies.
        plan: what was trained.
        fold: whose validation cases were held back; None if every case was trained on.
        dataset: the dataset folder.
        devices: that took the plan's batch each in every step.
    """

    folder: Path
    plan: Plan
    fold: int | None
    dataset: str = ""
    devices: int = 1

    @property
    def model_file(self) -> Path:
        """The trained network."""
        return self.folder / "model.keras"

    def result_file(self, name: str, fold: int | None = None, mirror: bool | None = None) -> Path:
        """Where a result of a scoring goes, so that none takes another's place.

        Args:
            name: of the file for the run's own fold, predicted as the plan says: "metrics.json".
            fold: that was scored, the run's own by default.
            mirror: predictions were averaged over flips, or not; None for as the plan says.

        Returns:
            ``metrics.json``, ``metrics_fold2.json``, ``metrics_mirror.json``, ``metrics_fold2_plain.json`` and so on.
        """
        place = self.folder / name
        foreign = "" if fold is None or fold == self.fold else f"_fold{fold}"
        return place.with_name(f"{place.stem}{foreign}{flips_suffix(unless_planned([self], mirror))}{place.suffix}")

    def check_finished(self) -> None:
        """Require that there is a trained network.

        Raises:
            InputError: if the training has not finished.
        """
        if not self.model_file.is_file():
            raise InputError(
                f"{self.folder}: holds no model.keras, so its training has not finished; "
                f"continue it with {command_line('zoo train --resume --out', self.folder)}"
            )

    def model(self):
        """The trained network, float32, logits out.

        Raises:
            InputError: if the training has not finished.
        """
        self.check_finished()
        import zoo
        from zoo.legacy import LoadError

        try:
            return zoo.load(self.model_file, compile=False)
        except LoadError as error:
            raise LoadError(f"{error}{zoo.user_code.hint(self.folder)}") from None


def open_run(folder) -> Run:
    """Read a run folder.

    Raises:
        InputError: if it is none.
    """
    folder = Path(folder)
    for name in ("plan.json", "run.json"):
        if not (folder / name).is_file():
            several = load_configurations(folder)
            if several is not None:
                place = folder / several.planned[0] / f"fold_{several.folds[0]}"
                raise InputError(f"{folder}: holds configurations; give a run of one of them, such as {place}")
            raise InputError(f"{folder}: not a run folder, {name} is missing; give the --out of a zoo train")
    plan = load_plan(folder / "plan.json")  # first: it has the schema, and one that is newer says so
    origin = record.load(folder / "run.json", Origin)
    return Run(folder, plan, origin.fold, origin.dataset, origin.devices)


def unless_planned(runs: Sequence[Run], mirror: bool | None) -> bool | None:
    """Whether predictions are averaged over flips; None where the plan of every run says the same."""
    return None if {run.plan.average_flips for run in runs} == {mirror} else mirror


def check_free(folder) -> None:
    """Require that what a training writes into a new folder takes the place of nothing that lies there.

    Args:
        folder: of a run, or of several folds or configurations.

    Raises:
        InputError: naming what lies there.
    """
    folder = Path(folder)
    begun = any(any(folder.glob(place)) for place in ("plan.json", "fold_*/plan.json", "*/fold_*/plan.json"))
    taken = [] if begun else [name for name in WRITTEN if (folder / name).exists()]
    if taken:
        raise InputError(
            f"{folder}: holds {', '.join(taken)}, which no training wrote and this one would replace; move that away, "
            "or give another --out"
        )


def create_run(
    folder,
    plan: Plan,
    fold: int | None,
    dataset: str,
    training: Sequence,
    validation: Sequence,
    devices: int = 1,
    step_ms: dict | None = None,
) -> Run:
    """Write ``plan.json``, ``run.json``, ``cases.json`` and ``contents.json`` into a new run folder.

    Args:
        folder: the run folder.
        plan: what will be trained.
        fold: whose validation cases are held back, None for no fold.
        dataset: the dataset folder.
        training: the ``Case`` records trained on.
        validation: those held back.
        devices: that take the plan's batch each in every step.
        step_ms: of a step in each precision, where they were timed.

    Raises:
        InputError: if it holds a run already, or files that a run would replace, or cannot be written.
    """
    folder = Path(folder)
    if (folder / "plan.json").exists():
        raise InputError(f"{folder}: holds a run already; continue it with --resume or give another --out")
    check_free(folder)
    contents = {case.name: content_of(case) for case in (*training, *validation)}
    code = files_of(plan.network.name, plan.training.loss)
    for name, file in code.items():
        write_bytes(folder / FOLDER / name, file.text)
    sums = {name: file.sha256 for name, file in code.items()}
    record.save(folder / "run.json", Origin(fold, dataset, versions(), devices, sums, step_ms or {}))
    record.save(folder / "cases.json", Cases(_files(training), _files(validation)))
    write_text(folder / CONTENTS, json.dumps(contents, indent=1) + "\n")
    record.save(folder / "plan.json", plan)
    return Run(folder, plan, fold, dataset, devices)


def _files(cases) -> tuple[CaseFiles, ...]:
    return tuple(
        CaseFiles(
            case.name,
            tuple(str(Path(image).resolve()) for image in case.images),
            None if case.label is None else str(Path(case.label).resolve()),
            case.instances,
        )
        for case in cases
    )


def versions() -> dict[str, str]:
    """Versions of what decides a training's result."""
    import platform
    from importlib import metadata

    import keras

    installed = {"python": platform.python_version(), "cpus": str(os.cpu_count())}
    for name in ("medseg-zoo", "tensorflow", keras.config.backend(), "keras", "numpy", "nibabel", "scipy"):
        try:
            installed[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return installed
