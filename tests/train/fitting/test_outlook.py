"""What the end of a training's loss says of more time."""

import numpy as np
import pytest

from train.fitting.outlook import outlook


def history(losses, column="val_loss", seconds=60.0):
    """A row an epoch, each of so many seconds."""
    return [{"epoch": n + 1, "loss": 1.0, column: loss, "seconds": seconds * (n + 1)} for n, loss in enumerate(losses)]


def test_a_falling_loss_is_drawn_on():
    said = outlook(history(np.linspace(1.0, 0.505, 100)))
    # 19 steps of 0.005 over the last twenty epochs, 0.5525 in the mean.
    assert "validation loss was still falling over the last 20 of 100 epochs, by 0.0950 (17.2%)" in said
    assert "19 more minutes would bring about as much again" in said
    assert "4 more epochs" not in said
    rows = [{k: v for k, v in row.items() if k != "seconds"} for row in history(np.linspace(1.0, 0.5, 100))]
    assert "20 more epochs would bring" in outlook(rows)
    assert "57 more seconds" in outlook(history(np.linspace(1.0, 0.5, 100), seconds=3.0))


@pytest.mark.parametrize("seed", range(3))
def test_noise_about_a_level_is_flat(seed):
    losses = 0.4 + np.random.default_rng(seed).normal(0, 0.02, 60)
    assert "was flat over the last 12 of 60 epochs" in outlook(history(losses))
    assert "more time would bring little" in outlook(history(losses))


def test_a_rising_loss():
    assert "validation loss rose by 0.0" in outlook(history([*np.linspace(1, 0.4, 40), *np.linspace(0.4, 0.5, 20)]))
    rows = [{"loss": loss} for loss in [*np.linspace(1, 0.4, 40), *np.linspace(0.4, 0.5, 20)]]
    assert "training loss rose" in outlook(rows)
    assert "--learning-rate" in outlook(rows)


def test_too_little_to_tell():
    assert "0 epochs are too few" in outlook([])
    assert "9 epochs are too few" in outlook(history(np.linspace(1, 0.5, 9)))
    assert "too few" in outlook([{"loss": float("nan")}] * 30)
