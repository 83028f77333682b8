"""Damaged and hostile DICOM files: one line each, and no data of the patient in it."""

import zipfile

import numpy as np
import pytest
from dicom_files import image, write_series
from pydicom.uid import JPEG2000Lossless, JPEGExtended12Bit

import imaging
from medseg.errors import InputError

VOXELS = np.arange(4 * 36 * 40).reshape(4, 36, 40).astype(np.uint16)


def refused(path, match):
    with pytest.raises(InputError, match=match) as raised:
        imaging.read(path)
    assert "Doe" not in str(raised.value)


def test_empty_folder_and_folder_of_reports(tmp_path):
    refused(tmp_path, r"holds no image series \(no DICOM file\)")
    report = image(VOXELS[0], Modality="SR")
    report.save_as(tmp_path / "sr.dcm")
    refused(tmp_path, "none of its 1 DICOM files is an image")


def test_truncated_pixels(tmp_path):
    write_series(tmp_path, VOXELS)
    file = tmp_path / "002.dcm"
    file.write_bytes(file.read_bytes()[:-20])
    refused(tmp_path, r"002\.dcm: its pixels: cannot be read as DICOM, it is truncated or damaged")


def test_no_pixels(tmp_path):
    dataset = image(VOXELS[0])
    del dataset.PixelData
    dataset.save_as(tmp_path / "a.dcm")
    refused(tmp_path / "a.dcm", "holds no pixel data")


def test_text_named_dicom(tmp_path):
    (tmp_path / "a.dcm").write_text("no DICOM")
    refused(tmp_path / "a.dcm", "is no DICOM file")
    refused(tmp_path / "missing.dcm", "no such file")


def test_announced_size_is_checked_before_memory_is_taken(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDSEG_MAX_BYTES", "1MB")
    dataset = image(VOXELS[0], Rows=60000, Columns=60000)
    dataset.save_as(tmp_path / "a.dcm")
    refused(tmp_path / "a.dcm", "its voxels would take .* expected at most")


def test_a_compressed_frame_of_another_size(tmp_path):
    dataset = image(VOXELS[0], syntax=JPEG2000Lossless)
    dataset.Rows = 3
    dataset.save_as(tmp_path / "a.dcm")
    refused(tmp_path / "a.dcm", "frame 1 is compressed as 36 x 40 pixels, its header says 3 x 40")


@pytest.mark.parametrize(
    ("content", "message"),
    [(bytes(3 * 2**20), "its data set unpacks to more than .* dcmconv"), (None, "its data set would take")],
    ids=["by its ratio", "by the limit"],
)
def test_a_deflated_bomb(content, message, tmp_path, monkeypatch):
    monkeypatch.setenv("MEDSEG_MAX_BYTES", "1MB")
    dataset = image(VOXELS[0])
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1.99"
    dataset.PixelData = content or np.random.default_rng(0).integers(0, 4, 3 * 2**20, np.uint8).tobytes()
    dataset.save_as(tmp_path / "a.dcm")
    refused(tmp_path / "a.dcm", message)


def test_no_decoder_is_named(tmp_path):
    dataset = image(VOXELS[0], syntax=JPEG2000Lossless)
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.94"  # JPIP: its pixels lie on a server
    dataset.save_as(tmp_path / "a.dcm")
    refused(tmp_path / "a.dcm", 'JPIP.*which no installed decoder reads; pip install "medseg-zoo\\[dicom\\]"')


def test_a_missing_package_names_the_extra(tmp_path, monkeypatch):
    import sys

    write_series(tmp_path, VOXELS)
    monkeypatch.setitem(sys.modules, "pydicom", None)
    refused(tmp_path, 'pip install "medseg-zoo\\[dicom\\]"')


def test_zip_bomb_and_damaged_zip(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.dcm", bytes(200 * 2**20))
    refused(tmp_path / "a.zip", "unpack to")
    (tmp_path / "b.zip").write_bytes((tmp_path / "a.zip").read_bytes()[:-30])
    refused(tmp_path / "b.zip", "cannot be read as zip")


def test_damaged_orientation(tmp_path):
    write_series(tmp_path, VOXELS, orientation=(1, 0, 0, 0.5, 0.5, 0))
    refused(tmp_path, "expected two perpendicular unit vectors")


def test_jpeg_extended_of_12_bits_is_refused_in_one_line(tmp_path):
    dataset = image(VOXELS[0], syntax=JPEG2000Lossless)
    dataset.file_meta.TransferSyntaxUID = JPEGExtended12Bit
    dataset.save_as(tmp_path / "a.dcm")
    refused(tmp_path / "a.dcm", r"a\.dcm: ")


def test_a_deflated_file_within_the_limit(tmp_path):
    dataset = image(VOXELS[0])
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1.99"
    dataset.save_as(tmp_path / "a.dcm")
    np.testing.assert_array_equal(imaging.read(tmp_path / "a.dcm").voxels[..., 0], VOXELS[0])
