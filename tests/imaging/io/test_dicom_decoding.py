"""Decoders of compressed DICOM frames: no stream ends the process that reads it."""

import contextlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_files import write_series
from pydicom.data import get_testdata_file
from pydicom.uid import (
    JPEG2000,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
)

import imaging
from imaging.io.dicom.decoding.decoders import decoders
from imaging.io.dicom.decoding.gdcm_process import GdcmProcess

VOXELS = np.arange(4 * 36 * 40).reshape(4, 36, 40).astype(np.uint16)


@pytest.mark.parametrize(
    ("at", "value"), [(40, b"\x61\x4e"), (40, b"\0\0"), (42, b"\xff"), (24, bytes(8)), (8, b"\xff" * 8)]
)
def test_a_damaged_codestream_ends_no_process(tmp_path, at, value):
    """GDCM ends the process, which would be the node, so it is not asked where another decoder reads the stream."""
    write_series(tmp_path, VOXELS, syntax=JPEG2000Lossless)
    for file in tmp_path.iterdir():
        content = bytearray(file.read_bytes())
        place = content.index(b"\xff\x4f\xff\x51")
        content[place + at : place + at + len(value)] = value
        file.write_bytes(content)
    code = "import imaging, sys\ntry:\n    imaging.read(sys.argv[1])\nexcept imaging.InputError:\n    pass"
    ended = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


def test_the_decoder_that_ends_processes_comes_last():
    for syntax in (JPEG2000Lossless, JPEG2000, JPEGLSLossless, JPEGBaseline8Bit):
        assert "gdcm" not in decoders(syntax)
    assert decoders(JPEGLosslessSV1) == ("gdcm",)
    assert decoders(ExplicitVRLittleEndian) == ("",)


LOSSLESS = get_testdata_file("SC_rgb_jpeg_gdcm.dcm", download=False)  # lossless JPEG, in pydicom's wheel


def test_lossless_jpeg_is_read_as_pydicom_does():
    expected = pydicom.dcmread(LOSSLESS).pixel_array  # by GDCM in this process
    assert np.ptp(expected) > 0
    np.testing.assert_array_equal(imaging.read(LOSSLESS).voxels.squeeze(), expected)


@pytest.mark.parametrize(("at", "value"), [(22, 133), (22, 64), (2, 227), (37, 234), (37, 17)])
def test_damaged_lossless_jpeg_ends_no_process(tmp_path, at, value):
    """GDCM aborts on each of these: its own process ends, and the file is refused in one line."""
    content = bytearray(Path(LOSSLESS).read_bytes())
    content[content.index(b"\xff\xd8\xff") + at] = value
    (tmp_path / "a.dcm").write_bytes(content)
    code = "import imaging, sys\ntry:\n    imaging.read(sys.argv[1])\nexcept imaging.InputError as e:\n    print(e)"
    command = [sys.executable, "-c", code, str(tmp_path / "a.dcm")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "a.dcm: its pixels: cannot be read as DICOM" in ended.stdout


def test_the_decoding_process_goes_on_after_a_file_that_ended_it():
    whole = Path(LOSSLESS).read_bytes()
    damaged = bytearray(whole)
    damaged[damaged.index(b"\xff\xd8\xff") + 22] = 133
    with GdcmProcess() as gdcm:
        for content, ends in ((whole, False), (damaged, True), (b"", True), (whole, False)):
            with pytest.raises(RuntimeError) if ends else contextlib.nullcontext():
                assert gdcm.decode(bytes(content), [0])[0].shape == (100, 100, 3)
