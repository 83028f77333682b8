"""TIFF files of every make, against tifffile and Pillow."""

import io
import logging
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from picture_files import tiff
from PIL import Image

from imaging import InputError, read, read_labels
from imaging.io.image import open_picture

RNG = np.random.default_rng(0)
UNSHAKEN = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)


def stored(path, content):
    path.write_bytes(content)
    return open_picture(path).samples


@UNSHAKEN
@given(
    bits=st.integers(1, 32),
    signed=st.booleans(),
    order=st.sampled_from("<>"),
    planar=st.booleans(),
    channels=st.sampled_from((1, 2, 3)),
    rows_per_strip=st.sampled_from((None, 1, 4)),
    packing=st.sampled_from(((1, bytes), (8, zlib.compress))),
    reversed_bits=st.booleans(),
    columns=st.integers(1, 19),
)
def test_samples_of_any_size(
    tmp_path, bits, signed, order, planar, channels, rows_per_strip, packing, reversed_bits, columns
):
    signed = signed and bits > 1
    low = -(2 ** (bits - 1)) if signed else 0
    samples = RNG.integers(low, low + 2**bits, (7, columns, channels))
    compression, compress = packing
    tags = {259: compression, 339: [2 if signed else 1] * channels}
    content = tiff(samples, bits, tags, order, planar, rows_per_strip, compress, reversed_bits)
    np.testing.assert_array_equal(stored(tmp_path / "a.tif", content), samples)


@UNSHAKEN
@given(
    kind=st.sampled_from(("u1", "u2", "u4", "i1", "i2", "i4", "f2", "f4", "f8", "?")),
    shape=st.sampled_from(((33, 50), (33, 50, 3), (70, 33, 3))),
    compression=st.sampled_from((None, "lzw", "deflate", "packbits", "lzma", "zstd")),
    predictor=st.booleans(),
    planar=st.booleans(),
    tile=st.sampled_from((None, (16, 32))),
    big=st.booleans(),
    order=st.sampled_from("<>"),
    rows_per_strip=st.sampled_from((5, 64)),
)
def test_what_tifffile_writes(tmp_path, kind, shape, compression, predictor, planar, tile, big, order, rows_per_strip):
    kind = np.dtype(kind)
    pixels = (RNG.random(shape) * 200 - 100 * (kind.kind != "u")).astype(kind)
    planar = planar and len(shape) == 3
    if kind.kind == "b" and len(shape) == 3:
        pixels, planar = pixels[..., 0], False
    options = {"rowsperstrip": rows_per_strip} if tile is None else {"tile": tile}
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path,
        np.moveaxis(pixels, -1, 0) if planar else pixels,
        photometric="rgb" if pixels.ndim == 3 else "minisblack",
        planarconfig="separate" if planar else None,
        compression=compression,
        predictor=predictor and compression not in (None, "packbits") and kind.kind != "b",
        bigtiff=big,
        byteorder=order,
        **options,
    )
    expected = tifffile.imread(path)
    expected = np.moveaxis(expected, 0, -1) if planar else expected
    np.testing.assert_array_equal(open_picture(path).samples, expected.reshape(*pixels.shape[:2], -1))
    if kind.kind != "b":
        np.testing.assert_array_equal(read(path).voxels, expected.reshape(*pixels.shape[:2], -1).astype(np.float32))


@pytest.mark.parametrize("compression", ["group3", "group4", "tiff_ccitt"])
@pytest.mark.parametrize("fill", [1, 2])
def test_fax_compressions(tmp_path, compression, fill):
    mask = RNG.random((37, 53)) < 0.3
    path = tmp_path / "a.tif"
    Image.fromarray(mask).save(path, "tiff", compression=compression, tiffinfo={266: fill})
    np.testing.assert_array_equal(read_labels(path).voxels[..., 0], tifffile.imread(path))
    np.testing.assert_array_equal(read(path).voxels[..., 0], np.asarray(Image.open(path).convert("L")))


@pytest.mark.parametrize("photometric", ["rgb", "ycbcr"])
@pytest.mark.parametrize("tile", [None, (48, 64)])
def test_jpeg_inside(tmp_path, photometric, tile):
    smooth = np.asarray(Image.fromarray(RNG.integers(0, 256, (8, 10, 3)).astype(np.uint8)).resize((150, 120)))
    path = tmp_path / "a.tif"
    options = {"rowsperstrip": 32} if tile is None else {"tile": tile}
    tifffile.imwrite(path, smooth, photometric=photometric, compression="jpeg", **options)
    difference = np.abs(read(path).voxels - tifffile.imread(path).astype(np.float32))
    assert difference.max() <= 3  # decoders differ by rounding, colours taken for others by far more
    with pytest.raises(InputError, match="is compressed by JPEG, which alters label values"):
        read_labels(path)


