"""What happens beside the steps of ``keras.fit``: clock, schedule, guard, record, progress bar."""

import math
import sys
import time

import keras
import numpy as np

from medseg.errors import InputError
from medseg.progress import LineAMinute
from train.fitting.checkpoint import save_checkpoint
from train.fitting.curves import DICE

SCHEDULES = {
    "cosine": lambda fallen: 0.5 * (1.0 + math.cos(math.pi * fallen)),
    "poly": lambda fallen: (1.0 - fallen) ** 0.9,
    "constant": lambda fallen: 1.0,
}
"""Share of the learning rate that is left, from the share (0 to 1) of the way after the warm-up.

Cosine: Loshchilov and Hutter, ICLR 2017, arXiv:1608.03983. Poly with nnU-Net's power: Isensee et al., Nature Methods
2021, arXiv:1904.08128.
"""


DRAW_SECONDS = 10.0
"""A picture takes some tenths of a second to draw, which may be as long as an epoch of a small dataset."""


def rate(progress: float, settings) -> float:
    """The learning rate at ``progress`` (0 to 1) of a training: linear warm-up, then ``settings.schedule``."""
    progress = min(max(progress, 0.0), 1.0)
    if progress < settings.warmup:
        return settings.learning_rate * max(progress / settings.warmup, 0.01)
    fallen = (progress - settings.warmup) / max(1.0 - settings.warmup, 1e-9)
    return settings.learning_rate * SCHEDULES[settings.schedule](min(fallen, 1.0))


def is_stale(history, patience: int, whole: bool = False) -> bool:
    """Whether the validation loss has not fallen for ``patience`` epochs; never for a patience of 0.

    With ``whole``: whether the Dice of whole cases, which not every epoch has, has not risen in them.
    """
    if not patience or len(history) <= patience:
        return False
    losses = [(-row[DICE] if DICE in row else math.inf) if whole else row["val_loss"] for row in history]
    before, since = min(losses[:-patience]), min(losses[-patience:])
    return since >= before and since < math.inf


class Clock(keras.callbacks.Callback):
    """How far the training has come: by steps, or by the time it may take; stops it when the time is over.

    Args:
        settings: ``plan.training``.
        state: what earlier sessions have done.
    """

    def __init__(self, settings, state):
        super().__init__()
        self.settings = settings
        self.state = state
        self.step = state.epoch * settings.steps_per_epoch
        self.began = None

    @property
    def seconds(self) -> float:
        """Time spent training, earlier sessions included."""
        return self.before + (time.monotonic() - self.began if self.began is not None else 0.0)

    @property
    def progress(self) -> float:
        """From 0 to 1."""
        if self.settings.minutes:
            return self.seconds / (60.0 * self.settings.minutes)
        return self.step / (self.settings.epochs * self.settings.steps_per_epoch)

    def on_train_begin(self, logs=None):
        self.before = self.state.seconds
        self.began = time.monotonic()

    def on_train_batch_end(self, batch, logs=None):
        self.step += 1

    def finished(self, epoch: int) -> bool:
        """Whether ``epoch`` (from 0) was the last: another would end nearer after the time than before it."""
        if not self.settings.minutes:
            return epoch + 1 >= self.settings.epochs
        return self.seconds * (epoch + 1.5) / (epoch + 1) > 60.0 * self.settings.minutes

    def on_epoch_end(self, epoch, logs=None):
        self.model.stop_training = self.finished(epoch)


class Schedule(keras.callbacks.Callback):
    """Sets the learning rate before each step from the clock."""

    def __init__(self, settings, clock):
        super().__init__()
        self.settings = settings
        self.clock = clock

    def on_train_batch_begin(self, batch, logs=None):
        if hasattr(self.model, "jax_state_sync"):  # on JAX the state lives in the loop until it is asked for
            self.model.jax_state_sync()
        self.model.optimizer.learning_rate = rate(self.clock.progress, self.settings)


