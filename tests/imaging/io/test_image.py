"""PNG, JPEG and TIFF in and out; damaged and unfit files."""

import cv2
import numpy as np
import pytest
import SimpleITK
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from imaging import InputError, Scan, read, read_labels, write
from imaging.geometry.grid import align

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (20, 30)).astype(np.uint8)
COLOUR = RNG.integers(0, 256, (20, 30, 3)).astype(np.uint8)  # blue, green, red as OpenCV stores


def save(path, pixels, *options):
    assert cv2.imwrite(str(path), pixels, *options)
    return path


@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff", ".PNG"])
def test_grey(tmp_path, suffix):
    scan = read(save(tmp_path / f"a{suffix}", GREY))
    assert scan.voxels.dtype == np.float32
    np.testing.assert_array_equal(scan.voxels, GREY[..., None])
    np.testing.assert_array_equal(scan.affine, np.eye(4))


def test_colour_is_red_green_blue(tmp_path):
    np.testing.assert_array_equal(read(save(tmp_path / "a.png", COLOUR)).voxels, COLOUR[..., ::-1])


def test_jpeg_is_close(tmp_path):
    smooth = cv2.GaussianBlur(COLOUR, (0, 0), 4)
    scan = read(save(tmp_path / "a.jpg", smooth, [cv2.IMWRITE_JPEG_QUALITY, 100]))
    assert scan.voxels.shape == (20, 30, 3)
    assert np.abs(scan.voxels - smooth[..., ::-1]).mean() < 2


def test_sixteen_bit_and_float(tmp_path):
    deep = RNG.integers(0, 65536, (8, 9)).astype(np.uint16)
    np.testing.assert_array_equal(read(save(tmp_path / "a.png", deep)).voxels[..., 0], deep)
    real = RNG.random((8, 9), np.float32)
    np.testing.assert_array_equal(read(save(tmp_path / "a.tif", real)).voxels[..., 0], real)


def test_one_bit_mask(tmp_path):
    mask = (GREY > 128).astype(np.uint8) * 255
    path = save(tmp_path / "a.png", mask, [cv2.IMWRITE_PNG_BILEVEL, 1])
    np.testing.assert_array_equal(read_labels(path).voxels[..., 0], mask // 255)  # a stored value counts
    np.testing.assert_array_equal(read(path).voxels[..., 0], mask)  # an image is as bright as a viewer shows it


def test_alpha(tmp_path):
    opaque = np.dstack([COLOUR, np.full((20, 30), 255, np.uint8)])
    np.testing.assert_array_equal(read(save(tmp_path / "a.png", opaque)).voxels, COLOUR[..., ::-1])
    opaque[0, 0, 3] = 3
    with pytest.raises(InputError, match=r"b\.png: is partly transparent"):
        read(save(tmp_path / "b.png", opaque))


def test_grey_stored_as_colour_is_one_channel_when_one_is_expected(tmp_path):
    path = save(tmp_path / "a.png", np.repeat(GREY[..., None], 3, axis=-1))
    assert read(path).channels == 3
    np.testing.assert_array_equal(read(path, channels=1).voxels[..., 0], GREY)
    with pytest.raises(InputError, match=r"b\.png: expected 1 channels, got 3"):
        read(save(tmp_path / "b.png", COLOUR), channels=1)
    grey = read(save(tmp_path / "c.png", GREY), channels=3).voxels
    np.testing.assert_array_equal(grey, np.repeat(GREY[..., None], 3, axis=-1))
    with pytest.raises(InputError, match="expected 2 channels, got 1"):
        read(tmp_path / "c.png", channels=2)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.98])
def test_truncated(tmp_path, suffix, share, capfd):
    pixels = RNG.integers(0, 256, (200, 300)).astype(np.uint8)
    path = save(tmp_path / f"a{suffix}", pixels)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError, match=rf"a\{suffix}: cannot be read as an image"):
        read(path)


