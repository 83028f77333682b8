"""Reading by suffix, several files, label maps, writing whole or not at all."""

import os
import tracemalloc
from pathlib import Path

import cv2
import nibabel
import numpy as np
import pytest

from imaging import InputError, Scan, read, read_labels, write
from imaging.io.files import suffix


def save(path, data, affine=None):
    nibabel.save(nibabel.Nifti1Image(data, np.eye(4) if affine is None else affine), path)
    return path


@pytest.mark.parametrize(("name", "kind"), [("a.b.NII.GZ", ".nii.gz"), ("a.nii", ".nii"), ("x/a.JPEG", ".jpeg")])
def test_suffix(name, kind):
    assert suffix(name) == kind


@pytest.mark.parametrize("name", ["a.mgz", "a", "a.gz", "a.nii.zip"])
def test_unknown_suffix(tmp_path, name):
    with pytest.raises(InputError, match=r"its suffix is not one of \.nii, \.nii\.gz, \.png"):
        read(tmp_path / name)
    with pytest.raises(InputError, match="its suffix is not one of"):
        write(tmp_path / name, Scan(np.zeros((2, 2, 1)), np.eye(4)))


def test_one_file_per_channel(tmp_path):
    data = np.random.default_rng(0).random((2, 3, 4, 5), np.float32)
    paths = [save(tmp_path / f"{i}.nii.gz", d) for i, d in enumerate(data)]
    scan = read(paths, channels=2)
    np.testing.assert_array_equal(scan.voxels, np.moveaxis(data, 0, -1))
    np.testing.assert_array_equal(read(str(paths[0])).voxels[..., 0], data[0])
    with pytest.raises(InputError, match=r"0\.nii\.gz, .*1\.nii\.gz: expected 3 channels, got 2"):
        read(paths, channels=3)
    with pytest.raises(InputError, match="no file given"):
        read([])


def test_channels_on_different_grids(tmp_path):
    first = save(tmp_path / "a.nii", np.ones((3, 4, 5), np.float32))
    longer = save(tmp_path / "b.nii", np.ones((3, 4, 6), np.float32))
    with pytest.raises(InputError, match=r"b\.nii: shape \(3, 4, 6\), but .*a\.nii has shape \(3, 4, 5\)"):
        read([first, longer])
    moved = np.eye(4)
    moved[0, 3] = 2
    shifted = save(tmp_path / "c.nii", np.ones((3, 4, 5), np.float32), moved)
    with pytest.raises(InputError, match=r"c\.nii: lies up to \S+ mm \(2 voxels\) away from .*a\.nii"):
        read([first, shifted])
    moved[0, 3] = 0.01  # rounding in a header is not another grid
    assert read([first, save(tmp_path / "d.nii", np.ones((3, 4, 5), np.float32), moved)]).channels == 2


def test_labels_are_integers(tmp_path):
    labels = read_labels(save(tmp_path / "a.nii.gz", np.array([[[0.0, 1, 300]]], np.float32)))
    assert labels.voxels.dtype == np.int16
    assert labels.voxels.shape == (1, 1, 3, 1)
    np.testing.assert_array_equal(labels.voxels.ravel(), [0, 1, 300])
    with pytest.raises(InputError, match=r"b\.nii: 2 voxels are not integers \(0\.5 for one\)"):
        read_labels(save(tmp_path / "b.nii", np.array([[[0.5, 1, 0.25]]], np.float32)))
    with pytest.raises(InputError, match="label values up to"):
        read_labels(save(tmp_path / "c.nii", np.array([[[0, 2**30]]], np.int32)))


def test_label_image_in_colour(tmp_path):
    mask = np.zeros((5, 6, 3), np.uint8)
    mask[1:3] = 255
    cv2.imwrite(str(tmp_path / "a.png"), mask)
    labels = read_labels(tmp_path / "a.png")
    assert labels.voxels.shape == (5, 6, 1)
    assert labels.voxels.dtype == np.uint8
    np.testing.assert_array_equal(labels.voxels, mask[..., :1])
    mask[0, 0] = (1, 2, 3)
    cv2.imwrite(str(tmp_path / "b.png"), mask)
    with pytest.raises(InputError, match=r"b\.png: expected one class value a pixel, got 3 different channels"):
        read_labels(tmp_path / "b.png")