def test_jpeg_inside_that_is_larger_than_the_tags_announce(tmp_path):
    inner = io.BytesIO()
    Image.new("L", (64, 4000)).save(inner, "jpeg")
    content = tiff(np.zeros((8, 64, 1), int), 8, {259: 7}, compress=lambda _: inner.getvalue())
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(InputError, match="truncated or damaged"):
        read(tmp_path / "a.tif")


@pytest.mark.parametrize("bits", [1, 4, 8, 12, 16, 32])
def test_white_is_zero(tmp_path, bits):
    samples = RNG.integers(0, 2**bits, (9, 11, 1))
    for name, tag in (("white", 0), ("black", 1)):
        (tmp_path / f"{name}.tif").write_bytes(tiff(samples, bits, {262: tag}))
        np.testing.assert_array_equal(open_picture(tmp_path / f"{name}.tif").samples, samples)
    scale = 255 / (2**bits - 1) if bits < 8 else 1
    black = np.rint(samples * scale).astype(np.float32)
    white = np.rint((2**bits - 1 - samples) * scale).astype(np.float32)
    np.testing.assert_array_equal(read(tmp_path / "black.tif").voxels, black)
    np.testing.assert_array_equal(read(tmp_path / "white.tif").voxels, white)


def test_white_is_zero_as_pillow_shows_it(tmp_path):
    path = tmp_path / "a.tif"
    path.write_bytes(tiff(RNG.integers(0, 256, (9, 11, 1)), 8, {262: 0}))
    np.testing.assert_array_equal(read(path).voxels[..., 0], np.asarray(Image.open(path)))


@pytest.mark.parametrize("kind", [np.int16, np.float32])
def test_white_is_zero_needs_a_white(tmp_path, kind):
    tifffile.imwrite(tmp_path / "a.tif", np.ones((4, 5), kind), photometric="miniswhite")
    with pytest.raises(InputError, match="its tags call 0 white, which has no meaning"):
        read(tmp_path / "a.tif")


def test_label_values_are_those_stored(tmp_path):
    for number, kind in enumerate((np.uint8, np.uint16)):
        mask = (RNG.random((12, 13)) < 0.4).astype(kind) * 255
        path = tmp_path / f"{number}.tif"
        tifffile.imwrite(path, mask, photometric="miniswhite")
        np.testing.assert_array_equal(read_labels(path).voxels[..., 0], mask)


@pytest.mark.parametrize("bits", [4, 8])
def test_palette(tmp_path, bits):
    index = RNG.integers(0, 5, (9, 12, 1))
    colours = RNG.integers(0, 256, (3, 2**bits))
    path = tmp_path / "a.tif"
    path.write_bytes(tiff(index, bits, {262: 3, 320: (colours * 257).ravel().tolist()}))
    np.testing.assert_array_equal(read_labels(path).voxels, index)
    np.testing.assert_array_equal(read(path).voxels, colours.T[index[..., 0]])
    np.testing.assert_array_equal(read(path).voxels, np.asarray(Image.open(path).convert("RGB")))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_that_of_pillow(tmp_path, orientation):
    pixels = RNG.integers(0, 256, (6, 9)).astype(np.uint8)
    path = tmp_path / "a.tif"
    path.write_bytes(tiff(pixels[..., None].astype(int), 8, {274: orientation}))
    shown = np.asarray(Image.open(io.BytesIO(path.read_bytes())))  # from a path, Pillow maps the file and misreads it
    np.testing.assert_array_equal(read(path).voxels[..., 0], shown)
    np.testing.assert_array_equal(read_labels(path).voxels[..., 0], shown)


@pytest.mark.parametrize(("extra", "channels"), [(None, 4), (1, 4), (2, 4), (0, 4), (2, 2)])
def test_alpha(tmp_path, extra, channels):
    samples = RNG.integers(0, 256, (6, 7, channels))
    samples[..., -1] = 255
    tags = {262: 2 if channels == 4 else 1} | ({} if extra is None else {338: extra})
    path = tmp_path / "a.tif"
    path.write_bytes(tiff(samples, 8, tags))
    np.testing.assert_array_equal(read(path).voxels, samples[..., :-1])
    samples[2, 3, -1] = 254
    path.write_bytes(tiff(samples, 8, tags))
    with pytest.raises(InputError, match="is partly transparent"):
        read(path)


def test_samples_beside_grey_are_channels(tmp_path):
    samples = RNG.integers(0, 4096, (6, 7, 5))
    (tmp_path / "a.tif").write_bytes(tiff(samples, 16, {338: [0] * 4}))
    np.testing.assert_array_equal(read(tmp_path / "a.tif").voxels, samples)


