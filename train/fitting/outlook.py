"""How far from flat the loss was when a training ended, and what more time would bring."""

import math
from collections.abc import Sequence

import numpy as np

FEWEST = 10  # epochs; the last fifth of fewer has no slope to speak of
FLAT = 0.01  # of the loss


def outlook(history: Sequence[dict]) -> str:
    """The end of a training in words: the slope of the loss over the last fifth of the epochs, at least five.

    The validation loss counts where there is one, else the training loss. A fall within twice its standard error, or
    below 1 % of the loss, is flat. What more time would bring is the same slope drawn on, the most to hope for, as
    losses flatten.

    Args:
        history: of ``train.fitting.curves.load_history``, a row an epoch.

    Returns:
        One sentence or two.
    """
    rows = [row for row in history if math.isfinite(row.get("loss", math.nan))]
    if len(rows) < FEWEST:
        return f"{len(rows)} epochs are too few to tell whether the loss was still falling."
    column, name = ("val_loss", "validation loss") if "val_loss" in rows[-1] else ("loss", "training loss")
    last = [row for row in rows[-max(5, len(rows) // 5) :] if math.isfinite(row.get(column, math.nan))]
    if len(last) < 5:
        return "The loss was not measured often enough to tell whether it was still falling."
    fall, error = _fall([row[column] for row in last])
    level = abs(float(np.mean([row[column] for row in last])))
    where = f"over the last {len(last)} of {len(rows)} epochs"
    if abs(fall) <= max(2 * error, FLAT * level):
        return f"The {name} was flat {where} ({-fall:+.4f}, {level:.4f} in the mean): more time would bring little."
    if fall < 0:
        mend = (
            "more cases or augmentation would help, more time would not"
            if column == "val_loss"
            else ("train with a smaller --learning-rate")
        )
        return f"The {name} rose by {-fall:.4f} {where}: {mend}."
    return (
        f"The {name} was still falling {where}, by {fall:.4f} ({fall / level:.1%}): {_more(last)} would bring about as "
        "much again, if it went on so."
    )


def _fall(values) -> tuple[float, float]:
    """How much a line through the values falls from the first to the last, and its standard error."""
    place = np.arange(len(values), dtype=float)
    slope, start = np.polyfit(place, values, 1)
    left = np.asarray(values) - (start + slope * place)
    spread = np.sqrt(np.sum(left**2) / max(len(values) - 2, 1) / np.sum((place - place.mean()) ** 2))
    span = len(values) - 1
    return float(-slope * span), float(spread * span)


def _more(last) -> str:
    if "seconds" not in last[0] or "seconds" not in last[-1]:  # since the beginning, at the end of each epoch
        return f"{len(last)} more epochs"
    seconds = last[-1]["seconds"] - last[0]["seconds"]
    return f"{seconds / 60:.0f} more minutes" if seconds >= 90 else f"{seconds:.0f} more seconds"
