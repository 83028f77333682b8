"""NRRD, MetaImage, pairs and TIFF volumes: values and places against SimpleITK, nibabel and tifffile."""

import nibabel
import numpy as np
import pytest
import SimpleITK
import tifffile
from scipy.spatial.transform import Rotation

import imaging
from imaging import InputError, Scan

RNG = np.random.default_rng(0)
PLACED = ("nrrd", "nhdr", "mha", "mhd", "hdr", "img", "hdr.gz", "img.gz", "nii.gz")
WITH_DATA_FILE = ("nhdr", "mhd", "hdr")


def placed_scan(rank=3):
    """A scan that is turned and moved."""
    affine = np.eye(4)
    turn = Rotation.from_euler("xyz", [20, -30, 50] if rank == 3 else [0, 0, 40], degrees=True).as_matrix()
    affine[:3, :3] = turn @ np.diag([0.5, 0.8, 2.0])
    affine[:3, 3] = [10, -20, 30] if rank == 3 else [10, -20, 0]
    return Scan(RNG.random((*(5, 6, 7)[:rank], 1)).astype(np.float32), affine)


@pytest.mark.parametrize("suffix", PLACED)
def test_a_scan_comes_back_and_lies_where_itk_has_it(tmp_path, suffix):
    scan, path = placed_scan(), tmp_path / f"a.b.{suffix}"
    imaging.write(path, scan)
    back = imaging.read(path)
    np.testing.assert_array_equal(back.voxels, scan.voxels)
    np.testing.assert_allclose(back.affine, scan.affine, atol=1e-6)
    image = SimpleITK.ReadImage(str(path))
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(image).T, scan.voxels[..., 0])
    left, back_, head = image.TransformIndexToPhysicalPoint((1, 2, 3))
    np.testing.assert_allclose([-left, -back_, head], (scan.affine @ [1, 2, 3, 1])[:3], atol=1e-5)


@pytest.mark.parametrize("suffix", ["nrrd", "nhdr", "mha", "mhd"])
@pytest.mark.parametrize("rank", [2, 3])
def test_what_itk_writes_is_read(tmp_path, suffix, rank):
    image = SimpleITK.GetImageFromArray(RNG.integers(-1000, 1000, (4, 5, 6)[:rank]).astype(np.int16))
    image.SetSpacing((0.5, 0.7, 2.0)[:rank])
    image.SetOrigin((1.0, -2.0, 3.0)[:rank])
    SimpleITK.WriteImage(image, str(tmp_path / f"a.{suffix}"), useCompression=suffix in ("nrrd", "mhd"))
    scan = imaging.read(tmp_path / f"a.{suffix}")
    np.testing.assert_array_equal(scan.voxels[..., 0], SimpleITK.GetArrayFromImage(image).T)
    np.testing.assert_allclose(scan.spacing, image.GetSpacing())
    np.testing.assert_allclose(scan.affine[:2, 3], [-1, 2])


def test_an_nrrd_that_says_ras(tmp_path):
    values = np.arange(24, dtype="<i2")
    header = (
        "NRRD0004\ntype: short\ndimension: 3\nspace: right-anterior-superior\nsizes: 2 3 4\n"
        "space directions: (0,2,0) (1,0,0) (0,0,3)\nkinds: domain domain domain\nendian: little\nencoding: raw\n"
        "space origin: (5,6,7)\n\n"
    )
    (tmp_path / "a.nrrd").write_bytes(header.encode() + values.tobytes())
    scan = imaging.read(tmp_path / "a.nrrd")
    np.testing.assert_allclose(scan.affine, [[0, 1, 0, 5], [2, 0, 0, 6], [0, 0, 3, 7], [0, 0, 0, 1]])
    np.testing.assert_array_equal(scan.voxels[..., 0], values.reshape((2, 3, 4), order="F"))


@pytest.mark.parametrize("suffix", [*PLACED, "tif"])
def test_labels_come_back(tmp_path, suffix):
    scan = placed_scan() if suffix != "tif" else Scan(np.zeros((5, 6, 7, 1)), np.diag([-1.0, -1.0, 2.0, 1.0]))
    labels = Scan(RNG.integers(0, 700, scan.voxels.shape), scan.affine)
    imaging.write(tmp_path / f"a.{suffix}", labels)
    back = imaging.read_labels(tmp_path / f"a.{suffix}")
    np.testing.assert_array_equal(back.voxels, labels.voxels)
    assert back.voxels.dtype == np.int16


