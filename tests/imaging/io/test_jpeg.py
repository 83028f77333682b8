"""JPEG files of every kind, against Pillow."""

import contextlib
import io

import imagecodecs
import numpy as np
import pytest
from PIL import Image, ImageOps

from imaging import InputError, read, read_labels

RNG = np.random.default_rng(0)
COLOUR = np.asarray(Image.fromarray(RNG.integers(0, 256, (6, 8, 3)).astype(np.uint8)).resize((80, 60)))


def jpeg(image=None, **options):
    content = io.BytesIO()
    (image or Image.fromarray(COLOUR)).save(content, "jpeg", **options)
    return content.getvalue()


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"subsampling": 0}, {"quality": 30}, {"keep_rgb": True}, {"optimize": True}]
)
def test_pixels(tmp_path, mode, options):
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg(Image.fromarray(COLOUR).convert(mode), **options))
    np.testing.assert_array_equal(read(path).voxels, np.asarray(Image.open(path)).reshape(60, 80, -1))


@pytest.mark.parametrize("orientation", [0, *range(1, 10)])
def test_orientation(tmp_path, orientation):
    exif = Image.Exif()
    exif[274] = orientation
    exif[271] = "a maker"
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg(exif=exif))
    np.testing.assert_array_equal(read(path).voxels, np.asarray(ImageOps.exif_transpose(Image.open(path))))


def test_a_damaged_camera_block_does_not_matter(tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    content = jpeg(exif=exif)
    at = content.index(b"Exif\0\0") + 6
    for block in (b"XX*\0", content[at : at + 4] + b"\xff" * 4):
        (tmp_path / "a.jpg").write_bytes(content[:at] + block + content[at + len(block) :])
        assert read(tmp_path / "a.jpg").shape == (60, 80)


def test_fill_bytes_before_a_marker(tmp_path):
    content = jpeg()
    plain = np.asarray(Image.open(io.BytesIO(content)))
    for marker in (b"\xff\xdb", b"\xff\xc0", b"\xff\xda"):
        (tmp_path / "a.jpg").write_bytes(content.replace(marker, b"\xff\xff\xff" + marker, 1))
        np.testing.assert_array_equal(read(tmp_path / "a.jpg").voxels, plain)


def test_what_follows_the_picture_does_not_matter(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg() + bytes(100_000))  # the film that a telephone appends
    np.testing.assert_array_equal(read(path).voxels, np.asarray(Image.open(path)))


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (lambda: jpeg(Image.fromarray(COLOUR).convert("CMYK")), "has 4 channels"),
        (lambda: imagecodecs.jpeg_encode(COLOUR.astype(np.uint16) * 16, bitspersample=12), "is JPEG of 12 bits"),
        (lambda: imagecodecs.jpeg_encode(COLOUR, lossless=True), "is lossless"),
        (lambda: jpeg() + b"\xff\xda" * 101, "progressive scans"),
    ],
)
def test_kinds_that_are_not_read_are_named(tmp_path, content, match):
    (tmp_path / "a.jpg").write_bytes(content())
    with pytest.raises(InputError, match=match):
        read(tmp_path / "a.jpg")


def test_nothing_is_printed_about_damage(tmp_path, capfd):
    content = jpeg()
    for _ in range(60):
        changed = bytearray(content)
        for place in RNG.integers(20, len(content) - 2, 3):
            changed[place] = RNG.integers(256)
        (tmp_path / "a.jpg").write_bytes(changed)
        with contextlib.suppress(InputError):
            assert read(tmp_path / "a.jpg").channels in (1, 3)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif"])
def test_the_content_counts_not_the_suffix(tmp_path, name):
    (tmp_path / name).write_bytes(jpeg())
    np.testing.assert_array_equal(read(tmp_path / name).voxels, np.asarray(Image.open(io.BytesIO(jpeg()))))
    with pytest.raises(InputError, match="is compressed by JPEG, which alters label values; save masks without loss"):
        read_labels(tmp_path / name)


@pytest.mark.parametrize(
    ("kind", "name"), [("GIF", "GIF"), ("BMP", "BMP"), ("WEBP", "WebP"), ("JPEG2000", "JPEG 2000")]
)
def test_other_formats_under_a_known_suffix_are_named(tmp_path, kind, name):
    Image.fromarray(COLOUR).save(tmp_path / "a.jpg", kind)
    with pytest.raises(InputError, match=f"cannot be read as an image, it is {name} by its content"):
        read(tmp_path / "a.jpg")
