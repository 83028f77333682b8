"""Whatever happens to a file, reading it gives a scan of finite voxels or one clear line."""

import cv2
import nibabel
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imaging import InputError, Scan, read


def content(suffix):
    pixels = np.random.default_rng(0).integers(0, 256, (12, 13)).astype(np.uint8)
    if suffix == ".nii":
        return nibabel.Nifti1Image(pixels[..., None].repeat(3, axis=2), np.diag([1.0, 2, 3, 1])).to_bytes()
    return cv2.imencode(suffix, pixels)[1].tobytes()


@pytest.mark.parametrize("suffix", [".nii", ".png", ".jpg", ".tif"])
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    changes=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255), st.booleans()), min_size=1, max_size=4),
    keep=st.floats(0.2, 1),
)
@pytest.mark.filterwarnings("ignore")
def test_changed_bytes(tmp_path, suffix, changes, keep):
    data = bytearray(content(suffix))
    for where, value, early in changes:  # headers sit at the start, so half of the changes go there
        data[int(where * (min(352, len(data)) - 1 if early else len(data) - 1))] = value
    path = tmp_path / f"a{suffix}"
    path.write_bytes(data[: int(keep * len(data))] if keep < 0.9 else data)
    problem = None
    try:
        scan = read(path)
    except InputError as error:
        problem = str(error)
    if problem is None:
        assert isinstance(scan, Scan)
        assert np.isfinite(scan.voxels).all()
        assert np.linalg.det(scan.affine) != 0
    else:
        assert problem.startswith(str(path))
        assert "\n" not in problem
        assert len(problem) < 500