def test_damaged_png_data(tmp_path):
    path = save(tmp_path / "a.png", RNG.integers(0, 256, (64, 64)).astype(np.uint8))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(InputError, match="cannot be read as an image"):
        read(path)


def test_several_pages(tmp_path):
    done, content = cv2.imencodemulti(".tiff", [GREY, GREY])
    assert done
    (tmp_path / "a.tiff").write_bytes(content.tobytes())
    voxels = read(tmp_path / "a.tiff").voxels
    np.testing.assert_array_equal(voxels, np.stack([GREY.T, GREY.T], -1)[..., None])


def test_missing_and_unreadable(tmp_path):
    with pytest.raises(InputError, match=r"none\.png: no such file"):
        read(tmp_path / "none.png")
    (tmp_path / "text.png").write_text("hello")
    with pytest.raises(InputError, match=r"text\.png: cannot be read as an image"):
        read(tmp_path / "text.png")


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("top", [255, 65535])
def test_round_trip(tmp_path, suffix, channels, top):
    voxels = RNG.integers(0, top + 1, (7, 9, channels))
    voxels[0, 0, 0] = top
    write(tmp_path / f"a{suffix}", Scan(voxels, np.eye(4)))
    np.testing.assert_array_equal(read(tmp_path / f"a{suffix}").voxels, voxels)
    assert cv2.imread(str(tmp_path / f"a{suffix}"), cv2.IMREAD_UNCHANGED).dtype == (
        np.uint8 if top < 256 else np.uint16
    )


@pytest.mark.parametrize(
    ("voxels", "match"),
    [
        (np.full((4, 4, 1), 0.5, np.float32), "whole numbers"),
        (np.full((4, 4, 1), -1), "from -1 to -1"),
        (np.full((4, 4, 1), 70000), "0 to 65535"),
        (np.zeros((4, 4, 4, 1)), "takes 2 axes"),
        (np.zeros((4, 4, 2)), "1 or 3 channels"),
    ],
)
def test_what_a_png_cannot_hold(tmp_path, voxels, match):
    with pytest.raises(InputError, match=match):
        write(tmp_path / "a.png", Scan(voxels, np.eye(4)))
    assert list(tmp_path.iterdir()) == []


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.integers(1, 40),
    columns=st.integers(1, 40),
    channels=st.sampled_from((1, 3)),
    top=st.sampled_from((1, 255, 256, 65535)),
    suffix=st.sampled_from((".png", ".tif")),
)
def test_what_is_written_is_what_others_read(tmp_path, rows, columns, channels, top, suffix):
    voxels = np.random.default_rng(rows).integers(0, top + 1, (rows, columns, channels))
    voxels[0, 0] = top
    path = tmp_path / f"a{suffix}"
    write(path, Scan(voxels, np.eye(4)))
    itk = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path)))
    np.testing.assert_array_equal(itk.reshape(voxels.shape), voxels)
    if suffix == ".tif":
        np.testing.assert_array_equal(tifffile.imread(path).reshape(voxels.shape), voxels)
    np.testing.assert_array_equal(read(path).voxels, voxels)


def test_an_image_and_a_mask_of_which_one_is_turned(tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(GREY).save(tmp_path / "a.png", exif=exif)
    Image.fromarray(GREY).save(tmp_path / "b.png")
    image, label = read(tmp_path / "a.png"), read(tmp_path / "b.png")
    with pytest.raises(InputError, match=r"shape \(20, 30\), but .* orientation tag \(EXIF\) says, give both the same"):
        align(label, image, "b.png", "a.png")


def test_a_picture_tells_no_spacing(tmp_path):
    path = save(tmp_path / "a.png", GREY)
    assert not read(path).has_spacing
    assert not read_labels(path).has_spacing
    assert not read([path, path]).has_spacing


def test_jpeg_is_not_written(tmp_path):
    with pytest.raises(InputError, match="JPEG alters values"):
        write(tmp_path / "a.jpg", Scan(np.zeros((4, 4, 1), np.uint8), np.eye(4)))
