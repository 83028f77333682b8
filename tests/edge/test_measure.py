"""Volumes and areas against closed forms."""

import math

import numpy as np
import pytest
from edge_artifacts import LABELS

from edge.measure import areas_mm2, volumes_ml, voxel_counts
from imaging import Scan

SHEARED = np.array([[2.0, 0.5, 0, 0], [0, 1.5, 0.25, 0], [0, 0, -3.0, 0], [0, 0, 0, 1]])


def test_a_ball_has_its_volume():
    radius, spacing = 20.0, np.array([0.5, 1.0, 1.25])
    grid = np.indices((100, 50, 40)).reshape(3, -1).T * spacing
    inside = (((grid - grid.mean(0)) ** 2).sum(-1) < radius**2).reshape(100, 50, 40)
    labels = Scan((inside * 7).astype(np.uint8)[..., None], np.diag([*spacing, 1]))
    volumes = volumes_ml(labels, LABELS)
    assert volumes["core"] == pytest.approx(4 / 3 * math.pi * radius**3 / 1000, rel=0.005)
    assert volumes["rim"] == 0


def test_a_sheared_voxel_has_its_determinant():
    labels = Scan(np.full((2, 3, 4, 1), 300, np.int16), SHEARED)
    assert voxel_counts(labels, LABELS) == {"core": 0, "rim": 24}
    assert volumes_ml(labels, LABELS) == {"core": 0, "rim": pytest.approx(24 * 9 / 1000)}


def test_a_disc_has_its_area():
    radius, spacing = 20.0, np.array([0.25, 0.4])
    grid = np.indices((200, 120)).reshape(2, -1).T * spacing
    inside = (((grid - grid.mean(0)) ** 2).sum(-1) < radius**2).reshape(200, 120)
    turn = np.array([[0.6, -0.8, 0, 3], [0.8, 0.6, 0, -2], [0, 0, 1, 5], [0, 0, 0, 1]])
    labels = Scan((inside * 7).astype(np.uint8)[..., None], turn @ np.diag([*spacing, 1, 1]))
    assert areas_mm2(labels, LABELS) == {"core": pytest.approx(math.pi * radius**2, rel=0.005), "rim": 0}


def test_only_flat_scans_of_known_size_have_an_area():
    assert areas_mm2(Scan(np.full((2, 3, 4, 1), 7, np.uint8), np.eye(4)), LABELS) == {}
    assert areas_mm2(Scan(np.full((2, 3, 1), 7, np.uint8), np.eye(4), has_spacing=False), LABELS) == {}
    assert areas_mm2(Scan(np.full((2, 3, 1), 7, np.uint8), np.eye(4)), LABELS) == {"core": 6.0, "rim": 0}


def test_an_area_has_no_volume():
    assert volumes_ml(Scan(np.full((2, 3, 1), 7, np.uint8), np.eye(4)), LABELS) == {}
