"""Volumes that are none: NRRD, MetaImage, pairs and TIFF of several pages, with data files that lead elsewhere."""

import gzip
import io
import os
import struct
import zlib

import numpy as np
from hostile_scans import GIGABYTE, device, folder, itself, nifti, pipe, zeros_deflated, zeros_gz

NRRD = b"NRRD0004\ntype: float\ndimension: 3\nspace: left-posterior-superior\nsizes: 8 8 8\nendian: little\n"
NRRD += b"space directions: (1,0,0) (0,1,0) (0,0,1)\nspace origin: (0,0,0)\nencoding: raw\n"
META = b"ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\nDimSize = 8 8 8\n"
META += b"ElementType = MET_FLOAT\n"
VOXELS = np.arange(512, dtype="<f4").tobytes()


def nrrd(change=None, data=VOXELS, end=b"\n"):
    """A NRRD file with parts of its header replaced."""
    header = NRRD
    for old, new in (change or {}).items():
        assert old in header
        header = header.replace(old, new)
    return lambda: header + end + (data() if callable(data) else data)


def meta(change=None, data=VOXELS, place=b"LOCAL"):
    """A MetaImage file with parts of its header replaced."""
    header = META
    for old, new in (change or {}).items():
        assert old in header
        header = header.replace(old, new)
    return lambda: header + b"ElementDataFile = " + place + b"\n" + (data() if callable(data) else data)


def beside(header, name, trap):
    """A header whose data file is a trap, or lies elsewhere."""

    def make(place):
        (place / name).write_bytes(header())
        trap(place)

    return make


def alone(name, content):
    """One file."""
    return lambda place: (place / name).write_bytes(content())


def trapped(name, trap):
    """A trap beside the header."""
    return lambda place: trap(place / name)


def linked(place):
    """A data file that is a link out of the folder."""
    (place / "scan.raw").symlink_to("/etc/passwd")


def nothing(place):
    """No data file."""


def stack(pages=8, description=None, **options):
    """A TIFF of some pages by tifffile, with a description of our own."""
    import tifffile

    content = io.BytesIO()
    voxels = np.arange(pages * 64, dtype=np.uint8).reshape(pages, 8, 8)
    tifffile.imwrite(content, voxels, photometric="minisblack", description=description, metadata=None, **options)
    return content.getvalue()


def chain(pages, width=4, height=4):
    """A TIFF of so many pages, each its own directory on the same strip."""
    parts, where = [b"II*\0", struct.pack("<I", 24), bytes(16)], 24
    for number in range(pages):
        entries = (
            (256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, 8),
            (277, 3, 1, 1), (278, 4, 1, height), (279, 4, 1, 16),
        )  # fmt: skip
        size = 2 + 12 * len(entries) + 4
        following = where + size if number + 1 < pages else 0
        parts.append(struct.pack("<H", len(entries)) + b"".join(struct.pack("<2H2I", *entry) for entry in entries))
        parts.append(struct.pack("<I", following))
        where += size
    return b"".join(parts)


def ome(pixels="", before="", more=""):
    """OME's description of 8 pages."""
    return (
        f'<?xml version="1.0"?>{before}<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="I:0">'
        f'<Pixels ID="P:0" Type="uint8" DimensionOrder="XYZCT" SizeX="8" SizeY="8" {pixels}/></Image>{more}</OME>'
    )


_SIZES = 'SizeZ="8" SizeC="1" SizeT="1"'
_LAUGHS = "<!DOCTYPE a [<!ENTITY b '" + "x" * 1000 + "'>" + "<!ENTITY c '" + "&b;" * 1000 + "'>]>"
_RAW = {b"encoding: raw": b"encoding: gzip"}
_DATA_FILE = b"data file: scan.raw\n"
_AWAY = {"upwards": b"../../../../../../etc/passwd", "absolute": b"/etc/passwd", "a zero byte": b"sc\0an.raw"}
_TRAPS = {"device": device, "pipe": pipe, "loop": itself, "folder": folder}