def test_vectors_and_fourth_axes_are_channels(tmp_path):
    voxels = RNG.random((4, 5, 6, 2)).astype(np.float32)
    imaging.write(tmp_path / "a.mha", Scan(voxels, np.eye(4)))
    np.testing.assert_array_equal(imaging.read(tmp_path / "a.mha", channels=2).voxels, voxels)
    series = SimpleITK.JoinSeries(
        [SimpleITK.GetImageFromArray(np.ascontiguousarray(c.T)) for c in np.moveaxis(voxels, -1, 0)]
    )
    SimpleITK.WriteImage(series, str(tmp_path / "b.nrrd"))
    np.testing.assert_array_equal(imaging.read(tmp_path / "b.nrrd", channels=2).voxels, voxels)
    with pytest.raises(InputError, match=r"b\.nrrd: .* has 4 axes, expected 2 or 3 axes"):
        imaging.read(tmp_path / "b.nrrd")


def test_analyze_lies_where_nibabel_has_it(tmp_path):
    image = nibabel.AnalyzeImage(RNG.integers(0, 99, (4, 5, 6)).astype(np.int16), None)
    image.header.set_zooms((1, 2, 3))
    image.to_filename(tmp_path / "a.hdr")
    expected = nibabel.load(tmp_path / "a.img")
    for name in ("a.hdr", "a.img"):
        scan = imaging.read(tmp_path / name)
        np.testing.assert_array_equal(scan.voxels[..., 0], expected.get_fdata())
        np.testing.assert_allclose(scan.affine, expected.affine)


@pytest.mark.parametrize("suffix", WITH_DATA_FILE)
def test_a_companion_file_of_somebody_else_is_not_replaced(tmp_path, suffix):
    imaging.write(tmp_path / f"a.{suffix}", placed_scan())
    (companion,) = [path for path in tmp_path.iterdir() if path.name != f"a.{suffix}"]
    companion.write_bytes(b"mine")
    (tmp_path / f"a.{suffix}").unlink()
    with pytest.raises(InputError, match="which does not belong to it"):
        imaging.write(tmp_path / f"a.{suffix}", placed_scan())
    assert companion.read_bytes() == b"mine"
    assert list(tmp_path.iterdir()) == [companion]


@pytest.mark.parametrize("suffix", WITH_DATA_FILE)
def test_a_pair_is_one_case_of_a_folder(tmp_path, suffix):
    from imaging.io.cases import case_name, scans_in

    imaging.write(tmp_path / f"a.{suffix}", placed_scan())
    assert [case_name(path) for path in scans_in(tmp_path)] == ["a"]


def meta(**fields):
    lines = {"ObjectType": "Image", "NDims": 3, "DimSize": "2 3 4", "ElementType": "MET_UCHAR"} | fields
    return "".join(f"{name} = {value}\n" for name, value in lines.items()).encode() + b"ElementDataFile = LOCAL\n"


NRRD = b"NRRD0004\ntype: uchar\ndimension: 3\nsizes: 2 3 4\nencoding: raw\n"
BAD = {
    "empty.nrrd": (b"", "is no NRRD file"),
    "other.mha": (b"hello", "is no MetaImage file"),
    "short.nrrd": (NRRD + b"\n" + bytes(3), "announces 24 bytes|truncated or damaged"),
    "huge.nrrd": (NRRD.replace(b"2 3 4", b"60000 60000 60000") + b"\n", "truncated or damaged"),
    "bomb.nrrd": (
        NRRD.replace(b"2 3 4", b"30000 30000 4").replace(b"raw", b"gzip") + b"\n\x1f\x8b" + bytes(4 * 10**6),
        "take",
    ),
    "noise.nrrd": (NRRD.replace(b"raw", b"gzip") + b"\n" + bytes(range(100, 200)), "no gzip data"),
    "away.nhdr": (NRRD + b"data file: ../secret.raw\n", "no file name"),
    "absolute.nhdr": (NRRD + b"data file: /etc/passwd\n", "no file name"),
    "list.nhdr": (NRRD + b"data file: LIST\na.raw\n", "in several files"),
    "gone.nhdr": (NRRD + b"data file: gone.raw\n", "data file gone.raw is missing"),
    "twice.nrrd": (NRRD + b"sizes: 2 3 5\n\n" + bytes(30), "says 'sizes' twice"),
    "block.nrrd": (NRRD.replace(b"uchar", b"block") + b"\n" + bytes(30), "expected integers or real numbers"),
    "minus.nrrd": (NRRD.replace(b"2 3 4", b"2 -3 4") + b"\n" + bytes(30), "header is damaged"),
    "axes.mha": (meta(NDims=2) + bytes(30), "gives 2 axes and sizes"),
    "short.mha": (meta() + bytes(3), "truncated or damaged"),
    "away.mhd": (meta().replace(b"LOCAL", b"../x.raw"), "no file name"),
    "nan.mha": (meta(ElementSpacing="nan 1 1") + bytes(24), "no size|cannot be read"),
    "flat.mha": (meta(TransformMatrix="1 0 0 1 0 0 0 0 1") + bytes(24), "no size|cannot be read"),
}


