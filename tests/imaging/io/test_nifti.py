"""NIfTI in and out, against nibabel; damaged and unfit files."""

import gzip

import nibabel
import numpy as np
import pytest

from imaging import InputError, Scan, read, read_labels, write
from imaging.io.nifti import smallest

OBLIQUE = nibabel.affines.from_matvec(
    nibabel.eulerangles.euler2mat(0.3, -0.2, 0.5) @ np.diag([0.8, 1.2, 2.5]), [-31.5, 12.25, 7.0]
)


def save(path, data, affine=OBLIQUE, **header):
    image = nibabel.Nifti1Image(data, affine)
    for name, value in header.items():
        image.header[name] = value
    nibabel.save(image, path)
    return path


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.float64, np.uint16, np.int32])
def test_read_agrees_with_nibabel(tmp_path, suffix, dtype):
    data = (np.random.default_rng(0).random((4, 5, 6)) * 200).astype(dtype)
    path = save(tmp_path / f"a{suffix}", data)
    scan = read(path)
    assert scan.voxels.dtype == np.float32
    assert scan.voxels.shape == (4, 5, 6, 1)
    np.testing.assert_array_equal(scan.voxels[..., 0], nibabel.load(path).get_fdata(dtype=np.float32))
    np.testing.assert_array_equal(scan.affine, nibabel.load(path).affine)
    np.testing.assert_allclose(scan.spacing, (0.8, 1.2, 2.5), rtol=1e-6)


def test_intensity_scaling_is_applied(tmp_path):
    image = nibabel.Nifti1Image(np.arange(24, dtype=np.int16).reshape(2, 3, 4), np.eye(4))
    image.header.set_slope_inter(2.0, -1024.0)
    nibabel.save(image, tmp_path / "a.nii")
    raw = nibabel.load(tmp_path / "a.nii")
    np.testing.assert_allclose(read(tmp_path / "a.nii").voxels[..., 0], raw.get_fdata(), rtol=1e-6)


def test_nifti2_and_big_endian(tmp_path):
    data = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    nibabel.save(nibabel.Nifti2Image(data, OBLIQUE), tmp_path / "two.nii.gz")
    header = nibabel.Nifti1Header(endianness=">")
    header.set_data_dtype(np.int16)
    nibabel.save(nibabel.Nifti1Image(data, OBLIQUE, header), tmp_path / "big.nii")
    assert (tmp_path / "big.nii").read_bytes()[:4] == (348).to_bytes(4, "big")
    for name in ("two.nii.gz", "big.nii"):
        np.testing.assert_array_equal(read(tmp_path / name).voxels[..., 0], data)


@pytest.mark.parametrize(("unit", "factor"), [("mm", 1), ("micron", 1e-3), ("meter", 1e3), ("unknown", 1)])
def test_units_become_millimetres(tmp_path, unit, factor):
    image = nibabel.Nifti1Image(np.zeros((2, 2, 2), np.uint8), np.diag([2.0, 3, 4, 1]))
    image.header.set_xyzt_units(unit)
    nibabel.save(image, tmp_path / "a.nii")
    np.testing.assert_allclose(read(tmp_path / "a.nii").spacing, np.array([2, 3, 4]) * factor)


@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 1), (3, 4, 5, 1), (3, 4, 5, 1, 1)])
def test_trailing_axes_of_one_are_dropped_beyond_three(tmp_path, shape):
    scan = read(save(tmp_path / "a.nii.gz", np.ones(shape, np.float32)))
    assert scan.shape == shape[: min(3, len(shape))]
    assert scan.channels == 1


def test_four_axes_are_an_error_unless_channels_are_expected(tmp_path):
    data = np.random.default_rng(0).random((3, 4, 5, 2), np.float32)
    path = save(tmp_path / "a.nii.gz", data)
    with pytest.raises(InputError, match=r"a\.nii\.gz: shape \(3, 4, 5, 2\) has 4 axes, expected 3 axes;"):
        read(path)
    with pytest.raises(InputError, match="3 axes and 3 channels last"):
        read(path, channels=3)
    np.testing.assert_array_equal(read(path, channels=2).voxels, data)
    vector = save(tmp_path / "v.nii.gz", data[:, :, :, None])
    np.testing.assert_array_equal(read(vector, channels=2).voxels, data)
    with pytest.raises(InputError, match="4 axes"):
        read_labels(path)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.7, 0.99])
def test_truncated(tmp_path, suffix, share):
    data = np.random.default_rng(0).integers(0, 9999, (9, 9, 9)).astype(np.int16)
    path = save(tmp_path / f"a{suffix}", data)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError, match=rf"a\{suffix}: .*(truncated or damaged|not a NIfTI file)"):
        read(path)


def test_flipped_bits_are_noticed_by_the_checksum(tmp_path):
    path = save(tmp_path / "a.nii.gz", np.random.default_rng(0).random((9, 9, 9), np.float32))
    content = bytearray(path.read_bytes())
    content[-6] ^= 1  # inside the stored checksum, so that only comparing it can tell
    path.write_bytes(content)
    with pytest.raises(InputError, match="truncated or damaged"):
        read(path)


