"""The history of a training as a table and as a picture."""

import csv
import io
import os
from pathlib import Path

from imaging.record import write_text


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
    """Losses and learning rate over the epochs, as a matplotlib ``Figure``."""
    from matplotlib.figure import Figure  # without pyplot there is no window system to choose

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.add_subplot()
    epochs = [row["epoch"] for row in history]
    for key, name in (("loss", "training loss"), ("val_loss", "validation loss")):
        if any(key in row for row in history):
            axes.plot(epochs, [row.get(key, float("nan")) for row in history], label=name)
    axes.set_xlabel("epoch")
    axes.set_ylabel("loss")
    axes.grid(alpha=0.3)
    other = axes.twinx()
    other.plot(epochs, [row["learning_rate"] for row in history], color="grey", lw=1, ls=":", label="learning rate")
    other.set_ylabel("learning rate")
    handles = [*axes.get_legend_handles_labels()[0], *other.get_legend_handles_labels()[0]]
    axes.legend(handles, [handle.get_label() for handle in handles], loc="upper right")
    return figure


def save_curves(path, history) -> None:
    """Write ``draw_curves(history)`` to the PNG file ``path``."""
    path = Path(path)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.png")
    draw_curves(history).savefig(temporary, dpi=100)
    os.replace(temporary, path)