@pytest.mark.parametrize("name", BAD)
def test_damaged_and_hostile_files_are_refused(tmp_path, name, capfd):
    content, message = BAD[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message) as raised:
        imaging.read(tmp_path / name)
    assert name in str(raised.value)
    assert "\n" not in str(raised.value)
    assert capfd.readouterr() == ("", "")


def test_the_extra_is_named_where_simpleitk_is_missing(tmp_path, monkeypatch):
    import sys

    imaging.write(tmp_path / "a.mha", placed_scan())
    monkeypatch.setitem(sys.modules, "SimpleITK", None)
    with pytest.raises(InputError, match=r'a\.mha needs SimpleITK, .*pip install "medseg-zoo\[imaging\]"'):
        imaging.read(tmp_path / "a.mha")


SLICES = RNG.integers(0, 60000, (4, 5, 6)).astype(np.uint16)


@pytest.mark.parametrize(
    ("options", "spacing"),
    [
        ({"photometric": "minisblack"}, None),
        ({"photometric": "minisblack", "tile": (16, 16), "compression": "zlib"}, None),
        (
            {"imagej": True, "metadata": {"axes": "ZYX", "spacing": 2.5, "unit": "mm"}, "resolution": (2, 4)},
            (0.5, 0.25, 2.5),
        ),
        (
            {"imagej": True, "metadata": {"axes": "ZYX", "spacing": 3, "unit": "um"}, "resolution": (1, 1)},
            (1e-3, 1e-3, 3e-3),
        ),
        (
            {"ome": True, "metadata": {"axes": "ZYX", "PhysicalSizeX": 0.3, "PhysicalSizeY": 0.4, "PhysicalSizeZ": 2}},
            (3e-4, 4e-4, 2e-3),
        ),
    ],
)
def test_tiff_volumes(tmp_path, options, spacing):
    tifffile.imwrite(tmp_path / "a.tif", SLICES, **options)
    scan = imaging.read(tmp_path / "a.tif")
    np.testing.assert_array_equal(scan.voxels[..., 0], SLICES.T)
    assert scan.has_spacing == (spacing is not None)
    np.testing.assert_allclose(scan.spacing, spacing or (1, 1, 1), rtol=1e-5)
    np.testing.assert_allclose(np.sign(np.diag(scan.affine)), [-1, -1, 1, 1])  # as ITK reads it
    imaging.write(tmp_path / "b.tif", scan)
    again = imaging.read(tmp_path / "b.tif")
    np.testing.assert_array_equal(again.voxels, scan.voxels)
    np.testing.assert_allclose(again.affine, scan.affine, rtol=1e-5)


