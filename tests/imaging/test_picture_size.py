"""Pictures that announce more than the limit are refused from their header, before memory is taken."""

import io
import os
import struct
import subprocess
import sys
import time
import zlib

import numpy as np
import pytest
from picture_files import png, tiff
from PIL import Image

from imaging import InputError, read

MOST_BYTES = 512 * 2**20
# Prints the message, if any, and what the process held at most; ru_maxrss would start from what its parent held.
CODE = """
import os, sys
import imaging
try:
    imaging.read(sys.argv[1])
except imaging.InputError as error:
    print(error)
status = open("/proc/self/status").read() if os.path.exists("/proc/self/status") else ""
print(int(status.partition("VmHWM:")[2].split()[0]) * 1024 if "VmHWM:" in status else 0)
"""


def deflated_zeros(count):
    """A deflate stream of zeros (RFC 1950), made of one block over and over."""
    packer = zlib.compressobj(9)
    head = packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)
    packer = zlib.compressobj(9, wbits=-15)
    rest = packer.compress(bytes(count % 2**20)) + packer.flush()
    check = ((count % 65521) << 16) | 1  # Adler-32 of zeros
    return head + block * (count // 2**20 - 1) + rest + struct.pack(">I", check)


def flat_png(side):
    """A PNG of black pixels, whole and valid."""
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", deflated_zeros(side * (side + 1))), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def claiming_jpeg(side):
    content = io.BytesIO()
    Image.new("L", (16, 16)).save(content, "jpeg", progressive=True)
    data = bytearray(content.getvalue())
    at = data.index(b"\xff\xc2") + 5
    data[at : at + 4] = struct.pack(">HH", side, side)
    return bytes(data)


def deflate_bomb():
    """A strip that becomes 1 GB where the tags announce 64 pixels."""
    return tiff(np.zeros((8, 8, 1), int), 8, {259: 8}, compress=lambda _: deflated_zeros(2**30))


SMALL = np.zeros((8, 8, 1), int)
HOSTILE = {
    "png.png": lambda: flat_png(30_000),
    "claim.png": lambda: png(SMALL, 8, 0, claim=(2**31 - 1, 2**31 - 1)),
    "claim_below.png": lambda: png(SMALL, 8, 0, claim=(20_000, 20_000)),
    "claim.jpg": lambda: claiming_jpeg(65_500),
    "claim.tif": lambda: tiff(SMALL, 8, {256: 2**31, 257: 2**31}),
    "tile.tif": lambda: tiff(SMALL, 8, {322: 60_000, 323: 60_000}),
    "deflate.tif": deflate_bomb,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_memory_that_a_hostile_file_takes(tmp_path, name):
    (tmp_path / name).write_bytes(HOSTILE[name]())
    ended = subprocess.run(
        [sys.executable, "-c", CODE, str(tmp_path / name)], capture_output=True, text=True, check=True, timeout=60
    )
    *problem, peak = ended.stdout.splitlines()
    assert int(peak) < MOST_BYTES
    assert ended.stderr == ""
    if name != "deflate.tif":  # which is read as what its tags announce
        assert len(problem) == 1
        assert problem[0].startswith(str(tmp_path / name))


def chained_tiff(pages):
    """A page after another, of one tag each."""
    entry = struct.Struct("<HHHIII")
    places = [8 + entry.size * (number + 1) for number in range(pages - 1)]
    return b"II*\0" + struct.pack("<I", 8) + b"".join(entry.pack(1, 256, 3, 1, 8, place) for place in [*places, 0])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.tif", lambda: chained_tiff(200_000)),
        ("a.png", lambda: png(SMALL, 8, 0, [(b"tEXt", b"")] * 200_000)),
        ("a.jpg", lambda: b"\xff\xd8" + b"\xff\xfe\0\2" * 2_000_000 + b"\xff\xd9"),
        ("b.jpg", lambda: b"\xff\xd8" + b"\xff" * 8_000_000 + b"\xff\xd9"),
    ],
)
def test_time_that_many_small_parts_take(tmp_path, name, content):
    (tmp_path / name).write_bytes(content())
    began = time.process_time()
    with pytest.raises(InputError, match=f"{name}: (holds more than 4096 pages|cannot be read as an image)"):
        read(tmp_path / name)
    assert time.process_time() - began < 2  # a tenth of it is usual; all pages of the TIFF file take twelve


def test_the_bombs_are_valid(tmp_path):
    assert zlib.decompress(deflated_zeros(3 * 2**20 + 5)) == bytes(3 * 2**20 + 5)
    (tmp_path / "a.png").write_bytes(flat_png(1500))
    np.testing.assert_array_equal(read(tmp_path / "a.png").voxels, np.zeros((1500, 1500, 1)))


def test_the_limit_can_be_raised(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    path.write_bytes(png(np.zeros((100, 200, 1), int), 8, 0))
    monkeypatch.setenv("MEDSEG_MAX_BYTES", "10KB")
    with pytest.raises(InputError, match=r"a\.png: 200 x 100 pixels would take .*, expected at most"):
        read(path)
    monkeypatch.setenv("MEDSEG_MAX_BYTES", "1MB")
    assert read(path).shape == (100, 200)


def test_a_named_pipe_is_refused(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(InputError, match="is a named pipe, expected a file"):
        read(tmp_path / "a.png")