def test_other_content_under_a_nifti_name(tmp_path):
    for name, content in (("a.nii", b"hello" * 200), ("b.nii.gz", gzip.compress(b"hello" * 200))):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=f"{name}: is not a NIfTI file"):
            read(tmp_path / name)


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(InputError, match=r"none\.nii\.gz: no such file"):
        read(tmp_path / "none.nii.gz")
    (tmp_path / "dir.nii").mkdir()
    with pytest.raises(InputError, match="is a folder"):
        read(tmp_path / "dir.nii")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_not_finite_voxels_are_counted(tmp_path, bad):
    data = np.ones((4, 4, 4), np.float32)
    data[0, 0, :3] = bad
    with pytest.raises(InputError, match=r"a\.nii\.gz: 3 of 64 voxels are NaN or infinite"):
        read(save(tmp_path / "a.nii.gz", data))


def test_values_beyond_float32_are_infinite(tmp_path):
    data = np.ones((2, 2, 2))
    data[0, 0, 0] = 1e300
    with pytest.raises(InputError, match="1 of 8 voxels are NaN or infinite"):
        read(save(tmp_path / "a.nii", data))


def test_complex_and_rgb_are_refused(tmp_path):
    with pytest.raises(InputError, match="voxels of type complex64"):
        read(save(tmp_path / "c.nii", np.ones((2, 2, 2), np.complex64)))
    rgb = np.zeros((2, 2, 2), np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")]))
    with pytest.raises(InputError, match="expected integers or real numbers"):
        read(save(tmp_path / "r.nii", rgb))


def test_affine_without_volume_is_refused(tmp_path):
    image = nibabel.Nifti1Image(np.zeros((2, 2, 2), np.uint8), np.eye(4))
    image.header["sform_code"], image.header["qform_code"] = 1, 0
    image.header["srow_z"] = (0, 0, 0, 0)
    image.header["magic"] = b"n+1"
    content = bytearray(image.header.binaryblock) + bytes(4) + bytes(8)
    (tmp_path / "a.nii").write_bytes(content)
    with pytest.raises(InputError, match="gives voxels no size"):
        read(tmp_path / "a.nii")


@pytest.mark.parametrize(
    ("values", "dtype"),
    [([0, 255], np.uint8), ([-1, 5], np.int16), ([0, 256], np.int16), ([0, 40000], np.int32), ([0.5, 1], np.float32)],
)
def test_write_uses_the_smallest_type(tmp_path, values, dtype):
    voxels = np.resize(np.array(values), (2, 3, 4, 1))
    write(tmp_path / "a.nii.gz", Scan(voxels, OBLIQUE))
    image = nibabel.load(tmp_path / "a.nii.gz")
    assert image.get_data_dtype() == dtype
    np.testing.assert_array_equal(np.asanyarray(image.dataobj), voxels[..., 0])
    np.testing.assert_allclose(image.affine, OBLIQUE, atol=1e-5)


def test_smallest_bounds():
    assert smallest(np.ones((1, 1, 1), bool)).dtype == np.uint8
    with pytest.raises(InputError, match="32-bit"):
        smallest(np.array([2**40]))
    with pytest.raises(InputError, match="complex"):
        smallest(np.array([1j]))


def test_both_header_transforms_say_the_same(tmp_path):
    write(tmp_path / "a.nii", Scan(np.zeros((2, 3, 4, 1), np.uint8), OBLIQUE))
    header = nibabel.load(tmp_path / "a.nii").header
    np.testing.assert_allclose(header.get_qform(coded=True)[0], header.get_sform(coded=True)[0], atol=1e-5)
    assert header.get_xyzt_units()[0] == "mm"
    sheared = OBLIQUE.copy()
    sheared[:3, 0] += 0.3 * sheared[:3, 1]
    write(tmp_path / "b.nii", Scan(np.zeros((2, 3, 4, 1), np.uint8), sheared))
    header = nibabel.load(tmp_path / "b.nii").header
    assert header.get_qform(coded=True)[0] is None
    np.testing.assert_allclose(header.get_sform(), sheared, atol=1e-5)


def test_same_scan_same_bytes(tmp_path):
    scan = Scan(np.arange(24, dtype=np.uint8).reshape(2, 3, 4, 1), OBLIQUE)
    for name in ("a.nii.gz", "b.nii.gz"):
        write(tmp_path / name, scan)
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


@pytest.mark.parametrize("shape", [(4, 5, 1), (4, 5, 6, 1), (4, 5, 6, 3)])
def test_round_trip(tmp_path, shape):
    scan = Scan(np.random.default_rng(0).random(shape, np.float32), OBLIQUE)
    write(tmp_path / "a.nii.gz", scan)
    again = read(tmp_path / "a.nii.gz", channels=shape[-1])
    np.testing.assert_array_equal(again.voxels, scan.voxels)
    np.testing.assert_allclose(again.affine, scan.affine, atol=1e-5)


def test_two_axes_and_several_channels_have_no_place(tmp_path):
    with pytest.raises(InputError, match=r"a\.nii: 2D scan with 3 channels"):
        write(tmp_path / "a.nii", Scan(np.zeros((4, 5, 3), np.float32), np.eye(4)))
    assert list(tmp_path.iterdir()) == []
