"""The files that a scan lies in, where these are several: told by who reads them, copied, and never overwritten."""

import nibabel
import numpy as np
import pydicom
import pytest
import SimpleITK
from dicom_files import write_series

from imaging.io.cases import copy_scan, names_of, parts_of
from imaging.io.files import read
from medseg.errors import InputError

VOXELS = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
AFFINE = np.array([[0, -2.0, 0, 4], [1.5, 0, 0, -3], [0, 0, 2.5, 7], [0, 0, 0, 1]])


def scan(folder, name):
    """A scan in two files, by nibabel or ITK."""
    path = folder / name
    if path.suffix == ".hdr":
        nibabel.save(nibabel.Nifti1Pair(VOXELS, AFFINE), path)
    else:
        image = SimpleITK.GetImageFromArray(VOXELS)
        image.SetSpacing((0.5, 0.7, 2.0))
        SimpleITK.WriteImage(image, str(path))
    return path


@pytest.mark.parametrize(("name", "data"), [("a.hdr", "a.img"), ("a.mhd", "a.raw"), ("a.nhdr", "a.raw")])
def test_parts_and_a_copy_under_another_name(tmp_path, name, data):
    path = scan(tmp_path, name)
    assert parts_of(path) == (path, tmp_path / data)
    (tmp_path / "copy").mkdir()
    copy_scan(path, tmp_path / "copy" / "case.1")
    (copy,) = (tmp_path / "copy").iterdir()
    assert copy.name.startswith("case.1.")
    np.testing.assert_array_equal(read(copy).voxels, read(path).voxels)
    np.testing.assert_allclose(read(copy).affine, read(path).affine, atol=1e-6)
    (tmp_path / data).unlink()
    with pytest.raises(InputError, match=data):
        parts_of(path)
    assert parts_of(path, strict=False) == (path,)


def test_parts_of_one_file_and_of_a_series(tmp_path):
    assert parts_of(tmp_path / "a.nii.gz") == (tmp_path / "a.nii.gz",)
    series = write_series(tmp_path / "series", VOXELS.astype(np.uint16))
    assert parts_of(series) == tuple(sorted(series.iterdir()))
    write_series(tmp_path / "series" / "other", VOXELS.astype(np.uint16), name="other")
    number = pydicom.dcmread(next(series.glob("*.dcm"))).SeriesInstanceUID
    assert set(parts_of(f"{series}#{number}")) == {path for path in series.iterdir() if path.is_file()}


def test_names_of_a_pair_are_both(tmp_path):
    path = scan(tmp_path, "a.hdr")
    assert names_of(path) == names_of(tmp_path / "a.img") == {path.resolve(), (tmp_path / "a.img").resolve()}
    assert names_of(tmp_path / "b.nii") == {(tmp_path / "b.nii").resolve()}
    assert names_of(tmp_path / "b.img") == {(tmp_path / name).resolve() for name in ("b.hdr", "b.img")}
