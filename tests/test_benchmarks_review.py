"""The benchmarks of the review: what is counted and interpolated there agrees with closed forms."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
from review_cost import NEVER, clicked, drawn, outlines
from review_strategies_table import corrections_for


def test_corrections_lie_on_the_line_between_rounds():
    curve = [(0, 0.70), (10, 0.80), (20, 0.78), (30, 0.90)]
    assert corrections_for(curve, 0.75) == pytest.approx(5)
    assert corrections_for(curve, 0.84) == pytest.approx(25)
    assert corrections_for(curve, 0.65) == 0
    assert corrections_for(curve, 0.91) is None


def test_outline_of_a_disc_in_millimetres():
    rows, columns = np.ogrid[-30:31, -60:61]
    (length,) = outlines((rows / 20) ** 2 + (columns / 40) ** 2 <= 1, [2.0, 1.0])
    assert length == pytest.approx(2 * math.pi * 40, rel=0.1)


def test_as_many_slices_are_drawn_as_the_dice_needs():
    mask = np.zeros((24, 24, 12), bool)
    mask[2:22, 2:22, 1:11] = True  # k of 10 slices have Dice 2 k / (k + 10): nine for 0.9
    args = SimpleNamespace(goal=0.9, speed=30.0, screen_mm=240.0, slice_seconds=2.0)
    effort = drawn(np.zeros_like(mask), mask, (1.0, 1.0, 3.0), args, 0.5)
    around = 4 * 19 + 4 * math.sqrt(0.5)  # through the middles between voxels, corners cut
    assert effort.actions == 9
    assert effort.minutes == pytest.approx(0.5 + 9 * (10 * around / 30 + 2) / 60)
    assert drawn(mask, mask, (1.0, 1.0, 3.0), args, 0.5).minutes == 0.5


def test_clicks_end_with_the_dice_or_the_patience():
    mask = np.zeros((10, 10), bool)
    mask[2:8, 2:8] = True
    args = SimpleNamespace(goal=0.9, most=5, click_seconds=3.0)

    def helped(strokes):
        return mask if len(strokes) > 2 else ~mask

    effort = clicked(helped, (), mask, (1.0, 1.0), args, 1.0)
    assert effort.actions == len(effort.machine) == 3
    assert effort.minutes == pytest.approx(1 + (9 + sum(effort.machine)) / 60)
    assert clicked(lambda strokes: ~mask, (), mask, (1.0, 1.0), args, 1.0).minutes == NEVER
