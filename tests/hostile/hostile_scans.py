"""Scans that are none: every reader with bombs, claims, cuts, loops and what is no file at all."""

import gzip
import os
import struct
import zlib

import numpy as np

GIGABYTE = 2**30


def nifti(shape=(8, 8, 8), values=None, **fields) -> bytes:
    """A NIfTI-1 file by hand; ``fields`` are offset to (struct format, value)."""
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, len(shape), *shape, *[1] * (7 - len(shape)))
    struct.pack_into("<2h", header, 70, 16, 32)  # float32
    struct.pack_into("<8f", header, 76, 1, *[1.0] * 7)
    struct.pack_into("<3f", header, 108, 352, 1, 0)  # where the voxels begin, slope, intercept
    struct.pack_into("<2h", header, 252, 0, 1)
    struct.pack_into("<12f", header, 280, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0)
    header[344:348] = b"n+1\0"
    for offset, (form, *numbers) in fields.items():
        struct.pack_into("<" + form, header, int(offset[1:]), *numbers)
    if values is None:
        values = np.arange(np.prod(shape), dtype="<f4")
    return bytes(header) + np.asarray(values, "<f4").tobytes()


def zeros_gz(size) -> bytes:
    """So many zeros by gzip, quickly: members of 16 MB one after the other, which is one file by the standard."""
    member = gzip.compress(bytes(2**24), 9, mtime=0)
    return member * (size // 2**24)


def zeros_deflated(size) -> bytes:
    """So many zeros in one stream of zlib, quickly: the same flushed block again and again."""
    block = 2**24
    packer = zlib.compressobj(9)
    start = packer.compress(b"") + packer.flush(zlib.Z_FULL_FLUSH)
    piece = packer.compress(bytes(block)) + packer.flush(zlib.Z_FULL_FLUSH)
    checksum = 1
    for _ in range(size // block):
        checksum = zlib.adler32(bytes(block), checksum) if size <= 2**26 else checksum
    return start + piece * (size // block) + b"\x03\x00" + struct.pack(">I", checksum)


def png(width, height, depth=8, colour=0, data=b"") -> bytes:
    """A PNG file of one data chunk."""
    header = struct.pack(">2I5B", width, height, depth, colour, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", data), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks)


def _chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def tiff(width, height, compression=1, data=b"\0" * 16, offset=None, count=None, next_page=0, bits=8) -> bytes:
    """A grey TIFF file of one strip and one directory, which ``next_page`` follows."""
    entries = (
        (256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, bits), (259, 3, 1, compression), (262, 3, 1, 1),
        (273, 4, 1, 8 if offset is None else offset), (277, 3, 1, 1), (278, 4, 1, height),
        (279, 4, 1, len(data) if count is None else count),
    )  # fmt: skip
    where = 8 + len(data)
    directory = struct.pack("<H", len(entries)) + b"".join(struct.pack("<2H2I", *entry) for entry in entries)
    following = where if next_page == "itself" else next_page
    return b"II*\0" + struct.pack("<I", where) + data + directory + struct.pack("<I", following)


def jpeg(path, width=None, height=None) -> bytes:
    """A JPEG file by OpenCV, its size overwritten."""
    import cv2

    content = bytearray(cv2.imencode(".jpg", np.zeros((64, 64), np.uint8))[1].tobytes())
    frame = content.index(b"\xff\xc0")
    if height is not None:
        struct.pack_into(">2H", content, frame + 5, height, width)
    return bytes(content)


def device(path):
    """A link to a device that never ends."""
    path.symlink_to("/dev/zero")


def pipe(path):
    """A named pipe that nobody writes to."""
    os.mkfifo(path)


def itself(path):
    """A link that leads to itself."""
    path.symlink_to(path.name)


def folder(path):
    """A folder where a file should be."""
    path.mkdir()


NO_FILES = {"device": device, "pipe": pipe, "loop": itself, "folder": folder}

_ONES = np.ones(512, "<f4")
_BAD = np.where(np.arange(512) == 7, np.nan, 1.0)

# Name to (suffix, content).
SCANS = {
    "nifti claims 1200³": (".nii", lambda: nifti((1200, 1200, 1200), values=[1])),
    "nifti claims 32767³ in 7 axes": (".nii", lambda: nifti((32767,) * 7, values=[1])),
    "nifti claims, packed": (".nii.gz", lambda: gzip.compress(nifti((1200, 1200, 1200), values=[1]))),
    "nifti negative axes": (".nii", lambda: nifti(o40=("4h", 3, -8, -8, -8))),
    "nifti 70 axes": (".nii", lambda: nifti(o40=("h", 70))),
    "nifti no axes": (".nii", lambda: nifti(o40=("8h", *[0] * 8))),
    "nifti cut in its voxels": (".nii", lambda: nifti()[:-100]),
    "nifti cut in its header": (".nii", lambda: nifti()[:200]),
    "nifti empty": (".nii", lambda: b""),
    "nifti gz cut": (".nii.gz", lambda: gzip.compress(nifti())[:-30]),
    "nifti gz checksum": (".nii.gz", lambda: gzip.compress(nifti())[:-8] + bytes(8)),
    "nifti gz empty": (".nii.gz", lambda: b""),
    "nifti gz bomb": (".nii.gz", lambda: gzip.compress(nifti()) + zeros_gz(4 * GIGABYTE)),
    "nifti gz bomb of zeros": (".nii.gz", lambda: zeros_gz(4 * GIGABYTE)),
    "nifti NaN voxels": (".nii", lambda: nifti(values=_BAD)),
    "nifti infinite by its slope": (".nii", lambda: nifti(values=1e10 * _ONES, o112=("f", 1e38))),
    "nifti NaN affine": (".nii", lambda: nifti(o280=("f", float("nan")))),
    "nifti flat affine": (".nii", lambda: nifti(o280=("12f", *[0] * 12))),
    "nifti begins at infinity": (".nii", lambda: nifti(o108=("f", float("inf")))),
    "nifti begins at NaN": (".nii", lambda: nifti(o108=("f", float("nan")))),
    "nifti begins beyond its end": (".nii", lambda: nifti(o108=("f", 1e18))),
    "nifti begins before its start": (".nii", lambda: nifti(o108=("f", -1e9))),
    "nifti complex": (".nii", lambda: nifti(o70=("2h", 32, 64))),
    "nifti unknown type": (".nii", lambda: nifti(o70=("2h", 9999, 8))),
    "nifti tiny voxels": (".nii", lambda: nifti(o280=("12f", 1e-30, 0, 0, 0, 0, 1e-30, 0, 0, 0, 0, 1e-30, 0))),
    "nifti huge voxels": (".nii", lambda: nifti(o280=("12f", 1e6, 0, 0, 0, 0, 1e6, 0, 0, 0, 0, 1e6, 0))),
    "nifti2 claims 2^62": (".nii", lambda: _nifti2()),
    "png bomb": (".png", lambda: png(30000, 30000, data=zeros_deflated(30001 * 30000))),
    "png bomb of colour, 16 bit": (".png", lambda: png(30000, 30000, 16, 2, zeros_deflated(2 * GIGABYTE))),
    "png claims": (".png", lambda: png(2**31 - 1, 2**31 - 1, data=zlib.compress(bytes(100)))),
    "png no pixels": (".png", lambda: png(0, 0, data=zlib.compress(b""))),
    "png cut": (".png", lambda: png(64, 64, data=zlib.compress(os.urandom(64 * 65)))[:400]),
    "png unknown depth": (".png", lambda: png(64, 64, 7, 5, zlib.compress(bytes(64 * 65)))),
    "png empty": (".png", lambda: b""),
    "tiff claims": (".tif", lambda: tiff(2**31 - 1, 2**31 - 1)),
    "tiff claims 30000²": (".tif", lambda: tiff(30000, 30000)),
    "tiff bomb": (".tif", lambda: tiff(30000, 30000, 8, zeros_deflated(900 * 10**6 // 2**24 * 2**24))),
    "tiff strip elsewhere": (".tif", lambda: tiff(64, 64, offset=2**31, count=4096)),
    "tiff loop of pages": (".tif", lambda: tiff(4, 4, next_page="itself")),
    "tiff cut": (".tif", lambda: tiff(64, 64, data=os.urandom(4096))[:2000]),
    "tiff empty": (".tif", lambda: b"II*\0"),
    "tiff directory elsewhere": (".tif", lambda: b"II*\0" + struct.pack("<I", 2**32 - 10) + bytes(20)),
    "jpeg claims 65500²": (".jpg", lambda: jpeg(None, 65500, 65500)),
    "jpeg cut": (".jpg", lambda: jpeg(None)[:150]),
    "jpeg no size": (".jpg", lambda: jpeg(None, 0, 0)),
}


def _nifti2():
    header = bytearray(544)
    struct.pack_into("<i", header, 0, 540)
    header[4:12] = b"n+2\0\r\n\x1a\n"
    struct.pack_into("<2h", header, 12, 16, 32)
    struct.pack_into("<8q", header, 16, 3, 2**62, 2**62, 2**62, 1, 1, 1, 1)
    struct.pack_into("<8d", header, 104, *[1.0] * 8)
    struct.pack_into("<q", header, 168, 544)
    return bytes(header)