def test_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("in the way")
    scan = Scan(np.zeros((2, 2, 2, 1), np.uint8), np.eye(4))
    with pytest.raises(InputError, match=r"file/a\.nii\.gz: cannot be written \(.*\); choose a folder that can"):
        write(tmp_path / "file" / "a.nii.gz", scan)
    assert (tmp_path / "file").read_text() == "in the way"
    (tmp_path / "taken.nii").mkdir()
    with pytest.raises(InputError, match="cannot be written"):
        write(tmp_path / "taken.nii", scan)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "taken.nii"]


def test_folder_without_permission(tmp_path):
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    if os.geteuid() == 0:  # who may write to any folder but those that the system makes up
        locked = Path("/proc")
    with pytest.raises(InputError, match="cannot be written"):
        write(locked / "a.nii", Scan(np.zeros((2, 2, 2, 1), np.uint8), np.eye(4)))


def test_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.nii.gz"
    write(path, Scan(np.zeros((2, 2, 2, 1), np.uint8), np.eye(4)))
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(InputError, match="No space left on device"):
        write(path, Scan(np.ones((2, 2, 2, 1), np.uint8), np.eye(4)))
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.nii.gz"]


def test_missing_folders_are_made(tmp_path):
    write(tmp_path / "x" / "y" / "a.png", Scan(np.zeros((2, 2, 1), np.uint8), np.eye(4)))
    assert (tmp_path / "x" / "y" / "a.png").exists()


def test_labels_close_to_integers(tmp_path):
    stored = np.array([[[0.0, 0.9999, 2.004]]], np.float32)
    np.testing.assert_array_equal(read_labels(save(tmp_path / "a.nii.gz", stored)).voxels.ravel(), [0, 1, 2])
    with pytest.raises(InputError, match=r"b\.nii: 1 voxels are not integers \(2\.02\d* for one\)"):
        read_labels(save(tmp_path / "b.nii", stored * np.float32(1.008)))


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.hdr"])
@pytest.mark.parametrize(
    ("stored", "slope", "reason"),
    [
        ([0, 1, 2, 3], 0.001, "every voxel rounds to 0, though values go up to 0.003"),
        ([0, 0, 1], 1e-9, "every voxel rounds to 0"),
        ([5, 5], 0.001, "every voxel rounds to 0"),
        ([0, 1, 200], 0.005, "0 and 0.005 become the same label 0"),
        ([100, 101, 300, 0], 0.01, "1 and 1.01 become the same label 1"),
    ],
)
def test_classes_that_a_scale_makes_one(tmp_path, name, stored, slope, reason):
    kind = nibabel.Nifti1Pair if name.endswith(".hdr") else nibabel.Nifti1Image
    image = kind(np.array(stored, np.int16).reshape(1, 1, -1), np.eye(4))
    image.header.set_slope_inter(slope, 0)
    image.to_filename(tmp_path / name)
    with pytest.raises(InputError, match=reason):
        read_labels(tmp_path / name)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16])
def test_classes_that_a_scale_keeps(tmp_path, dtype):
    """nibabel chooses a scale that fills the type when real numbers are saved as integers."""
    classes = np.array([0, 1, 2, 3, 3], float).reshape(1, 1, -1)
    image = nibabel.Nifti1Image(classes, np.eye(4))
    image.set_data_dtype(dtype)
    image.to_filename(tmp_path / "a.nii")
    assert nibabel.load(tmp_path / "a.nii").dataobj.slope < 0.1
    np.testing.assert_array_equal(read_labels(tmp_path / "a.nii").voxels, classes[..., None])


def test_real_numbers_that_are_no_labels(tmp_path):
    path = save(tmp_path / "a.nii", np.array([[[0, 0.002, 0.004]]], np.float32))
    with pytest.raises(InputError, match=r"every voxel rounds to 0, though values go up to 0\.004"):
        read_labels(path)


def test_a_large_label_map_is_not_copied_as_real_numbers(tmp_path):
    """One byte a voxel as stored, four as read, one as labels; a slice at a time is rounded."""
    labels = np.random.default_rng(0).integers(0, 3, (96, 96, 96), np.uint8)
    nibabel.save(nibabel.Nifti1Image(labels, np.eye(4)), tmp_path / "a.nii")
    read_labels(tmp_path / "a.nii")
    tracemalloc.start()
    scan = read_labels(tmp_path / "a.nii")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_array_equal(scan.voxels[..., 0], labels)
    assert scan.voxels.dtype == np.uint8
    assert peak < 6.5 * labels.size