def test_tiff_channels_and_times(tmp_path):
    stack = RNG.integers(0, 255, (4, 2, 5, 6)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", stack, imagej=True, metadata={"axes": "ZCYX"})
    np.testing.assert_array_equal(imaging.read(tmp_path / "a.tif").voxels, stack.transpose(3, 2, 0, 1))
    tifffile.imwrite(tmp_path / "b.tif", stack, imagej=True, metadata={"axes": "TZYX"})
    with pytest.raises(InputError, match=r"b\.tif: holds 8 pages, 2 slices of 1 channels at 4 times"):
        imaging.read(tmp_path / "b.tif")
    with tifffile.TiffWriter(tmp_path / "c.tif") as file:
        file.write(stack[0, 0])
        file.write(stack[0, 0, :3])
    with pytest.raises(InputError, match=r"c\.tif: holds 2 pages of different size"):
        imaging.read(tmp_path / "c.tif")


@pytest.mark.parametrize("axes", ["ZCYX", "CZYX"])
@pytest.mark.parametrize("program", [{"ome": True}, {"photometric": "minisblack"}], ids=["ome", "tifffile"])
def test_tiff_channels_by_the_order_of_the_axes(tmp_path, axes, program):
    stack = RNG.integers(0, 255, (4, 2, 5, 6) if axes == "ZCYX" else (2, 4, 5, 6)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", stack, metadata={"axes": axes}, **program)
    expected = stack.transpose(3, 2, 0, 1) if axes == "ZCYX" else stack.transpose(3, 2, 1, 0)
    np.testing.assert_array_equal(imaging.read(tmp_path / "a.tif").voxels, expected)


@pytest.mark.parametrize("axes", ["CYX", "ZCYX", "CZYX"])
@pytest.mark.parametrize(
    "program", [{"imagej": True}, {"ome": True}, {"photometric": "minisblack"}], ids=["imagej", "ome", "tifffile"]
)
@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
def test_channels_of_one_slice_are_a_flat_image(tmp_path, axes, program, kind):
    """As a fluorescence microscope gives them: the mask beside it is flat too."""
    stains = RNG.integers(0, 255, (4, 5, 6)).astype(kind)
    if "imagej" in program and axes == "CZYX":
        axes = "ZCYX"  # the only order that ImageJ has
    pages = {"CYX": stains, "ZCYX": stains[None], "CZYX": stains[:, None]}[axes]
    tifffile.imwrite(tmp_path / "a.tif", pages, metadata={"axes": axes}, **program)
    scan = imaging.read(tmp_path / "a.tif")
    np.testing.assert_array_equal(scan.voxels, np.moveaxis(stains, 0, -1))
    tifffile.imwrite(tmp_path / "flat.tif", stains[0])
    flat = imaging.read(tmp_path / "flat.tif")
    assert (scan.axes, scan.has_spacing, scan.rank) == (flat.axes, flat.has_spacing, flat.rank)
    np.testing.assert_array_equal(scan.affine, flat.affine)


def test_tiff_channels_in_colour(tmp_path):
    stack = RNG.integers(0, 255, (2, 5, 6, 3)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", stack, photometric="rgb", metadata={"axes": "CYXS"})
    expected = np.concatenate([stack[0], stack[1]], axis=-1)
    np.testing.assert_array_equal(imaging.read(tmp_path / "a.tif").voxels, expected)


@pytest.mark.parametrize("axes", ["IYX", "QYX", "TYX"])
def test_a_single_axis_of_another_name_counts_as_slices(tmp_path, axes):
    tifffile.imwrite(tmp_path / "a.tif", SLICES, photometric="minisblack", metadata={"axes": axes})
    np.testing.assert_array_equal(imaging.read(tmp_path / "a.tif").voxels[..., 0], SLICES.T)


def test_tiff_axes_that_are_no_volume(tmp_path):
    stack = RNG.integers(0, 255, (4, 2, 5, 6)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", stack, photometric="minisblack", metadata={"axes": "TZYX"})
    with pytest.raises(InputError, match=r"a\.tif: holds 8 pages, 2 slices of 1 channels at 4 times"):
        imaging.read(tmp_path / "a.tif")
    tifffile.imwrite(tmp_path / "b.tif", stack, photometric="minisblack", metadata={"axes": "PHYX"})
    with pytest.raises(InputError, match=r"b\.tif: its axes are 'PHYX', expected slices \(Z\) and channels \(C\)"):
        imaging.read(tmp_path / "b.tif")
    with tifffile.TiffWriter(tmp_path / "c.tif") as file:  # page by page, each an array of its own
        for page in SLICES:
            file.write(page, metadata={"axes": "YX"}, contiguous=False)
    np.testing.assert_array_equal(imaging.read(tmp_path / "c.tif").voxels[..., 0], SLICES.T)


@pytest.mark.parametrize(
    "description",
    [
        "ImageJ=1.5\nimages=999999999\nslices=999999999\n",
        "<OME><Image",
        "slices=2",
        '{"shape": [2',
        '{"shape": 3, "axes": "CYX"}',
        '{"shape": [9, 7, 6], "axes": "CYX"}',
    ],
)
def test_pages_count_more_than_what_is_said_of_them(tmp_path, description):
    tifffile.imwrite(tmp_path / "a.tif", SLICES, photometric="minisblack", description=description, metadata=None)
    scan = imaging.read(tmp_path / "a.tif")
    np.testing.assert_array_equal(scan.voxels[..., 0], SLICES.T)
    assert not scan.has_spacing


def test_a_tiff_has_no_place_for_a_turned_scan(tmp_path):
    with pytest.raises(InputError, match="for which a TIFF has no place"):
        imaging.write(tmp_path / "a.tif", placed_scan())
    assert not list(tmp_path.iterdir())


def test_nan_outside_the_field_of_view(tmp_path):
    scan = placed_scan()
    scan.voxels[0] = np.nan
    imaging.write(tmp_path / "a.nii.gz", scan)
    with pytest.raises(InputError, match=r"42 of 210 voxels are NaN or infinite; .*zoo plan --nan 0"):
        imaging.read(tmp_path / "a.nii.gz")
    filled = imaging.read(tmp_path / "a.nii.gz", nan=-7)
    assert (filled.voxels[0] == -7).all()
    recipe = imaging.Recipe(3, nan=-7.0)
    expected = imaging.prepare(filled, recipe)
    np.testing.assert_array_equal(imaging.prepare(scan, recipe).voxels, expected.voxels)
    scan.voxels[1] = np.inf
    imaging.write(tmp_path / "a.nii.gz", scan)
    with pytest.raises(InputError, match=r"42 of 210 voxels are NaN or infinite; replace them by numbers$"):
        imaging.read(tmp_path / "a.nii.gz", nan=0)
