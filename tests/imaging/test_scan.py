"""The scan."""

import numpy as np
import pytest

from imaging import InputError, Scan
from imaging.scan import plane_axes


def test_scan_checks_its_shapes():
    with pytest.raises(InputError, match="expected 2 or 3 spatial axes"):
        Scan(np.zeros((3, 3)), np.eye(4))
    with pytest.raises(InputError, match=r"expected \(4, 4\)"):
        Scan(np.zeros((3, 3, 1)), np.eye(3))
    scan = Scan(np.zeros((3, 4, 5, 2)), np.diag([2.0, 3, 4, 1])[[1, 0, 2, 3]])
    assert (scan.rank, scan.shape, scan.channels, scan.spacing) == (3, (3, 4, 5), 2, (2, 3, 4))


@pytest.mark.parametrize(
    ("shape", "axes"),
    [((4, 5, 6), (0, 1, 2)), ((4, 5, 1), (2,)), ((1, 5, 6), (0,)), ((4, 1, 6), (1,)), ((4, 1, 1), (2,))],
)
def test_slices_that_are_planes(shape, axes):
    assert plane_axes(shape) == axes
