"""The scan."""

import numpy as np
import pytest

from imaging import InputError, Scan


def test_scan_checks_its_shapes():
    with pytest.raises(InputError, match="accepted are 2 or 3 spatial axes"):
        Scan(np.zeros((3, 3)), np.eye(4))
    with pytest.raises(InputError, match=r"accepted is \(4, 4\)"):
        Scan(np.zeros((3, 3, 1)), np.eye(3))
    scan = Scan(np.zeros((3, 4, 5, 2)), np.diag([2.0, 3, 4, 1])[[1, 0, 2, 3]])
    assert (scan.rank, scan.shape, scan.channels, scan.spacing) == (3, (3, 4, 5), 2, (2, 3, 4))
