"""Areas over which classes touch."""

import numpy as np
import pytest

from imaging.measure.contacts import contacts


def test_a_box_on_a_box():
    indices = np.zeros((10, 12, 14), np.uint8)
    indices[2:5, 3:6, 4:8] = 1  # 3 x 3 x 4 voxels
    indices[5:7, 3:6, 4:8] = 2  # on top of it, 2 x 3 x 4
    dz, dy, dx = 3.0, 2.0, 0.5
    top, front, side = dy * dx, dz * dx, dz * dy
    areas = contacts(indices, 4, (dz, dy, dx))
    assert areas[1, 2] == pytest.approx(12 * top)
    assert areas[0, 1] == pytest.approx(12 * top + 2 * 12 * front + 2 * 9 * side)
    assert areas[0, 2] == pytest.approx(12 * top + 2 * 8 * front + 2 * 6 * side)
    assert np.array_equal(areas, areas.T)
    assert not areas[3].any()
    assert not np.diag(areas).any()


def test_a_flat_disc_in_a_ring():
    rows, columns = np.mgrid[:40, :40]
    radius = np.hypot(rows - 20, columns - 20)
    indices = (radius < 12).astype(np.uint8) + (radius < 6)
    areas = contacts(indices, 3, (1.0, 1.0))
    # Along pixels' sides a circle is as long as the square around it.
    assert areas[1, 2] == pytest.approx(8 * 6, rel=0.1)
    assert areas[0, 1] == pytest.approx(8 * 12, rel=0.1)
    assert areas[0, 2] == 0


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_as_counted_voxel_by_voxel_whichever_way_it_lies(axis):
    indices = np.random.default_rng(axis).integers(0, 3, (4, 5, 6)).astype(np.uint8)
    expected = np.zeros((3, 3))
    for place in np.ndindex(indices.shape):
        for along in range(3):
            beside = tuple(p + (a == along) for a, p in enumerate(place))
            if beside[along] < indices.shape[along] and indices[place] != indices[beside]:
                expected[indices[place], indices[beside]] += 1
                expected[indices[beside], indices[place]] += 1
    assert np.array_equal(contacts(indices, 3, (1, 1, 1)), expected)
    assert np.array_equal(contacts(np.swapaxes(indices, 0, axis), 3, (1, 1, 1)), expected)
