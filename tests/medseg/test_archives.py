"""Compressed files of strangers: what is honest is read as gzip and zipfile read it, bombs take no memory."""

import gzip
import io
import os
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest

from medseg import archives
from medseg.errors import InputError


def write_bomb(path, megabytes):
    with gzip.open(path, "wb", compresslevel=1) as file:
        for _ in range(megabytes):
            file.write(bytes(2**20))


def test_gzip_as_gzip_reads_it(tmp_path):
    content = np.random.default_rng(0).bytes(3 * 2**20)
    for name, packed in (("one", gzip.compress(content)), ("two", gzip.compress(content) + gzip.compress(b"more"))):
        (tmp_path / name).write_bytes(packed)
        assert archives.read_gzip(tmp_path / name) == gzip.decompress(packed)


def test_what_is_small_may_be_as_regular_as_it_likes(tmp_path):
    (tmp_path / "zeros").write_bytes(gzip.compress(bytes(2**20)))
    assert archives.read_gzip(tmp_path / "zeros") == bytes(2**20)


def test_a_gzip_bomb_takes_no_memory(tmp_path):
    write_bomb(tmp_path / "bomb.gz", 200)
    tracemalloc.start()
    with pytest.raises(InputError, match=r"bomb\.gz: .* KB unpack to 65.00 MB or more, expected at most 20 times"):
        archives.read_gzip(tmp_path / "bomb.gz")
    assert tracemalloc.get_traced_memory()[1] < 16 * 2**20
    tracemalloc.stop()


def test_a_limit_below_the_ratio(tmp_path, monkeypatch):
    (tmp_path / "file.gz").write_bytes(gzip.compress(os.urandom(2**20)))
    monkeypatch.setenv("MEDSEG_MAX_BYTES", "512KB")
    with pytest.raises(InputError, match="MEDSEG_MAX_BYTES="):
        archives.read_gzip(tmp_path / "file.gz")


def flip_checksum(packed):
    return packed[:-6] + bytes([packed[-6] ^ 1]) + packed[-5:]


@pytest.mark.parametrize("damage", [lambda packed: packed[:-5], lambda packed: packed[:40], flip_checksum])
def test_damaged_gzip(tmp_path, damage):
    (tmp_path / "file.gz").write_bytes(damage(gzip.compress(os.urandom(1000))))
    with pytest.raises(InputError, match="truncated or damaged"):
        archives.read_gzip(tmp_path / "file.gz")


def zip_of(path, **members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_zips_within_and_beyond_the_limits(tmp_path, monkeypatch):
    with zipfile.ZipFile(zip_of(tmp_path / "good.zip", a=bytes(2**20), b=os.urandom(2**20))) as archive:
        archives.check_zip(archive, "good.zip")
    with zipfile.ZipFile(zip_of(tmp_path / "bomb.zip", a=bytes(65 * 2**20))) as archive:
        with pytest.raises(InputError, match=r"bomb\.zip: .* unpack to 65\.00 MB"):
            archives.check_zip(archive, "bomb.zip")
        monkeypatch.setenv("MEDSEG_MAX_BYTES", "1MB")
        with pytest.raises(InputError, match=r"its contents would take 65\.00 MB"):
            archives.check_zip(archive, "bomb.zip")


def test_members_that_share_their_bytes(tmp_path):
    """The zip bomb without nesting (Fifield, WOOT 2019): many entries of the directory for one piece of the file."""
    data = zip_of(tmp_path / "one.zip", a=os.urandom(100_000)).read_bytes()
    end = data.rindex(b"PK\5\6")
    start = struct.unpack("<I", data[end + 16 : end + 20])[0]
    entry = data[start:end]
    tail = b"PK\5\6" + struct.pack("<4H2IH", 0, 0, 40, 40, 40 * len(entry), start, 0)
    with zipfile.ZipFile(io.BytesIO(data[:start] + 40 * entry + tail)) as archive:
        (tmp_path / "many.zip").write_bytes(data[:start] + 40 * entry + tail)
        assert len(archive.infolist()) == 40
    with zipfile.ZipFile(tmp_path / "many.zip") as archive, pytest.raises(InputError, match="overlap"):
        archives.check_zip(archive, "many.zip")


def test_a_member_before_the_beginning(tmp_path):
    """The directory says that it begins later than it does, and so all that it names earlier."""
    content = bytearray(zip_of(tmp_path / "a.zip", a=b"content").read_bytes())
    end = content.rindex(b"PK\x05\x06")
    (start,) = struct.unpack_from("<I", content, end + 16)
    struct.pack_into("<I", content, end + 16, start + 50)
    (tmp_path / "a.zip").write_bytes(content)
    with zipfile.ZipFile(tmp_path / "a.zip") as archive, pytest.raises(InputError, match="before its beginning"):
        archives.check_zip(archive, "a.zip")
