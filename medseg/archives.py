"""Compressed files of strangers, unpacked up to a limit: a bomb is told by its ratio, before it takes memory."""

import gzip
import io
import os
import zipfile
import zlib

from medseg.byte_sizes import spell_size
from medseg.errors import InputError
from medseg.limits import check_bytes, max_bytes
from medseg.untrusted import check_regular, read_limited

# Trained weights shrink to between a half and a tenth; what is small may be as regular as it likes.
MAX_RATIO = 20
SMALL_BYTES = 64 * 2**20
_CHUNK = 2**20


def read_gzip(path) -> bytes:
    """The content of a ``.gz`` file, its checksum verified.

    Args:
        path: of the file.

    Raises:
        InputError: if it is damaged, more than 20 times as large unpacked (and above 64 MB) or larger than the limit.
        OSError: as ``open`` does.
    """
    check_regular(path)
    check_bytes(path, os.stat(path).st_size, "its contents")
    return unpack_gzip(path, read_limited(path, max_bytes(), "a compressed file"))


def unpack_gzip(path, packed: bytes) -> bytes:
    """The same of what was read of the file already.

    Args:
        path: of the file, for messages.
        packed: its bytes.
    """
    # The size is counted first, so that refusing a bomb takes no memory.
    _unpack(path, packed, keep=False)
    return _unpack(path, packed, keep=True)


def check_zip(archive: zipfile.ZipFile, name) -> None:
    """Require the members of a zip file to stay within the limits, by the sizes that it announces.

    ``zipfile`` itself reads no more of a member than it announces.

    Args:
        archive: the open file.
        name: its name, for the message.

    Raises:
        InputError: if a member, or all together, would be too large unpacked, two of them share their bytes, or one is
            packed by another method than deflate.
    """
    members = archive.infolist()
    packed, unpacked = sum(m.compress_size for m in members), sum(m.file_size for m in members)
    check_bytes(name, unpacked, "its contents")
    if packed > os.fstat(archive.fp.fileno()).st_size:
        raise InputError(f"{name}: its members overlap, or it is cut short; get the file again")
    for member in members:
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            # Damaged data of the other two make Python raise errors of their own, and nobody writes them.
            raise InputError(
                f"{name}: a member is packed by method {member.compress_type}, expected 0 (stored) or 8 (deflated); "
                "pack it again"
            )
        if member.header_offset < 0:  # of a directory that is not where the file says
            raise InputError(f"{name}: a member lies before its beginning; it is damaged, get the file again")
        if member.file_size > max(SMALL_BYTES, MAX_RATIO * member.compress_size):
            raise _bomb(name, member.compress_size, member.file_size)


def _allowed(packed: int) -> int:
    return min(max_bytes(), max(SMALL_BYTES, MAX_RATIO * packed))


def _unpack(path, packed, keep) -> bytes:
    parts, size, limit = [], 0, _allowed(len(packed))
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(packed)) as file:
            while chunk := file.read(_CHUNK):
                size += len(chunk)
                if size > limit:
                    check_bytes(path, size, "its contents")
                    raise _bomb(path, len(packed), size)
                if keep:
                    parts.append(chunk)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(f"{path}: cannot be unpacked, it is truncated or damaged ({error}); copy it again") from None
    return b"".join(parts)


def _bomb(name, packed, unpacked):
    return InputError(
        f"{name}: {spell_size(packed)} unpack to {spell_size(unpacked)} or more, expected at most {MAX_RATIO} times as "
        f"much; if the file can be trusted, unpack it yourself and give that"
    )
