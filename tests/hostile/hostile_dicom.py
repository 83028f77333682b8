"""DICOM files that are none: bombs, claims, cuts, nests, and zips of them."""

import io
import os
import struct
import zipfile
import zlib

import numpy as np
from dicom_files import image
from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit, RLELossless

_PLACE = {"ImagePositionPatient": [0, 0, 0], "ImageOrientationPatient": [1, 0, 0, 0, 1, 0]}


def dicom(**tags) -> bytes:
    """A file of one slice; ``tags`` as ``dicom_files.image`` takes them."""
    return _bytes(image(np.arange(400, dtype=np.uint16).reshape(20, 20), **_PLACE, **tags))


def _bytes(dataset) -> bytes:
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def _compressed(syntax, frames=1, pixels=b"", **tags) -> bytes:
    """A file that says it is compressed and holds whatever bytes."""
    dataset = image(np.zeros((64, 64), np.uint16), **_PLACE)
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.NumberOfFrames = frames
    for keyword, value in tags.items():
        setattr(dataset, keyword, value)
    pixels += b"\0" * (len(pixels) % 2)
    item = struct.pack("<HHI", 0xFFFE, 0xE000, 0) + struct.pack("<HHI", 0xFFFE, 0xE000, len(pixels)) + pixels
    dataset.PixelData = item + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    dataset["PixelData"].is_undefined_length = True
    dataset["PixelData"].VR = "OB"
    return _bytes(dataset)


def _deflated(size) -> bytes:
    """A deflated data set that unpacks to so many zeros."""
    head = bytearray(dicom())
    end = 132 + 12 + struct.unpack_from("<I", head, 140)[0]
    meta = bytes(head[132:end]).replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.1.99")
    meta = meta.replace(struct.pack("<HH2sH", 2, 0x10, b"UI", 20), struct.pack("<HH2sH", 2, 0x10, b"UI", 22))
    meta = meta[:8] + struct.pack("<I", len(meta) - 12) + meta[12:]
    packer = zlib.compressobj(9, wbits=-15)
    piece = packer.compress(bytes(2**24)) + packer.flush(zlib.Z_FULL_FLUSH)
    return bytes(head[:132]) + meta + piece * (size // 2**24) + packer.flush()


def _nested(depth) -> bytes:
    """Sequences in sequences, each of undefined length."""
    item = struct.pack("<HH2sHI", 0x0040, 0xA730, b"SQ", 0, 0xFFFFFFFF) + struct.pack(
        "<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF
    )
    return dicom() + item * depth


def _zip(members) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def _claims(**tags) -> bytes:
    return dicom(**tags)


_ELSEWHERE = struct.pack("<16I", 15, *[2**31] * 15)
DICOM = {
    "dicom empty": (".dcm", lambda: b""),
    "dicom mark alone": (".dcm", lambda: bytes(128) + b"DICM"),
    "dicom random": (".dcm", lambda: bytes(128) + b"DICM" + os.urandom(4000)),
    "dicom cut in its header": (".dcm", lambda: dicom()[:400]),
    "dicom cut in its pixels": (".dcm", lambda: dicom()[:-300]),
    "dicom claims 65535² of 30000 frames": (".dcm", lambda: _claims(Rows=65535, Columns=65535, NumberOfFrames=30000)),
    "dicom claims 65535²": (".dcm", lambda: _claims(Rows=65535, Columns=65535)),
    "dicom no rows": (".dcm", lambda: _claims(Rows=0)),
    "dicom 2 billion frames": (".dcm", lambda: _claims(NumberOfFrames=2**31 - 1)),
    "dicom negative frames": (".dcm", lambda: _claims(NumberOfFrames=-5)),
    "dicom 7 bits": (".dcm", lambda: _claims(BitsAllocated=7)),
    "dicom 64 samples": (".dcm", lambda: _claims(SamplesPerPixel=64)),
    "dicom position of text": (".dcm", lambda: dicom().replace(b"DS\x06\x000\\0\\0 ", b"DS\x06\x00a\\b\\c ")),
    "dicom NaN spacing": (".dcm", lambda: dicom().replace(b"0.5\\0.75", b"nan\\nan ")),
    "dicom no spacing": (".dcm", lambda: dicom(PixelSpacing=[0, 0])),
    "dicom bomb of deflate": (".dcm", lambda: _deflated(4 * 2**30)),
    "dicom nested 100000 deep": (".dcm", lambda: _nested(100_000)),
    "dicom rle of nothing": (".dcm", lambda: _compressed(RLELossless)),
    "dicom rle of segments elsewhere": (".dcm", lambda: _compressed(RLELossless, pixels=_ELSEWHERE)),
    "dicom rle claims": (".dcm", lambda: _compressed(RLELossless, pixels=bytes(64), Rows=65535, Columns=65535)),
    "dicom jpeg of noise": (".dcm", lambda: _compressed(JPEGBaseline8Bit, pixels=os.urandom(900), BitsAllocated=8)),
    "dicom jpeg 2000 of noise": (".dcm", lambda: _compressed(JPEG2000Lossless, pixels=os.urandom(900))),
    "dicom 1000 frames of one": (".dcm", lambda: _compressed(RLELossless, 1000, bytes(64))),
    "dicom report": (".dcm", lambda: dicom(sop_class="1.2.840.10008.5.1.4.1.1.88.34", Modality="SR", Rows=None)),
    "dicom zip bomb": (".zip", lambda: _zip({"a.dcm": bytes(2**28)})),
    "dicom zip cut": (".zip", lambda: _zip({"a.dcm": dicom()})[:-40]),
    "dicom zip out of its folder": (".zip", lambda: _zip({"../beside": b"x", "/etc/passwd": b"y"})),
    "dicom zip of a cut file": (".zip", lambda: _zip({"a.dcm": dicom()[:700]})),
    "dicom zip of nothing": (".zip", lambda: _zip({})),
}  # fmt: skip