@pytest.mark.parametrize("name", ["jpeg2000", "webp", "jpegxl", "lerc"])
def test_compressions_that_are_not_read_are_named(tmp_path, name):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((32, 32, 3), np.uint8), photometric="rgb", compression=name)
    with pytest.raises(InputError, match=r"a\.tif: compression \w+ cannot be read; save the file with LZW") as error:
        read(tmp_path / "a.tif")
    assert name.upper()[:5] in str(error.value).replace("JPEG_2000", "JPEG2000")


def test_zstandard_without_its_library_is_named(tmp_path, monkeypatch):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((32, 32), np.uint8), compression="zstd")
    monkeypatch.setattr("imaging.io.tiff_segments.zstd_library", lambda: None)
    with pytest.raises(InputError, match=r'compression ZSTD .* pip install "medseg-zoo\[imaging\]"'):
        read(tmp_path / "a.tif")


@pytest.mark.parametrize(
    ("tags", "bits", "match"),
    [
        ({262: 5}, 8, "colours SEPARATED cannot be read"),
        ({262: 8}, 8, "colours CIELAB cannot be read"),
        ({262: 6}, 8, "colours YCBCR cannot be read"),
        ({339: [6] * 3}, 32, "format COMPLEXIEEEFP cannot be read"),
        ({317: 2}, 12, "predictor 2 of 12 bits cannot be read"),
        ({259: 6}, 8, "compression OJPEG cannot be read"),
        ({259: 12345}, 8, "compression 12345 cannot be read"),
        ({32997: 4}, 8, "is a volume"),
    ],
)
def test_kinds_that_are_not_read_are_named(tmp_path, tags, bits, match):
    (tmp_path / "a.tif").write_bytes(tiff(np.zeros((8, 8, 3), int), bits, tags))
    with pytest.raises(InputError, match=match):
        read(tmp_path / "a.tif")


def test_a_device_needs_no_imagecodecs(tmp_path):
    pixels = RNG.integers(0, 65536, (3, 40, 33)).astype(np.uint16)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, pixels, photometric="rgb", planarconfig="separate", compression="lzw", predictor=True)
    code = (
        "import sys; sys.modules['imagecodecs'] = None; import imaging; print(imaging.read(sys.argv[1]).voxels.sum())"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert ended.stderr == ""
    assert float(ended.stdout) == pytest.approx(pixels.sum(dtype=float), rel=1e-6)


def test_pages(tmp_path):
    pixels = RNG.integers(0, 256, (40, 30)).astype(np.uint8)
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as file:
        file.write(pixels)
        file.write(pixels[::2, ::2], subfiletype=1)  # a thumbnail
    np.testing.assert_array_equal(read(path).voxels[..., 0], pixels)
    tifffile.imwrite(path, np.stack([pixels] * 3), photometric="minisblack")
    assert read(path).shape == (30, 40, 3)
    tifffile.imwrite(path, np.stack([pixels] * 5), imagej=True)
    assert (read(path).shape, read(path).channels) == ((40, 30), 5)  # as ImageJ shows it


def test_remarks_of_tifffile_are_neither_printed_nor_dearer_with_every_file(tmp_path, capfd):
    path = tmp_path / "a.tif"
    path.write_bytes(tiff(RNG.integers(0, 256, (9, 11, 1)), 8, {700: 3, 34377: 1}))  # tags of XMP and Photoshop
    read(path)
    before = len(logging.getLogger("tifffile").handlers)
    for _ in range(5):
        read(path)
    assert len(logging.getLogger("tifffile").handlers) == before
    assert capfd.readouterr() == ("", "")


def test_segments_beyond_the_end(tmp_path):
    content = tiff(RNG.integers(0, 256, (40, 30, 1)), 8, rows_per_strip=10)
    for place in range(0, len(content), 37):
        (tmp_path / "a.tif").write_bytes(content[:place])
        with pytest.raises(InputError, match="cannot be read as an image"):
            read(tmp_path / "a.tif")


@pytest.mark.parametrize("place", [2**63, 2**64 - 8, 2**62])
@pytest.mark.parametrize("order", ["<", ">"])
def test_pages_beyond_what_a_machine_can_count(tmp_path, order, place):
    """BigTIFF's places have 64 bits."""
    mark = b"II+\0" if order == "<" else b"MM\0+"
    head = mark + struct.pack(f"{order}HHQ", 8, 0, 16)
    following = struct.pack(f"{order}QQ", 0, place)
    for content in (mark + struct.pack(f"{order}HHQ", 8, 0, place), head + following):
        (tmp_path / "a.tif").write_bytes(content)
        with pytest.raises(InputError, match=r"damaged|holds no pixel"):
            read(tmp_path / "a.tif")
