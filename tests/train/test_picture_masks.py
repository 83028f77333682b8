"""Folders of pictures whose masks are stored in the ways that people store them: the classes that a plan would have."""

import io

import numpy as np
import pytest
import tifffile
from PIL import Image

from medseg.errors import InputError
from train.data.dataset import open_dataset

ROW, COLUMN = np.mgrid[:48, :48]
MASK = ((ROW - 22) ** 2 + (COLUMN - 25) ** 2 < 100).astype(np.uint8)


def pillow(image, kind, **options):
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


def by_tifffile(pixels, **options):
    content = io.BytesIO()
    tifffile.imwrite(content, pixels, **options)
    return content.getvalue()


def palette():
    image = Image.fromarray(MASK).convert("P")
    image.putpalette([0, 0, 0, 128, 0, 0])
    return pillow(image, "png", transparency=0)


def smooth():
    return pillow(Image.fromarray(MASK * 255).resize((48, 48), Image.BICUBIC, (3, 3, 40, 40)), "png")


def lossy():
    return pillow(Image.open(io.BytesIO(pillow(Image.fromarray(MASK * 255), "jpeg", quality=90))), "png")


def folder_of(tmp_path, content, suffix):
    for number in range(3):
        for folder, data, end in (
            ("images", pillow(Image.fromarray(MASK * 90), "png"), ".png"),
            ("labels", content, suffix),
        ):
            (tmp_path / folder).mkdir(exist_ok=True)
            (tmp_path / folder / f"c{number}{end}").write_bytes(data)
    return tmp_path


@pytest.mark.parametrize(
    ("content", "suffix", "value"),
    [
        (palette, ".png", 1),
        (lambda: pillow(Image.fromarray(MASK > 0), "png"), ".png", 1),
        (lambda: pillow(Image.fromarray(MASK * 255).convert("RGB"), "png"), ".png", 255),
        (lambda: by_tifffile(MASK * np.uint8(255), photometric="miniswhite"), ".tif", 255),
        (lambda: by_tifffile(MASK * np.uint16(255), photometric="miniswhite"), ".tif", 255),
        (lambda: by_tifffile(MASK.astype(np.float32), compression="lzw"), ".tif", 1),
        (lambda: by_tifffile(MASK, compression="zstd", tile=(16, 16)), ".tiff", 1),
    ],
)
def test_masks_of_one_structure(tmp_path, content, suffix, value):
    labels = open_dataset(folder_of(tmp_path, content(), suffix)).labels
    assert [(label.name, label.value) for label in labels] == [("background", 0), ("foreground", value)]


@pytest.mark.parametrize(
    ("content", "suffix", "mend"),
    [
        (lambda: pillow(Image.fromarray(MASK * 255), "jpeg", quality=95), ".jpg", "save masks without loss (PNG)"),
        (lossy, ".png", "set each pixel to the nearest of these and save it as PNG"),
        (smooth, ".png", "set each pixel to the nearest of these and save it as PNG"),
        (
            lambda: pillow(Image.fromarray(np.stack([MASK * 255, MASK, 0 * MASK], -1)), "png"),
            ".png",
            "save the mask as grey or palette PNG with a number for each colour",
        ),
    ],
)
def test_masks_that_hold_no_classes(tmp_path, content, suffix, mend):
    with pytest.raises(InputError) as caught:
        open_dataset(folder_of(tmp_path, content(), suffix))
    heading, *problems = str(caught.value).splitlines()
    assert heading.endswith("3 problems")
    assert [f"c{number}{suffix}" in line and mend in line for number, line in enumerate(problems)] == [True] * 3
