"""What the text headers of NRRD and MetaImage files announce: sizes, types and data files, before anything is read.

NRRD: teem.sourceforge.net/nrrd/format.html. MetaImage: itk.org/Wiki/ITK/MetaIO/Documentation.
"""

import math
import os
import re
from dataclasses import dataclass
from pathlib import Path

from medseg.errors import InputError
from medseg.untrusted import inside, open_regular, shown

MAX_HEADER = 1 << 20
# A deflated byte becomes 1032 at most (zlib's own figure).
DEFLATE_RATIO = 1032
MAX_AXES = 5

GZIP = b"\x1f\x8b"
_NRRD_BYTES = {
    **dict.fromkeys(("signed char", "int8", "int8_t", "uchar", "unsigned char", "uint8", "uint8_t"), 1),
    **dict.fromkeys(("short", "short int", "signed short", "signed short int", "int16", "int16_t"), 2),
    **dict.fromkeys(("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"), 2),
    **dict.fromkeys(("int", "signed int", "int32", "int32_t", "uint", "unsigned int", "uint32", "uint32_t"), 4),
    **dict.fromkeys(("longlong", "long long", "long long int", "signed long long", "signed long long int"), 8),
    **dict.fromkeys(("int64", "int64_t", "ulonglong", "unsigned long long", "unsigned long long int"), 8),
    **dict.fromkeys(("uint64", "uint64_t", "double"), 8),
    "float": 4,
}
_META_BYTES = {"CHAR": 1, "UCHAR": 1, "SHORT": 2, "USHORT": 2, "INT": 4, "UINT": 4, "LONG": 8, "ULONG": 8}
_META_BYTES |= {"LONG_LONG": 8, "ULONG_LONG": 8, "FLOAT": 4, "DOUBLE": 8}


@dataclass(frozen=True)
class ItkHeader:
    """What a file announces.

    Attributes:
        values: numbers stored, channels included.
        itemsize: bytes of each.
        data: the file that holds them, which may be the header's own.
        start: bytes before them.
        begins: the bytes that they begin with, where the header says so.
    """

    values: int
    itemsize: int
    data: Path
    start: int = 0
    begins: bytes = b""


def read_header(path, suffix: str) -> ItkHeader:
    """Parse and check the header of a NRRD or MetaImage file.

    Args:
        path: the file.
        suffix: ".nrrd", ".nhdr", ".mha" or ".mhd".

    Raises:
        InputError: if it is missing, no such header, announces what is not read, names data outside its folder or more
            than its data file can hold.
    """
    try:
        with open_regular(path) as file:
            content = file.read(MAX_HEADER)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; give the path of a scan") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    header, packed = (_nrrd if suffix in (".nrrd", ".nhdr") else _meta)(Path(path), content)
    _check_size(path, header, packed)
    return header


def _nrrd(path, content):
    if not content.startswith(b"NRRD0"):
        raise InputError(f"{path}: is no NRRD file (it does not begin with NRRD0); copy or convert it again")
    fields = {}
    end = re.search(rb"\r?\n\r?\n", content)
    text, start = (content[: end.start()], end.end()) if end else (content, len(content))
    for line in _lines(text)[1:]:
        name, separator, value = line.partition(":")
        if line.startswith("#") or not separator or value.startswith("="):
            continue
        name = {"datafile": "data file"}.get(name.strip().lower(), name.strip().lower())
        _add(path, fields, name, value.strip())
    itemsize = _NRRD_BYTES.get(fields.get("type", "").lower())
    if itemsize is None:
        raise InputError(f"{path}: type {shown(fields.get('type'))}; expected integers or real numbers")
    encoding = fields.get("encoding", "").lower()
    if encoding not in ("raw", "gzip", "gz"):
        raise InputError(f"{path}: encoding {shown(encoding)} is not read; save it as raw or gzip")
    sizes = _sizes(path, fields, "sizes", "dimension")
    values = math.prod(sizes)
    # ITK takes what is no gzip data for voxels as they are.
    begins = GZIP if encoding != "raw" and fields.get("line skip", "0") == "0" else b""
    if _named(path, fields, "data file"):
        data = inside(path.parent, fields["data file"], str(path))
        return ItkHeader(values, itemsize, data, begins=begins), encoding != "raw"
    return ItkHeader(values, itemsize, path, start, begins), encoding != "raw"


def _meta(path, content):
    fields = {}
    for line in _lines(content):
        name, separator, value = line.partition("=")
        if not separator:
            break
        _add(path, fields, name.strip().lower(), value.strip())
        if "elementdatafile" in fields:  # the last one; voxels may follow
            break
    kind = fields.get("elementtype", "").upper().removeprefix("MET_").removesuffix("_ARRAY")
    if "elementdatafile" not in fields or kind not in _META_BYTES:
        raise InputError(
            f"{path}: is no MetaImage file of integers or real numbers (ElementType "
            f"{shown(fields.get('elementtype'))}); copy or convert it again"
        )
    sizes = _sizes(path, fields, "dimsize", "ndims")
    components = _number(path, "elementnumberofchannels", fields.get("elementnumberofchannels", "1"))
    packed = fields.get("compresseddata", "false").lower() in ("true", "1", "t", "yes")
    values, itemsize = math.prod(sizes) * components, _META_BYTES[kind]
    if fields["elementdatafile"].upper() == "LOCAL":
        return ItkHeader(values, itemsize, path, re.search(rb"(?i)LOCAL", content).start() + len(b"LOCAL\n")), packed
    _named(path, fields, "elementdatafile")
    return ItkHeader(values, itemsize, inside(path.parent, fields["elementdatafile"], str(path))), packed


def _lines(content):
    return content.decode("latin-1").splitlines()


def _add(path, fields, name, value):
    if name in fields:
        raise InputError(f"{path}: its header says {shown(name)} twice; convert it again")
    fields[name] = value


def _sizes(path, fields, name, axes):
    count = _number(path, axes, fields.get(axes, ""))
    sizes = tuple(_number(path, name, word) for word in fields.get(name, "").split())
    if not 2 <= count <= MAX_AXES or len(sizes) != count:
        raise InputError(
            f"{path}: its header gives {count} axes and sizes {shown(fields.get(name))}; expected 2 or 3 axes, and "
            "channels"
        )
    return sizes


def _number(path, name, text):
    if not (text.isascii() and text.isdecimal()) or not 1 <= len(text) <= 10 or int(text) < 1:
        raise InputError(f"{path}: its header is damaged, {name} {shown(text)}; expected whole numbers of at least 1")
    return int(text)


def _named(path, fields, name):
    """Whether the header names a data file; several of them are refused."""
    given = fields.get(name)
    if given is not None and (given.split()[:1] == ["LIST"] or "%" in given):
        raise InputError(f"{path}: keeps its voxels in several files; convert it to one file, .nrrd or .mha")
    return given is not None


def _check_size(path, header, packed):
    needed = header.values * header.itemsize
    try:
        with open_regular(header.data) as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(header.start)
            begins = file.read(len(header.begins))
    except FileNotFoundError:
        raise InputError(f"{path}: its data file {header.data.name} is missing; copy it beside the header") from None
    except OSError as error:
        raise InputError(f"{header.data}: cannot be read ({error.strerror})") from None
    size = max(0, size - header.start)
    if needed > (size * DEFLATE_RATIO if packed else size):
        raise InputError(
            f"{path}: is truncated or damaged, its header announces {needed} bytes of voxels, {header.data.name} has "
            f"{size} for them; copy it again"
        )
    if begins != header.begins:
        raise InputError(f"{path}: is damaged, its voxels in {header.data.name} are no gzip data; copy it again")
