"""PNG files of every kind, against Pillow and SimpleITK."""

import struct

import numpy as np
import pytest
import SimpleITK
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from picture_files import png
from PIL import Image, ImageOps

from imaging import InputError, read, read_labels
from imaging.io.image import open_picture

RNG = np.random.default_rng(0)
GREY, RGB, PALETTE, GREY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6
KINDS = [
    *[(GREY, depth, 1) for depth in (1, 2, 4, 8, 16)],
    *[(PALETTE, depth, 1) for depth in (1, 2, 4, 8)],
    *[(colour, depth, s) for colour, s in ((RGB, 3), (GREY_ALPHA, 2), (RGB_ALPHA, 4)) for depth in (8, 16)],
]


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
@given(
    kind=st.sampled_from(KINDS),
    interlace=st.sampled_from((0, 1)),
    rows=st.integers(1, 17),
    columns=st.integers(1, 17),
    remarks=st.booleans(),
)
def test_every_kind(tmp_path, kind, interlace, rows, columns, remarks):
    colour, depth, channels = kind
    samples = RNG.integers(0, 2**depth, (rows, columns, channels))
    if colour in (GREY_ALPHA, RGB_ALPHA):
        samples[..., -1] = 2**depth - 1
    palette = RNG.integers(0, 256, (2**depth, 3)).astype(np.uint8)
    extra = [(b"PLTE", palette.tobytes())] if colour == PALETTE else []
    # Gamma, resolution and text say nothing of what is stored.
    marks = [(b"gAMA", struct.pack(">I", 45455)), (b"pHYs", struct.pack(">IIB", 9, 9, 1)), (b"tEXt", b"a\0b")]
    path = tmp_path / "a.png"
    path.write_bytes(png(samples, depth, colour, [*(marks if remarks else []), *extra], interlace))
    values = samples[..., :-1] if colour in (GREY_ALPHA, RGB_ALPHA) else samples
    np.testing.assert_array_equal(open_picture(path).samples, values)
    voxels = read(path).voxels
    if colour == PALETTE:
        np.testing.assert_array_equal(voxels, palette[samples[..., 0]])
    else:
        np.testing.assert_array_equal(voxels, values * (255 // (2**depth - 1)) if depth < 8 else values)
    if depth <= 8 or (colour == GREY and not interlace):  # what Pillow does not cut to 8 bits
        mode = "I" if depth == 16 else "L" if colour in (GREY, GREY_ALPHA) else "RGB"
        shown = np.asarray(Image.open(path).convert(mode)).reshape(rows, columns, -1)
        np.testing.assert_array_equal(voxels, shown)
    if colour in (GREY, RGB):
        itk = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path))).reshape(rows, columns, -1)
        np.testing.assert_array_equal(voxels, itk)


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
@pytest.mark.parametrize("grey", [False, True])
def test_labels_are_the_indices_of_a_palette(tmp_path, depth, grey):
    index = RNG.integers(0, 2**depth, (12, 9, 1)) % 5
    colours = RNG.permutation(256)[: 2**depth].astype(np.uint8)
    colours = np.stack([colours, colours, colours if grey else 255 - colours], -1)
    transparency = (b"tRNS", b"\0" * 2)  # the background is often marked as transparent
    path = tmp_path / "a.png"
    path.write_bytes(png(index, depth, PALETTE, [(b"PLTE", colours.tobytes()), transparency]))
    np.testing.assert_array_equal(read_labels(path).voxels, index)
    with pytest.raises(InputError, match="is partly transparent"):
        read(path)
    path.write_bytes(png(index, depth, PALETTE, [(b"PLTE", colours.tobytes())]))
    np.testing.assert_array_equal(read(path).voxels, colours[index[..., 0]][..., : 1 if grey else 3])


def test_palette_that_pillow_writes(tmp_path):
    index = RNG.integers(0, 3, (8, 9)).astype(np.uint8)
    image = Image.fromarray(index).convert("P")
    image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
    image.save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_labels(tmp_path / "a.png").voxels[..., 0], index)


def test_index_beyond_the_palette(tmp_path):
    index = np.array([[[0], [3]]])
    (tmp_path / "a.png").write_bytes(png(index, 2, PALETTE, [(b"PLTE", bytes(6))]))
    with pytest.raises(InputError, match="index 3 of a palette of 2 colours"):
        read(tmp_path / "a.png")


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_labels_of_few_bits_are_not_spread(tmp_path, depth):
    samples = RNG.integers(0, 2**depth, (7, 9, 1))
    (tmp_path / "a.png").write_bytes(png(samples, depth, GREY))
    np.testing.assert_array_equal(read_labels(tmp_path / "a.png").voxels, samples)


@pytest.mark.parametrize(("colour", "channels"), [(GREY, 1), (RGB, 3)])
def test_a_colour_that_stands_for_transparent(tmp_path, colour, channels):
    samples = RNG.integers(0, 4, (6, 7, channels)) * 60
    path = tmp_path / "a.png"
    path.write_bytes(png(samples, 8, colour, [(b"tRNS", struct.pack(f">{channels}H", *[7] * channels))]))
    np.testing.assert_array_equal(read(path).voxels, samples)  # no pixel has it
    path.write_bytes(png(samples, 8, colour, [(b"tRNS", samples[2, 3].astype(">u2").tobytes())]))
    with pytest.raises(InputError, match="is partly transparent"):
        read(path)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation(tmp_path, orientation):
    pixels = RNG.integers(0, 256, (5, 8)).astype(np.uint8)
    exif = Image.Exif()
    exif[274] = orientation
    path = tmp_path / "a.png"
    Image.fromarray(pixels).save(path, exif=exif)
    np.testing.assert_array_equal(read(path).voxels[..., 0], np.asarray(ImageOps.exif_transpose(Image.open(path))))
    np.testing.assert_array_equal(read_labels(path).voxels, read(path).voxels)


def test_animated(tmp_path):
    frames = [Image.fromarray(RNG.integers(0, 256, (8, 8)).astype(np.uint8)) for _ in range(2)]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:])
    with pytest.raises(InputError, match="is animated"):
        read(tmp_path / "a.png")


def test_one_changed_bit_anywhere(tmp_path):
    content = png(RNG.integers(0, 256, (5, 6, 1)), 8, GREY, [(b"tEXt", b"a\0b")])
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 4
        (tmp_path / "a.png").write_bytes(changed)
        with pytest.raises(InputError, match="cannot be read as an image"):
            read(tmp_path / "a.png")