# Name to (file name, function that writes it and what lies beside it).
VOLUMES = {
    name: (file, alone(file, content))
    for name, (file, content) in {
        "nrrd claims 60000³": ("scan.nrrd", nrrd({b"8 8 8": b"60000 60000 60000"})),
        "nrrd claims, packed": ("scan.nrrd", nrrd({b"8 8 8": b"60000 60000 60000"} | _RAW, gzip.compress(VOXELS))),
        "nrrd bomb": ("scan.nrrd", nrrd({b"8 8 8": b"1000 1000 1000"} | _RAW, lambda: zeros_gz(4 * GIGABYTE))),
        "nrrd cut": ("scan.nrrd", nrrd(data=VOXELS[:-9])),
        "nrrd gzip cut": ("scan.nrrd", nrrd(_RAW, gzip.compress(os.urandom(2048))[:-500])),
        "nrrd gzip of noise": ("scan.nrrd", nrrd(_RAW, os.urandom(2048))),
        "nrrd without an end of header": ("scan.nrrd", nrrd(end=b"", data=b"")),
        "nrrd header of 100 MB": ("scan.nrrd", lambda: b"NRRD0004\n" + b"# x\n" * (25 * 10**6)),
        "nrrd of 16 axes": ("scan.nrrd", nrrd({b"dimension: 3": b"dimension: 16", b"8 8 8": b"8 " * 16})),
        "nrrd size of digits": ("scan.nrrd", nrrd({b"8 8 8": b"8 8 " + b"9" * 5000})),
        "nrrd NaN directions": ("scan.nrrd", nrrd({b"(0,0,1)": b"(0,0,nan)"})),
        "nrrd flat directions": ("scan.nrrd", nrrd({b"(0,0,1)": b"(0,1,0)"})),
        "nrrd of blocks": ("scan.nrrd", nrrd({b"float": b"block"})),
        "nrrd hexadecimal": ("scan.nrrd", nrrd({b"encoding: raw": b"encoding: hex"})),
        "nrrd sizes twice": ("scan.nrrd", nrrd({b"endian": b"sizes: 2 2 2\nendian"})),
        "nrrd skips bytes": ("scan.nrrd", nrrd({b"endian": b"byte skip: 1000000000\nendian"})),
        "nrrd skips lines": ("scan.nrrd", nrrd({b"endian": b"line skip: 1000000000\nendian"})),
        "nrrd NaN voxels": ("scan.nrrd", nrrd(data=np.full(512, np.nan, "<f4").tobytes())),
        "nrrd empty": ("scan.nrrd", lambda: b""),
        "mha claims 60000³": ("scan.mha", meta({b"8 8 8": b"60000 60000 60000"})),
        "mha bomb": (
            "scan.mha",
            meta(
                {b"8 8 8": b"1000 1000 1000", b"BinaryData =": b"CompressedData = True\nBinaryData ="},
                lambda: zeros_deflated(2**30),
            ),
        ),
        "mha bomb behind few voxels": (
            "scan.mha",
            meta({b"BinaryData =": b"CompressedData = True\nBinaryData ="}, lambda: zeros_deflated(2**30)),
        ),
        "mha cut": ("scan.mha", meta(data=VOXELS[:-9])),
        "mha packed, cut": (
            "scan.mha",
            meta({b"BinaryData =": b"CompressedData = True\nBinaryData ="}, zlib.compress(os.urandom(2048))[:-500]),
        ),
        "mha NaN spacing": ("scan.mha", meta({b"BinaryData =": b"ElementSpacing = nan 1 1\nBinaryData ="})),
        "mha zero spacing": ("scan.mha", meta({b"BinaryData =": b"ElementSpacing = 0 1 1\nBinaryData ="})),
        "mha begins far away": ("scan.mha", meta({b"BinaryData =": b"HeaderSize = 1000000000\nBinaryData ="})),
        "mha channels 10^9": (
            "scan.mha",
            meta({b"BinaryData =": b"ElementNumberOfChannels = 1000000000\nBinaryData ="}),
        ),
        "mha of 100 MB without data": ("scan.mha", lambda: b"Comment = x\n" * (8 * 10**6)),
        "mha empty": ("scan.mha", lambda: b""),
        "tiff of 100000 pages": ("scan.tif", lambda: chain(100_000)),
        "tiff pages claim 30000²": ("scan.tif", lambda: chain(10, 30000, 30000)),
        "tiff OME of 10^9 planes": ("scan.tif", lambda: stack(description=ome(_SIZES.replace("8", "1000000000")))),
        "tiff OME of entities": ("scan.tif", lambda: stack(description=ome(_SIZES.replace("8", "&c;"), _LAUGHS))),
        "tiff OME order of nonsense": (
            "scan.tif",
            lambda: stack(description=ome(_SIZES).replace("XYZCT", "ABCDE")),
        ),
        "tiff OME unit of nonsense": (
            "scan.tif",
            lambda: stack(description=ome(_SIZES + ' PhysicalSizeX="1" PhysicalSizeXUnit="lightyear"')),
        ),
        "tiff of several, cut": ("scan.tif", lambda: stack(64)[:3000]),
    }.items()
} | {
    "pair without data": ("scan.hdr", alone("scan.hdr", lambda: nifti()[:348])),
    "pair claims 32767³": (
        "scan.hdr",
        beside(
            lambda: nifti(o40=("4h", 3, 32767, 32767, 32767), o344=("4s", b"ni1\0"))[:348],
            "scan.hdr",
            lambda place: (place / "scan.img").write_bytes(VOXELS),
        ),
    ),
    "pair of a bomb": (
        "scan.hdr",
        beside(
            lambda: nifti(o344=("4s", b"ni1\0"))[:348],
            "scan.hdr",
            lambda place: (place / "scan.img.gz").write_bytes(zeros_gz(4 * GIGABYTE)),
        ),
    ),
    "pair cut": (
        "scan.img",
        beside(
            lambda: nifti(o344=("4s", b"ni1\0"))[:348],
            "scan.hdr",
            lambda place: (place / "scan.img").write_bytes(VOXELS[:-9]),
        ),
    ),
    "pair of a short header": (
        "scan.img",
        beside(lambda: b"x" * 20, "scan.hdr", lambda place: (place / "scan.img").write_bytes(VOXELS)),
    ),
    "nrrd data file missing": ("scan.nhdr", beside(nrrd(data=_DATA_FILE, end=b""), "scan.nhdr", nothing)),
    "nrrd data file a link out": ("scan.nhdr", beside(nrrd(data=_DATA_FILE, end=b""), "scan.nhdr", linked)),
    "mhd data file a link out": ("scan.mhd", beside(meta(data=b"", place=b"scan.raw"), "scan.mhd", linked)),
    "nrrd data files a list": (
        "scan.nhdr",
        beside(nrrd(data=b"data file: LIST\n/etc/passwd\n", end=b""), "scan.nhdr", nothing),
    ),
    "nrrd data files a pattern": (
        "scan.nhdr",
        beside(nrrd(data=b"data file: /etc/pass%cd 119 119 1\n", end=b""), "scan.nhdr", nothing),
    ),
    **{
        f"nrrd data file {how}": (
            "scan.nhdr",
            beside(nrrd(data=b"data file: " + path + b"\n", end=b""), "scan.nhdr", nothing),
        )
        for how, path in _AWAY.items()
    },
    **{
        f"mhd data file {how}": ("scan.mhd", beside(meta(data=b"", place=path), "scan.mhd", nothing))
        for how, path in _AWAY.items()
    },
    **{
        f"nrrd data file a {kind}": (
            "scan.nhdr",
            beside(nrrd(data=_DATA_FILE, end=b""), "scan.nhdr", trapped("scan.raw", trap)),
        )
        for kind, trap in _TRAPS.items()
    },
    **{
        f"mhd data file a {kind}": (
            "scan.mhd",
            beside(meta(data=b"", place=b"scan.raw"), "scan.mhd", trapped("scan.raw", trap)),
        )
        for kind, trap in _TRAPS.items()
    },
    **{
        f"pair's data a {kind}": (
            "scan.hdr",
            beside(lambda: nifti(o344=("4s", b"ni1\0"))[:348], "scan.hdr", trapped("scan.img", trap)),
        )
        for kind, trap in _TRAPS.items()
    },
}
