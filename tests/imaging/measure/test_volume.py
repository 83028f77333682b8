"""Volumes and their difference."""

import math

import numpy as np
import pytest

from imaging import InputError
from imaging.measure.volume import area_mm2, volume_difference, volume_ml


def test_volume_and_area():
    mask = np.zeros((10, 10, 10), bool)
    mask[:5, :4, :2] = True
    assert volume_ml(mask, (0.5, 2, 2.5)) == pytest.approx(0.1)
    assert area_mm2(mask[..., 0], (0.5, 2)) == pytest.approx(20)


def test_difference():
    a, b = np.arange(10) < 3, np.arange(10) < 4
    assert volume_difference(a, b) == pytest.approx(-0.25)
    assert volume_difference(b, a) == pytest.approx(1 / 3)
    assert volume_difference(a & False, a & False) == 0
    assert volume_difference(a, a & False) == math.inf
    assert volume_difference(a & False, a) == -1
    with pytest.raises(InputError, match="the reference has"):
        volume_difference(a, a[:3])
