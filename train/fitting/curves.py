"""The history of a training as a table and as a picture."""

import csv
import io
from pathlib import Path

from medseg.atomic import moved_into_place
from medseg.record import write_text

DICE = "val_dice"
"""Column of a history: mean Dice of whole held-back cases over the classes; that of a class has ``_NAME`` behind."""


def save_history(path, history) -> None:
    """Write one line per epoch to the CSV file ``path``."""
    text = io.StringIO()
    columns = list(dict.fromkeys(key for row in history for key in row))
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    write_text(path, text.getvalue())


def load_history(path) -> list[dict[str, float]]:
    """Read what ``save_history`` wrote; empty if there is no such file."""
    path = Path(path)
    if not path.is_file():
        return []
    with open(path, newline="", encoding="utf-8") as file:
        return [{key: float(value) for key, value in row.items() if value} for row in csv.DictReader(file)]


def draw_curves(history):
    """Losses and learning rate over the epochs, and the Dice of whole cases where it was validated, as a matplotlib
    ``Figure``.
    """
    from matplotlib.figure import Figure  # without pyplot there is no window system to choose

    validated = [row for row in history if DICE in row]
    rows = 1 + bool(validated)
    figure = Figure(figsize=(8, 1 + 3.5 * rows), layout="constrained")
    axes = figure.add_subplot(rows, 1, 1)
    epochs = [row["epoch"] for row in history]
    for key, name in (("loss", "training loss"), ("val_loss", "validation loss")):
        if any(key in row for row in history):
            axes.plot(epochs, [row.get(key, float("nan")) for row in history], label=name)
    axes.set_xlabel("epoch")
    axes.set_ylabel("loss")
    axes.grid(alpha=0.3)
    right_axes = axes.twinx()
    right_axes.plot(
        epochs, [row["learning_rate"] for row in history], color="grey", lw=1, ls=":", label="learning rate"
    )
    right_axes.set_ylabel("learning rate")
    handles = [*axes.get_legend_handles_labels()[0], *right_axes.get_legend_handles_labels()[0]]
    axes.legend(handles, [handle.get_label() for handle in handles], loc="upper right")
    if validated:
        _draw_dice(figure.add_subplot(rows, 1, 2, sharex=axes), validated)
    return figure


def _draw_dice(axes, validated):
    epochs = [row["epoch"] for row in validated]
    classes = sorted({key for row in validated for key in row if key.startswith(f"{DICE}_")})
    for key in classes:
        axes.plot(epochs, [row[key] for row in validated], marker=".", lw=1, label=key.removeprefix(f"{DICE}_"))
    axes.plot(epochs, [row[DICE] for row in validated], marker=".", color="black", label="mean")
    axes.set_xlabel("epoch")
    axes.set_ylabel("Dice of whole cases")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")


def save_curves(path, history) -> None:
    """Write ``draw_curves(history)`` to the PNG file ``path``."""
    path = Path(path)
    with moved_into_place(path) as temporary:
        draw_curves(history).savefig(temporary, dpi=100)
