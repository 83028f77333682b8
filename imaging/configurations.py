"""What ``zoo train --configuration all`` leaves: networks of several configurations, and which of them to use."""

from dataclasses import dataclass, field
from pathlib import Path

from medseg import record
from medseg.command import command_line
from medseg.errors import InputError
from medseg.untrusted import shown

FILE = "configurations.json"


@dataclass(frozen=True)
class Scored:
    """A configuration, or two whose probabilities are averaged, with its scores on the held-back cases.

    Attributes:
        names: of the configurations.
        score: the mean over the classes or regions.
        by_label: mean over the cases of each class or region.
    """

    names: tuple[str, ...]
    score: float
    by_label: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Configurations:
    """``configurations.json``.

    Attributes:
        dataset: the folder.
        folds: that every configuration is trained on.
        planned: the configurations, each in a folder of its name: the folds of a cross-validation.
        left_out: configuration that does not apply to why.
        metric: that is compared: "dice", of objects "ap".
        cases: held-back cases that the scores are of.
        scored: each configuration, and each pair.
        chosen: one, or two whose probabilities are averaged; none while they are trained.
        reason: of the choice, in words.
        notes: what speaks against a score.
    """

    dataset: str
    folds: tuple[int, ...]
    planned: tuple[str, ...]
    left_out: dict[str, str] = field(default_factory=dict)
    metric: str = "dice"
    cases: int = 0
    scored: tuple[Scored, ...] = ()
    chosen: tuple[str, ...] = ()
    reason: str = ""
    notes: tuple[str, ...] = ()


def joined(names) -> str:
    """Configurations as one name: "2d", "2d+3d"."""
    return "+".join(names)


def load_configurations(folder) -> Configurations | None:
    """What lies in a folder; None of any other folder.

    Raises:
        InputError: if the file cannot be read, or names what can be no configuration.
    """
    path = Path(folder) / FILE
    if not path.is_file():
        return None
    state = record.load(path, Configurations)
    for name in state.planned:
        if name in ("", ".", "..") or Path(name).name != name:
            raise InputError(f"{path}: configuration {shown(name)}: expected the name of a folder beside it")
    if not state.planned or not state.folds:
        raise InputError(f"{path}: expected configurations and folds, got none")
    if not set(state.chosen) <= set(state.planned) or len(state.chosen) > 2:
        raise InputError(f"{path}: chosen {shown(state.chosen)}: expected one or two of {shown(state.planned)}")
    return state


def chosen_folders(folder) -> tuple[Path, ...]:
    """The folders of the configurations that were chosen, one or two; none of a folder of something else.

    Raises:
        InputError: if none is chosen yet.
    """
    state = load_configurations(folder)
    if state is None:
        return ()
    if not state.chosen:
        raise InputError(
            f"{folder}: its configurations {', '.join(state.planned)} have not all been trained; go on with "
            f"{command_line('zoo train --resume --out', folder)}"
        )
    return tuple(Path(folder) / name for name in state.chosen)


def scores_folder(folder) -> Path:
    """Where the summary of what was chosen lies: the configuration's own folder, of a pair one of both names.

    Raises:
        InputError: as ``chosen_folders``.
    """
    return Path(folder) / joined(each.name for each in chosen_folders(folder))