class StopWithoutNumber(keras.callbacks.Callback):
    """Stops a training whose loss is no longer a number, before anything of it is saved.

    Args:
        cases: function of the step that names the batch's cases.
        folder: the run folder, for the message.
        per_epoch: steps per epoch.
    """

    def __init__(self, cases, folder, per_epoch: int):
        super().__init__()
        self.cases = cases
        self.folder = folder
        self.per_epoch = per_epoch
        self.epoch = 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if not math.isfinite(logs["loss"]):
            names = ", ".join(self.cases(self.epoch * self.per_epoch + batch))
            self._stop(f"the loss is {logs['loss']} in epoch {self.epoch + 1}, step {batch + 1} (cases {names})")

    def on_epoch_end(self, epoch, logs=None):
        # A weight can be lost without the loss showing it at once, and must not reach the checkpoint.
        lost = [v.path for v in self.model.weights if not np.isfinite(v.numpy()).all()]
        if lost:
            self._stop(f"weights of {lost[0]} are no numbers after epoch {epoch + 1}")

    def _stop(self, reason):
        kept = f"the checkpoint of epoch {self.epoch} is kept" if self.epoch else "no epoch was complete"
        raise InputError(
            f"{self.folder}: {reason}; {kept}; check the cases, or train with a smaller --learning-rate or "
            "--precision float32"
        )


class Record(keras.callbacks.Callback):
    """At the end of each epoch: checkpoint, ``history.csv``; ``progress.png`` unless it was drawn a moment ago.

    Args:
        run: the run folder.
        state: grows by an entry per epoch.
        clock: for the time.
        write: whether this process writes; else it only keeps ``state``.
    """

    def __init__(self, run, state, clock, write: bool = True):
        super().__init__()
        self.run = run
        self.state = state
        self.clock = clock
        self.write = write
        self.drawn = -math.inf

    def on_epoch_end(self, epoch, logs=None):
        from train.fitting.curves import save_curves, save_history

        # Deep supervision adds a loss per output, which the losses here sum up.
        row = {"epoch": epoch + 1, **{name: float(logs[name]) for name in ("loss", "val_loss") if name in logs}}
        row |= {name: value for name, value in logs.items() if name == DICE or name.startswith(f"{DICE}_")}
        row["learning_rate"] = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        row["seconds"] = round(self.clock.seconds, 1)
        self.state.epoch = epoch + 1
        self.state.seconds = self.clock.seconds
        self.state.history.append(row)
        # Decided from what is stored, so that a resumed training ends at the same epoch.
        settings = self.clock.settings
        stale = is_stale(self.state.history, settings.patience, bool(settings.validate_every))
        self.state.finished = self.clock.finished(epoch) or stale
        self.model.stop_training = self.state.finished
        if not self.write:
            return
        save_checkpoint(self.run.folder / "checkpoints", self.model, self.state)
        save_history(self.run.folder / "history.csv", self.state.history)
        if self.state.finished or time.monotonic() > self.drawn + DRAW_SECONDS:
            save_curves(self.run.folder / "progress.png", self.state.history)
            self.drawn = time.monotonic()


class Progress(keras.callbacks.Callback):
    """A progress bar with the time left, of steps or of seconds where they limit it; in a file a line a minute."""

    def __init__(self, settings, clock):
        super().__init__()
        self.settings = settings
        self.clock = clock

    def on_train_begin(self, logs=None):
        from tqdm import tqdm

        self.terminal = sys.stderr.isatty()
        self.say = LineAMinute()
        self.bar = tqdm(
            total=100,
            bar_format="train {percentage:5.1f}%|{bar:24}| {elapsed}<{remaining} {postfix}",
            mininterval=0.5,
            file=sys.stderr,
            disable=not self.terminal,
        )
        self.bar.update(100 * self.clock.progress)
        self.bar.initial = self.bar.n

    def on_train_batch_end(self, batch, logs=None):
        text = f"{self.title} loss {logs['loss']:.4f}{self.held}{self.dice}"
        if not self.terminal:
            self.say(f"train {100 * self.clock.progress:.1f} %, {text}")
            return
        self.bar.set_postfix_str(text, refresh=False)
        self.bar.update(max(0.0, min(100.0, 100 * self.clock.progress) - self.bar.n))

    def on_epoch_begin(self, epoch, logs=None):
        self.title = f"epoch {epoch + 1}" + ("" if self.settings.minutes else f"/{self.settings.epochs}")
        self.held = getattr(self, "held", "")
        self.dice = getattr(self, "dice", "")

    def on_epoch_end(self, epoch, logs=None):
        if "val_loss" in logs:
            self.held = f" val {logs['val_loss']:.4f}"
        if DICE in logs:
            self.dice = f" Dice {logs[DICE]:.4f}"

    def on_train_end(self, logs=None):
        self.bar.close()
