"""Maps between grids."""

import numpy as np

from imaging import Scan
from imaging.geometry.affine import axis_map, index_map, moved

AFFINE = np.array([[0.0, -2, 0, 10], [3, 0, 0, -20], [0, 0, -1.5, 30], [0, 0, 0, 1]])


def scan(shape=(4, 5, 6), affine=AFFINE):
    return Scan(np.zeros((*shape, 1), np.float32), affine)


def test_index_map_goes_through_the_world():
    sheared = np.array([[1.0, 0.2, 0, 3], [-0.1, 2, 0, 4], [0, 0.3, 1, 5], [0, 0, 0, 1]])
    matrix, offset = index_map(AFFINE, sheared, 3)
    index = np.array([1.0, 2, 3])
    there = sheared[:3, :3] @ index + sheared[:3, 3]
    back = AFFINE[:3, :3] @ (matrix @ index + offset) + AFFINE[:3, 3]
    np.testing.assert_allclose(back, there, atol=1e-12)


def test_axis_map_of_flip_permutation_and_shift():
    # target axis 0 runs down source axis 2 from index 5; target axis 1 along source axis 0; axis 2 along 1 by halves
    matrix = np.array([[0, 1, 0], [0, 0, 0.5], [-1, 0, 0.0]])
    mapping = axis_map(matrix, np.array([2.0, 0.25, 5.0]), (6, 4, 10))
    assert (mapping.axes, mapping.scale, mapping.offset) == ((2, 0, 1), (-1, 1, 0.5), (5, 2, 0.25))
    assert not mapping.exact
    assert axis_map(np.eye(3), np.array([-3.0, 2, 0]), (6, 4, 10)).exact


def test_header_rounding_is_snapped():
    matrix = np.eye(3) * (1 + 1e-5) + 1e-6
    mapping = axis_map(matrix, np.array([1.001, -2.002, 1e-4]), (100, 100, 100))
    assert mapping.exact
    assert mapping.offset == (1, -2, 0)
    assert not axis_map(np.eye(3), np.array([0.02, 0, 0]), (9, 9, 9)).exact


def test_turned_grids_have_no_axis_map():
    c, s = np.cos(0.01), np.sin(0.01)
    assert axis_map(np.array([[c, -s], [s, c]]), np.zeros(2), (100, 100)) is None
    c, s = np.cos(np.pi / 4), np.sin(np.pi / 4)
    assert axis_map(np.array([[c, -s], [s, c]]), np.zeros(2), (2, 2)) is None


def test_moved():
    affine = moved(AFFINE, (1, 2, 3), (2, 1, 0.5))
    np.testing.assert_allclose(affine[:3, 3], AFFINE[:3, :3] @ [1, 2, 3] + AFFINE[:3, 3])
    np.testing.assert_allclose(affine[:3, :3], AFFINE[:3, :3] * [2, 1, 0.5])
    np.testing.assert_allclose(moved(np.eye(4), (4, 5))[:, 3], [4, 5, 0, 1])
