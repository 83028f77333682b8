"""One DICOM file as a pydicom dataset, whoever wrote it: limits first, one line for whatever is wrong with it."""

import contextlib
import io
import logging
import os
import warnings
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path

from medseg.byte_sizes import spell_size
from medseg.errors import InputError
from medseg.limits import check_bytes, max_bytes
from medseg.untrusted import check_regular, open_regular

# What these say of a file quotes its values, which are patients' data, and is not for the terminal of a command.
warnings.filterwarnings("ignore", module=r"(pydicom|highdicom)\b.*")
for _name in ("pydicom", "highdicom", "openjpeg", "libjpeg", "gdcm"):
    logging.getLogger(_name).setLevel(logging.CRITICAL + 1)

MAGIC = b"DICM"
PREAMBLE = 128
HEAD = PREAMBLE + 1024
_DEFLATED = b"1.2.840.10008.1.2.1.99"
_META = b"\x02\x00"  # the group that precedes the data set, never deflated
_LONG = (b"OB", b"OW", b"UN", b"UT", b"SQ")  # elements whose length takes four bytes
_CHUNK = 2**20
_ITEM = b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00"  # the tag that begins an item of a sequence, in either byte order
_ITEM_BYTES = 2048  # that pydicom takes for each, however short it is in the file
_MAX_RATIO = 100  # label maps shrink most, to about a fiftieth


@dataclass(frozen=True)
class DicomFile:
    """A file that may be DICOM: one of its own, or a member of a zip.

    Attributes:
        path: of the file, or of the zip.
        member: name in the zip; "" for a file of its own.
        archive: the zip, open: its directory is read once, not for each of its members.
    """

    path: Path
    member: str = ""
    archive: zipfile.ZipFile | None = field(default=None, compare=False, repr=False)

    def __reduce__(self):
        """What another process gets opens the zip again."""
        return DicomFile, (self.path, self.member)

    @property
    def name(self) -> str:
        """What a message calls it."""
        return f"{self.path} ({self.member})" if self.member else str(self.path)

    def content(self, limit: int | None = None) -> bytes:
        """Its bytes, the first ``limit`` of them or all.

        Raises:
            InputError: if it cannot be read, or is larger than ``medseg.limits`` allows.
        """
        try:
            with self._open() as (file, size):
                if limit is None:
                    check_bytes(self.name, size, "its content")
                return file.read(size if limit is None else limit)
        except FileNotFoundError:
            raise InputError(f"{self.name}: no such file; give a DICOM file, or a folder of them") from None
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
            raise InputError(f"{self.name}: cannot be unpacked ({error}); copy it again") from None
        except OSError as error:
            raise InputError(f"{self.name}: cannot be read ({error.strerror or error})") from None

    def size(self) -> int:
        """Its bytes, as the folder or the zip says.

        Raises:
            OSError: if it cannot be opened.
        """
        with self._open() as (_, size):
            return size

    @contextlib.contextmanager
    def _open(self):
        if not self.member:
            with open_regular(self.path) as file:
                yield file, os.fstat(file.fileno()).st_size
            return
        archive = self.archive
        if archive is None:
            check_regular(self.path)
            archive = zipfile.ZipFile(self.path)
        with archive.open(self.member) as member:
            yield member, archive.getinfo(self.member).file_size


def looks_like_dicom(head: bytes) -> bool:
    """Whether a file that begins so is DICOM: by its mark, or, of old files that have none, by their first element."""
    if head[PREAMBLE : PREAMBLE + len(MAGIC)] == MAGIC:
        return True
    # Group 0002 or 0008 in either byte order, an even element number, then a VR in capitals or a short length.
    if len(head) < 8 or head[:2] not in (b"\x02\x00", b"\x08\x00", b"\x00\x08") or head[3 if head[0] else 2]:
        return False
    return (head[4:6].isalpha() and head[4:6].isupper()) or head[6:8] == b"\0\0"


