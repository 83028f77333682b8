"""Damaged and hostile DICOM files: one line each, and no data of the patient in it."""

import contextlib
import dataclasses
import functools
import io
import pickle
import sys
import tempfile
import zipfile

import numpy as np
import pydicom
import pytest
from dicom_files import enhanced, image, write_series
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.uid import (
    JPEG2000Lossless,
    JPEGExtended12Bit,
)

import imaging
from edge.dicom.headers import sources_of
from edge.node.routing import facts_of
from imaging.io.dicom import series
from imaging.io.dicom.dataset import DicomFile
from imaging.io.dicom.label import label_object
from imaging.io.dicom.series import find_series
from medseg.errors import InputError
from review.volumes.sources import find_sources

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


def test_a_zip_is_opened_once_for_all_of_its_files(tmp_path, monkeypatch):
    """Its directory would be read again for each of its members: hours for a few MB of them."""
    write_series(tmp_path / "series", VOXELS)
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for file in (tmp_path / "series").iterdir():
            archive.write(file, file.name)
        for number in range(300):
            archive.writestr(f"notes/{number}", b"no DICOM")
    opened = []

    class Counted(zipfile.ZipFile):
        def __init__(self, *arguments):
            opened.append(arguments)
            super().__init__(*arguments)

    monkeypatch.setattr(zipfile, "ZipFile", Counted)
    scan = imaging.read(tmp_path / "a.zip")
    assert len(opened) == 1
    np.testing.assert_array_equal(scan.voxels, imaging.read(tmp_path / "series").voxels)
    file = find_series(tmp_path / "a.zip")[0].files[0]
    again = pickle.loads(pickle.dumps(file))
    assert again == file
    assert again.content() == file.content()


def turned(angles):
    """An enhanced image each frame of which is turned by an angle about the head's axis."""
    dataset = enhanced(np.zeros((len(angles), 2, 2), np.uint16))
    for frame, angle in zip(dataset.PerFrameFunctionalGroupsSequence, angles, strict=True):
        place = pydicom.Dataset()
        cosine, sine = np.cos(angle), np.sin(angle)
        place.ImageOrientationPatient = [f"{value:.6f}" for value in (cosine, sine, 0, -sine, cosine, 0)]
        frame.PlaneOrientationSequence = [place]
    return dataset


def test_an_orientation_for_each_of_many_frames(tmp_path, monkeypatch):
    monkeypatch.setattr(series, "MAX_PLANES", 50)
    turned(np.arange(60) * 0.01).save_as(tmp_path / "a.dcm", enforce_file_format=True)
    refused(tmp_path / "a.dcm", "its images have more than 50 orientations")
    turned(np.arange(40) * 0.01).save_as(tmp_path / "a.dcm", enforce_file_format=True)
    assert len(find_series(tmp_path / "a.dcm")) == 40


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2)), min_size=1, max_size=30))
def test_planes_are_those_of_comparing_each_with_each(parts):
    """Orientations about the tolerance apart, and spacings: a frame joins the first group that it fits."""
    frames = [frame(turn * 0.6e-3, 1 + space * 0.7e-3) for turn, space in parts]
    groups: list[list] = []
    for each in frames:
        for group in groups:
            near = np.allclose(group[0].orientation, each.orientation, rtol=0, atol=1e-3)
            if near and np.allclose(group[0].spacing, each.spacing, rtol=1e-3, atol=0):
                group.append(each)
                break
        else:
            groups.append([each])
    assert series._by_plane(frames) == groups


def frame(angle, spacing):
    cosine, sine = float(np.cos(angle)), float(np.sin(angle))
    orientation = (cosine, sine, 0.0, -sine, cosine, 0.0)
    instance = frames_of_one()
    position = (0.0, 0.0, 0.0)
    return dataclasses.replace(instance, position=position, orientation=orientation, spacing=(spacing, spacing))


@functools.cache
def frames_of_one():
    content = io.BytesIO()
    image(VOXELS[0]).save_as(content, enforce_file_format=True)
    with tempfile.NamedTemporaryFile(suffix=".dcm") as file:
        file.write(content.getvalue())
        file.flush()
        return find_series(file.name)[0].frames[0]


@pytest.mark.parametrize(
    "element",
    [b"\x08\x00\x60\x00CS", b"\x20\x00\x0d\x00UI", b"\x08\x00\x18\x00UI", b"\x28\x00\x10\x00US", b"\x10\x00\x20\x00LO"],
    ids=["modality", "study", "instance", "rows", "patient"],
)
def test_a_kind_of_value_that_there_is_not(tmp_path, element):
    """pydicom decodes a value when it is asked for, so what is damaged in it shows late, and as an error of its own."""
    write_series(tmp_path / "series", VOXELS)
    for file in (tmp_path / "series").iterdir():
        content = file.read_bytes()
        assert content.count(element) >= 1
        file.write_bytes(content.replace(element, element[:4] + b"Q?"))
    readers = (
        imaging.read,
        imaging.read_labels,
        find_series,
        lambda path: facts_of(next(path.iterdir()) if path.is_dir() else path),
        lambda path: sources_of(find_series(path)[0]),
        lambda path: label_object(DicomFile(next(path.iterdir()) if path.is_dir() else path)),
        lambda path: find_sources(tmp_path / "series", 1, 3),
    )
    for place in (tmp_path / "series", tmp_path / "series" / "001.dcm"):
        for reader in readers:
            with contextlib.suppress(InputError):
                reader(place)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            b"\x10\x00UI\x14\x001.2.840.10008.1.2.1\x00",
            b"\x10\x00UI\x14\x001.2.840\n10008.1.2.9\x00",
            "no installed decoder",
        ),
        (b"CS\x02\x00MR", b"CS\x02\x00\nR", "slices missing"),
    ],
)
def test_line_breaks_in_headers_begin_no_line_of_a_message(tmp_path, old, new, message):
    folder = write_series(tmp_path / "scan", np.arange(6 * 64, dtype=np.uint16).reshape(6, 8, 8))
    (folder / "004.dcm").unlink()
    for path in folder.iterdir():
        content = path.read_bytes()
        assert content.count(old) == 1
        path.write_bytes(content.replace(old, new))
    place = next(folder.iterdir()) if message == "no installed decoder" else folder
    with pytest.raises(InputError, match=message) as error:
        imaging.read(place)
    assert "\n" not in str(error.value)


def test_items_in_place_of_a_modality_are_one_line(tmp_path):
    (path,) = write_series(tmp_path / "scan", np.zeros((1, 8, 8), np.uint16)).iterdir()
    element = b"\x49\x42\x41\x5fME\x02\x00ab"  # a value representation that there is not
    item = b"\xfe\xff\x00\xe0" + len(element).to_bytes(4, "little") + element
    content = path.read_bytes()
    modality = b"\x08\x00\x60\x00CS\x02\x00MR"
    assert content.count(modality) == 1
    items = b"\x08\x00\x60\x00SQ\x00\x00" + len(item).to_bytes(4, "little") + item
    path.write_bytes(content.replace(modality, items))
    refused(path, "truncated or damaged")
    with pytest.raises(InputError, match="truncated or damaged"):
        imaging.read_labels(path)
