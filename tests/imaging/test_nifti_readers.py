"""Every NIfTI file means to us what it means to SimpleITK and nibabel, and so does what is written back."""

from dataclasses import replace
from itertools import product

import nibabel
import numpy as np
import pytest
import SimpleITK
from hypothesis import HealthCheck, given, settings
from nifti_files import files

import imaging
from imaging import Scan

SETTINGS = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
SCANNER = np.array([[1.0, 0, 0, -20], [0, 1.2, 0, -25], [0, 0, 1.5, 15], [0, 0, 0, 1]])
TURN = nibabel.affines.from_matvec(nibabel.eulerangles.euler2mat(0.2, 0.1, -0.1), [8, -5, 3])


def itk_read(path):
    SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)
    return SimpleITK.ReadImage(str(path))


def itk_corners(path):
    """World coordinates (LPS) of the corner voxels, as SimpleITK has them."""
    image = itk_read(path)
    corners = product(*[(0, n - 1) for n in image.GetSize()])
    return np.array([image.TransformIndexToPhysicalPoint(corner) for corner in corners])


def stored(tmp_path, file):
    """The file under a name that fits it, as other readers go by the name."""
    # Where a.nii and a.nii.gz lie side by side, SimpleITK takes the header of one and the voxels of the other.
    path = tmp_path / ("packed.nii.gz" if file.packed else "plain.nii")
    path.write_bytes(file.content)
    return path


@SETTINGS
@given(file=files())
def test_voxels_are_those_of_simpleitk(tmp_path, file):
    path = stored(tmp_path, file)
    voxels = imaging.read(path).voxels[..., 0]
    np.testing.assert_allclose(voxels, file.voxels, rtol=1e-6)
    np.testing.assert_allclose(voxels, SimpleITK.GetArrayFromImage(itk_read(path)).T, rtol=1e-6)


@SETTINGS
@given(file=files(one_transform=True, axes=(3,)))  # of a plane in space SimpleITK drops an axis
def test_voxels_lie_where_simpleitk_has_them(tmp_path, file):
    path = stored(tmp_path, file)
    scan = imaging.read(path)
    corners = np.array(list(product(*[(0, n - 1) for n in scan.shape])))
    points = corners @ scan.affine[:3, : scan.rank].T + scan.affine[:3, 3]
    np.testing.assert_allclose(points * [-1, -1, 1], itk_corners(path), atol=1e-3)


@SETTINGS
@given(file=files())
def test_what_is_written_back_lies_where_the_scan_lies_for_every_reader(tmp_path, file):
    path, result = stored(tmp_path, file), tmp_path / "result.nii.gz"
    scan = imaging.read(path)
    imaging.write(result, replace(scan, voxels=np.zeros(scan.voxels.shape, np.uint8)))
    np.testing.assert_array_equal(itk_corners(result), itk_corners(path))
    before, after = nibabel.load(path), nibabel.load(result)
    np.testing.assert_array_equal(after.affine, before.affine)
    for name in ("qform_code", "sform_code", "xyzt_units", "quatern_b", "qoffset_x", "srow_z"):
        np.testing.assert_array_equal(after.header[name], before.header[name])
    np.testing.assert_array_equal(after.header["pixdim"][:4], before.header["pixdim"][:4])
    again = imaging.read(result)
    np.testing.assert_array_equal(again.affine, scan.affine)
    assert again.geometry == scan.geometry


@pytest.mark.parametrize(("qform_code", "sform_code"), [(1, 2), (1, 0), (0, 2), (0, 0), (1, 1), (2, 4)])
def test_codes_of_the_source_are_kept(tmp_path, qform_code, sform_code):
    image = nibabel.Nifti1Image(np.ones((5, 6, 7), np.int16), None)
    image.set_qform(SCANNER, qform_code)
    image.set_sform(TURN @ SCANNER, sform_code)
    nibabel.save(image, tmp_path / "scan.nii.gz")
    scan = imaging.read(tmp_path / "scan.nii.gz")
    np.testing.assert_array_equal(scan.affine, nibabel.load(tmp_path / "scan.nii.gz").affine)
    for labels in (replace(scan, voxels=scan.voxels > 0), imaging.read_labels(tmp_path / "scan.nii.gz")):
        imaging.write(tmp_path / "seg.nii.gz", labels)
        written = nibabel.load(tmp_path / "seg.nii.gz").header
        assert (written["qform_code"], written["sform_code"]) == (qform_code, sform_code)
        np.testing.assert_array_equal(itk_corners(tmp_path / "seg.nii.gz"), itk_corners(tmp_path / "scan.nii.gz"))


def test_nifti_2_stays_nifti_2(tmp_path):
    fine = SCANNER.copy()
    fine[:3] += 1e-9  # less than a NIfTI-1 header can hold
    image = nibabel.Nifti2Image(np.ones((5, 6, 7), np.int16), fine)
    image.header.set_xyzt_units("mm")
    nibabel.save(image, tmp_path / "scan.nii")
    scan = imaging.read(tmp_path / "scan.nii")
    imaging.write(tmp_path / "seg.nii", replace(scan, voxels=scan.voxels.astype(np.uint8)))
    written = nibabel.load(tmp_path / "seg.nii")
    assert isinstance(written, nibabel.Nifti2Image)
    np.testing.assert_array_equal(written.affine, fine)


def test_a_scan_that_was_moved_is_written_where_it_was_moved_to(tmp_path):
    image = nibabel.Nifti1Image(np.ones((5, 6, 7), np.int16), SCANNER)
    image.header.set_xyzt_units("micron")
    nibabel.save(image, tmp_path / "scan.nii")
    scan = imaging.read(tmp_path / "scan.nii")
    sheared = SCANNER.copy()
    sheared[0, 1] = 0.4
    for affine in (TURN @ SCANNER, sheared):
        imaging.write(tmp_path / "moved.nii", replace(scan, affine=affine))
        np.testing.assert_allclose(imaging.read(tmp_path / "moved.nii").affine, affine, atol=1e-5)
        assert nibabel.load(tmp_path / "moved.nii").header.get_xyzt_units()[0] == "mm"


def test_a_volume_beyond_the_sizes_of_nifti_1(tmp_path):
    imaging.write(tmp_path / "long.nii.gz", Scan(np.zeros((40000, 2, 1, 1), np.uint8), SCANNER))
    assert imaging.read(tmp_path / "long.nii.gz").shape == (40000, 2, 1)