def open_dataset(file: DicomFile, pixels: bool = True):
    """A file as a pydicom dataset.

    Args:
        file: what to read.
        pixels: False leaves out the pixel data and what stands behind them.

    Raises:
        InputError: if it is no DICOM file, damaged, or too large (``medseg.limits``).
    """
    pydicom = load_pydicom()
    content = file.content()
    if not looks_like_dicom(content[:HEAD]):
        raise InputError(f"{file.name}: is no DICOM file; give the images as the scanner or archive sent them")
    try:
        _check_items(file, max(map(content.count, _ITEM)))
        _check_deflated(file, content)
        dataset = pydicom.dcmread(io.BytesIO(content), stop_before_pixels=not pixels, force=True)
        if "TransferSyntaxUID" not in dataset.file_meta:
            implicit, little = dataset.original_encoding
            dataset.file_meta.TransferSyntaxUID = (
                pydicom.uid.ExplicitVRBigEndian
                if not little
                else pydicom.uid.ImplicitVRLittleEndian
                if implicit
                else pydicom.uid.ExplicitVRLittleEndian
            )
        # De-identification tools have been seen to empty these two, and leave what the file's own header says.
        for keyword in ("SOPClassUID", "SOPInstanceUID"):
            if not dataset.get(keyword):
                setattr(dataset, keyword, dataset.file_meta.get(f"MediaStorage{keyword}", ""))
    except InputError:
        raise
    except Exception as error:  # what damaged files make pydicom raise is of many types
        raise damaged(file.name, error) from None
    return dataset


def load_pydicom():
    """pydicom, which the extra ``[dicom]`` brings.

    Raises:
        InputError: if it is not installed.
    """
    try:
        import pydicom
    except ImportError:
        raise InputError('DICOM needs pydicom, which is not installed: pip install "medseg-zoo[dicom]"') from None
    return pydicom


@contextlib.contextmanager
def decoding(name):
    """Values of a data set are decoded when they are asked for, so it is then that damage shows: in one line.

    Args:
        name: of the file, for the message.

    Raises:
        InputError: for whatever pydicom raises.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # of any type: NotImplementedError for a value representation that there is not
        raise damaged(name, error) from None


def damaged(name, error) -> InputError:
    """The error of a file that cannot be read; pydicom's own words, which may quote the file, are left out."""
    if isinstance(error, MemoryError):
        return InputError(f"{name}: is too large for this machine's memory")
    return InputError(f"{name}: cannot be read as DICOM, it is truncated or damaged ({type(error).__name__})")


def _check_items(file, count):
    """Refuse sequences of so many items that the data set would not fit into the memory; an empty one has 8 bytes."""
    check_bytes(file.name, count * _ITEM_BYTES, f"{count} items of its sequences")


def _check_deflated(file, content):
    """Refuse a deflated data set that unpacks to more than the limit, or far more than images shrink by.

    The ratio tells a bomb in an eighth of the time; what is below an eighth of the limit may be as regular as it likes.
    """
    if _DEFLATED not in content[:HEAD]:
        return
    start = PREAMBLE + len(MAGIC)
    while content[start : start + 2] == _META:
        long = content[start + 4 : start + 6] in _LONG
        at = start + (8 if long else 6)
        start = at + (4 if long else 2) + int.from_bytes(content[at : at + (4 if long else 2)], "little")
    unpacker, packed, size, items = zlib.decompressobj(-zlib.MAX_WBITS), content[start:], 0, 0
    regular = max(max_bytes() // 8, _MAX_RATIO * len(packed))
    while packed and not unpacker.eof:
        piece = unpacker.decompress(packed, _CHUNK)
        size, items = size + len(piece), items + piece.count(_ITEM[0])
        _check_items(file, items)
        check_bytes(file.name, size, "its data set")
        if size > regular:
            raise InputError(
                f"{file.name}: its data set unpacks to more than {spell_size(regular)}, expected at most {_MAX_RATIO} "
                f"times the {spell_size(len(content))} of the file; if the file can be trusted, store it uncompressed: "
                "dcmconv +te FILE OUT"
            )
        packed = unpacker.unconsumed_tail
