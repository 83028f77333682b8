"""Masks that were saved with loss or with smooth edges are refused; maps of classes are not."""

import io

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from imaging import InputError, Scan, read_labels, write
from imaging.io.masks import values_between


def disc(size=96, radius=22, value=255):
    row, column = np.mgrid[:size, :size]
    return ((row - size * 0.45) ** 2 + (column - size * 0.52) ** 2 < radius**2) * np.uint8(value)


def levels():
    mask = disc(128, 50, 127)
    mask[disc(128, 20) > 0] = 255
    return mask


def network():
    """Lines of two pixels, like vessels."""
    mask = np.zeros((120, 120), np.uint8)
    for angle in np.linspace(0, 3, 7):
        end = (int(60 + 59 * np.cos(angle)), int(60 + 59 * np.sin(angle)))
        cv2.line(mask, (60, 60), end, 255, 2)
    return mask


def jpeg(mask, quality):
    content = io.BytesIO()
    Image.fromarray(mask).save(content, "jpeg", quality=quality)
    return np.asarray(Image.open(content))


def scaled(mask, method, factor=0.7):
    size = int(len(mask) * factor)
    return np.asarray(Image.fromarray(mask).resize((size, size), method))


@pytest.mark.parametrize(
    "mask", [disc(), disc(64, 9, 200), levels(), network()], ids=["disc", "grey", "levels", "lines"]
)
@pytest.mark.parametrize(
    "spoil",
    [
        *[lambda mask, quality=quality: jpeg(mask, quality) for quality in (40, 75, 95)],
        *[
            lambda mask, method=method: scaled(mask, method)
            for method in (Image.BILINEAR, Image.BICUBIC, Image.LANCZOS)
        ],
        lambda mask: scaled(mask, Image.BILINEAR, 2.3),
        lambda mask: cv2.GaussianBlur(mask, (0, 0), 1.0),
    ],
)
def test_spoilt_masks(tmp_path, mask, spoil):
    Image.fromarray(mask).save(tmp_path / "a.png")
    assert set(np.unique(read_labels(tmp_path / "a.png").voxels)) == set(np.unique(mask))
    Image.fromarray(spoil(mask)).save(tmp_path / "b.png")
    with pytest.raises(InputError, match=r"b\.png: looks like a mask of the values .* saved with loss or with smooth"):
        read_labels(tmp_path / "b.png")


def test_jpeg_of_the_best_quality():
    assert values_between(jpeg(disc(), 100)) == ((0, 255), 2)


def classes_in_layers():
    mask = np.zeros((90, 60), np.uint8)
    for number in range(1, 9):
        mask[10 * number : 10 * number + 2] = 28 * number  # two pixels thin
    return mask


def instances():
    mask = np.zeros((100, 100), np.uint16)
    for number, (row, column) in enumerate(np.argwhere(np.ones((19, 19))) * 5 + 2):
        mask[row : row + 2 + number % 2, column : column + 2] = number + 1
    return mask


def trimap():
    mask = disc()
    mask[(cv2.dilate(mask, np.ones((3, 3))) > 0) & (mask == 0)] = 128
    return mask


@pytest.mark.parametrize("make", [disc, levels, network, classes_in_layers, instances, trimap])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_maps_of_classes(tmp_path, make, suffix):
    mask = make()
    write(tmp_path / f"a{suffix}", Scan(mask[..., None], np.eye(4)))
    np.testing.assert_array_equal(read_labels(tmp_path / f"a{suffix}").voxels[..., 0], mask)


def test_colours_for_classes(tmp_path):
    mask = np.zeros((8, 9, 3), np.uint8)
    mask[:4] = (255, 0, 0)
    mask[6:] = (0, 255, 0)
    Image.fromarray(mask).save(tmp_path / "a.png")
    with pytest.raises(InputError, match=r"expected one class value a pixel, got 3 different channels \(3 colours\)"):
        read_labels(tmp_path / "a.png")


def test_opacity_is_no_class(tmp_path):
    mask = np.full((8, 9, 4), 255, np.uint8)
    Image.fromarray(mask).save(tmp_path / "a.png")
    assert (read_labels(tmp_path / "a.png").voxels == 255).all()
    mask[:4, :, 3] = 0
    Image.fromarray(mask).save(tmp_path / "a.png")
    with pytest.raises(InputError, match="is partly transparent, expected a class value in every pixel"):
        read_labels(tmp_path / "a.png")
    tifffile.imwrite(tmp_path / "a.tif", np.stack([mask] * 3), photometric="rgb", extrasamples=["unassalpha"])
    with pytest.raises(InputError, match="is partly transparent, expected a class value in every pixel"):
        read_labels(tmp_path / "a.tif")


def test_real_numbers_close_to_whole_ones(tmp_path):
    mask = disc(value=1).astype(np.float32)
    tifffile.imwrite(tmp_path / "a.tif", mask * np.float32(0.9995) + np.float32(0.0001))
    np.testing.assert_array_equal(read_labels(tmp_path / "a.tif").voxels[..., 0], mask)
    tifffile.imwrite(tmp_path / "b.tif", mask * np.float32(0.98))
    with pytest.raises(InputError, match=rf"b\.tif: {mask.sum():.0f} voxels are not integers \(0\.98 for one\)"):
        read_labels(tmp_path / "b.tif")


def test_many_channels_are_no_colours(tmp_path):
    """A header of 2 KB can claim thousands of channels, whose combinations took minutes to count."""
    tifffile.imwrite(tmp_path / "a.tif", np.arange(6 * 5 * 9, dtype=np.uint8).reshape(6, 5, 9), planarconfig="contig")
    with pytest.raises(InputError, match="expected one class value a pixel, got 9 different channels;"):
        read_labels(tmp_path / "a.tif")
