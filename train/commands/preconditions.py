"""What a command is asked for, checked before any scan is read: to read a dataset takes minutes."""

import json
from collections.abc import Sequence
from pathlib import Path

from imaging.labels import Label
from imaging.recipe import Recipe
from medseg.atomic import check_writable
from medseg.errors import InputError, UsageError
from train.planning.plan import Network, Plan, Training
from train.planning.shape_rules import total_stride

FOLDS = 5
"""Of a plan that is made without being asked for another number."""


def stand_in(model: str | None = None, labels: Sequence[Label] = (), folds: int = FOLDS) -> Plan:
    """A plan that fits no dataset yet, to check what the user asked for by the checks of any plan.

    Args:
        model: registry entry; by default that of 3D scans.
        labels: the classes, where they are known.
        folds: of the cross-validation.

    Raises:
        ZooError: for an unknown model.
    """
    from zoo.registry import entry

    rank = entry(model or "unet3d").rank or 3
    network = Network(model or "unet3d")
    names = [f"case_{number}" for number in range(max(0, folds))]
    return Plan(
        dataset="",
        labels=tuple(labels) or (Label("background", 0), Label("foreground", 1)),
        channels=("channel 0",),
        recipe=Recipe(rank),
        network=network,
        patch=tuple(4 * step for step in total_stride(network, rank)),
        overlap=0.5,
        training=Training(),
        folds=tuple((name,) for name in names),
    )


def check_plan_file(path) -> None:
    """Require that a plan can be written to ``path``.

    Raises:
        InputError: if it lies where nothing can be written.
        UsageError: if it is a folder, or a file that holds something else than a plan.
    """
    path = Path(path)
    if path.is_dir():
        raise UsageError(f"--out {path}: is a folder; give the name of a file, such as {path / 'plan.json'}")
    if path.is_file():
        try:
            held = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            held = None
        if not (isinstance(held, dict) and {"recipe", "network", "folds"} <= held.keys()):
            raise UsageError(f"--out {path}: holds something else than a plan and is left alone; give another name")
    check_writable(path.parent, path)


def check_run_folder(out, resume: bool = False) -> None:
    """Require that a new run can be written to ``out``, or with ``resume`` that one can be continued there.

    Raises:
        InputError: if it holds a run already, is a file, or cannot be written.
    """
    out = Path(out)
    if (out / "plan.json").exists() and not resume:
        raise InputError(f"{out}: holds a run already; continue it with --resume or give another --out")
    check_writable(out, out)
