"""Checkpoints: weights, optimizer and history of the last complete epoch, in one file."""

import dataclasses
import json
import os
from dataclasses import dataclass, field

import numpy as np

from medseg.errors import InputError

NAME = "last.npz"


@dataclass
class State:
    """How far a training has come; it grows as it goes on.

    Attributes:
        epoch: complete epochs.
        seconds: time spent in them.
        finished: no epoch is left to do.
        history: one dictionary per epoch.
    """

    epoch: int = 0
    seconds: float = 0.0
    finished: bool = False
    history: list = field(default_factory=list)


def save_checkpoint(folder, model, state: State) -> None:
    """Write the checkpoint of ``model`` (network, optimizer, random state) and ``state`` into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {f"model_{i}": v.numpy() for i, v in enumerate(model.variables)}
    arrays |= {f"optimizer_{i}": v.numpy() for i, v in enumerate(model.optimizer.variables)}
    text = json.dumps(dataclasses.asdict(state))
    temporary = folder / f".{NAME}.{os.getpid()}.tmp"
    try:
        with open(temporary, "wb") as file:
            np.savez(file, state=np.frombuffer(text.encode(), np.uint8), **arrays)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, folder / NAME)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def has_checkpoint(run) -> bool:
    """Whether a run has completed an epoch."""
    return (run.folder / "checkpoints" / NAME).is_file()


def restore_checkpoint(run, model) -> State:
    """Put the run's last checkpoint into a compiled ``model`` with a built optimizer; nothing if there is none.

    Raises:
        InputError: if the checkpoint does not fit the model.
    """
    path = run.folder / "checkpoints" / NAME
    for unfinished in path.parent.glob(f".{NAME}.*.tmp"):  # left by a process that was killed while it wrote
        unfinished.unlink(missing_ok=True)
    if not path.is_file():
        return State()
    with np.load(path) as arrays:
        state = State(**json.loads(arrays["state"].tobytes()))
        for kind, variables in (("model", model.variables), ("optimizer", model.optimizer.variables)):
            stored = [arrays[f"{kind}_{i}"] for i in range(sum(n.startswith(f"{kind}_") for n in arrays.files))]
            if [tuple(v.shape) for v in variables] != [a.shape for a in stored]:
                raise InputError(f"{path}: does not fit the plan's network; was plan.json edited after the start?")
            for variable, value in zip(variables, stored, strict=True):
                variable.assign(value)
    return state
