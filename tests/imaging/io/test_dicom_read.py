"""Series with every oddity, beside what was written and beside SimpleITK (GDCM)."""

import zipfile

import numpy as np
import pytest
import SimpleITK
from dicom_files import CT, ENHANCED_CT, OBLIQUE, US, US_MULTIFRAME, enhanced, image, write_series
from pydicom.fileset import FileSet
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

import imaging
from imaging.io.dicom import choose, find_series, read_dicom, read_series
from medseg.errors import InputError, UsageError

VOXELS = np.random.default_rng(0).integers(0, 900, (5, 34, 40)).astype(np.uint16)


def by_simple_itk(folder):
    """The volume (slices, rows, columns) and the affine, RAS, as SimpleITK reads them."""
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    read = reader.Execute()
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(read.GetDirection(), (3, 3)) * read.GetSpacing()
    affine[:3, 3] = read.GetOrigin()
    return SimpleITK.GetArrayFromImage(read), np.diag([-1, -1, 1, 1]) @ affine


def slices(scan):
    return scan.voxels[..., 0].transpose(2, 1, 0)


SERIES = {
    "plain": {},
    "unsorted names": {"names": ["e", "a.dcm", "d", "b.IMA", "c.dcm"]},
    "oblique": {"orientation": OBLIQUE},
    "feet first": {"orientation": (-1, 0, 0, 0, 1, 0), "PatientPosition": "FFS"},
    "sagittal": {"orientation": (0, 1, 0, 0, 0, -1)},
    "rescaled slice by slice": {"each": lambda i: {"RescaleSlope": 1 + i, "RescaleIntercept": -1000}},
    "RLE": {"syntax": RLELossless},
    "JPEG-LS": {"syntax": JPEGLSLossless},
    "JPEG 2000": {"syntax": JPEG2000Lossless},
    "one acquisition number a slice": {"each": lambda i: {"AcquisitionNumber": i + 1}},
    "12 of 16 bits": {"BitsStored": 12, "HighBit": 11},
}


@pytest.mark.parametrize("name", SERIES)
def test_read_as_simple_itk_does(name, tmp_path):
    write_series(tmp_path, VOXELS, **SERIES[name])
    scan = imaging.read(tmp_path)
    expected, affine = by_simple_itk(tmp_path)
    np.testing.assert_array_equal(slices(scan), expected)
    np.testing.assert_allclose(scan.affine, affine, atol=1e-5)
    slope = np.arange(1, 6) if "slice by" in name else np.ones(5)
    np.testing.assert_array_equal(slices(scan), VOXELS * slope[:, None, None] - 1000 * ("slice by" in name))


def test_signed_values(tmp_path):
    write_series(tmp_path, VOXELS.astype(np.int16) - 500, sop_class=CT, Modality="CT")
    np.testing.assert_array_equal(slices(imaging.read(tmp_path)), VOXELS.astype(float) - 500)


def test_monochrome1_is_turned_so_that_bright_is_high(tmp_path):
    write_series(tmp_path, VOXELS, PhotometricInterpretation="MONOCHROME1", BitsStored=12, HighBit=11)
    np.testing.assert_array_equal(slices(imaging.read(tmp_path)), 4095.0 - VOXELS)


def test_a_tilted_gantry_shears_the_affine(tmp_path):
    # ITK leaves the shear out, so it is compared with the positions themselves.
    write_series(
        tmp_path, VOXELS, each=lambda i: {"ImagePositionPatient": [0, 1.5 * i, 2 * i], "GantryDetectorTilt": 36.9}
    )
    scan = imaging.read(tmp_path)
    np.testing.assert_allclose(scan.affine[:3, 2], [0, -1.5, 2])
    for index in range(5):
        np.testing.assert_allclose((scan.affine @ [0, 0, index, 1])[:3], [0, -1.5 * index, 2 * index])


def test_copies_are_left_out(tmp_path):
    write_series(tmp_path, VOXELS)
    (tmp_path / "again").mkdir()
    (tmp_path / "again" / "copy").write_bytes((tmp_path / "002.dcm").read_bytes())
    image(VOXELS[3], 40, ImagePositionPatient=[-10, 20, 36], ImageOrientationPatient=[1, 0, 0, 0, 1, 0]).save_as(
        tmp_path / "new-identifier.dcm"
    )
    (series,) = find_series(tmp_path)
    assert len(series.frames) == 5
    np.testing.assert_array_equal(slices(read_series(series)), VOXELS)


def test_two_slices_in_one_place_are_refused(tmp_path):
    write_series(tmp_path, VOXELS)
    image(VOXELS[0], 40, ImagePositionPatient=[-10, 20, 36], ImageOrientationPatient=[1, 0, 0, 0, 1, 0]).save_as(
        tmp_path / "x.dcm"
    )
    with pytest.raises(InputError, match=r"1 slices lie where another does .*\(instance 4 and instance 40\)"):
        imaging.read(tmp_path)


@pytest.mark.parametrize(
    ("missing", "reason"),
    [
        ([3], r"1 of 8 slices missing, 1 between instance 3 and instance 5 \(a step of 2 mm elsewhere\)"),
        ([2, 5, 6], r"3 of 8 slices missing, 1 between instance 2 and instance 4; 2 between instance 5 and instance 8"),
    ],
)
def test_missing_slices_are_named(missing, reason, tmp_path):
    write_series(tmp_path, np.repeat(VOXELS, 2, axis=0)[:8])
    for index in missing:
        (tmp_path / f"{index + 1:03d}.dcm").unlink()
    with pytest.raises(InputError, match=reason):
        imaging.read(tmp_path)


def test_uneven_steps_are_named(tmp_path):
    write_series(tmp_path, VOXELS, each=lambda i: {"ImagePositionPatient": [0, 0, [0, 2, 4, 7, 9][i]]})
    with pytest.raises(InputError, match="2 mm apart but 3 mm between instance 3 and instance 4"):
        imaging.read(tmp_path)


def test_rounded_positions_are_even(tmp_path):
    write_series(tmp_path, VOXELS, each=lambda i: {"ImagePositionPatient": [0, 0, round(3.27 * i, 1)]})
    np.testing.assert_allclose(imaging.read(tmp_path).spacing[2], 13.1 / 4)


def test_localizers_are_passed_over(tmp_path):
    write_series(tmp_path / "ct", VOXELS)
    localizer = {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"], "orientation": (0, 1, 0, 0, 0, -1)}
    write_series(tmp_path / "scout", VOXELS[:2], **localizer)
    write_series(tmp_path / "other", VOXELS[:3], name="localizers", SeriesNumber=2, **localizer)
    assert len(find_series(tmp_path)) == 3
    np.testing.assert_array_equal(slices(imaging.read(tmp_path)), VOXELS)


@pytest.mark.parametrize(
    ("tag", "values", "words"),
    [
        ("EchoTime", (10.0, 90.0), "echo time, ms 90"),
        ("TemporalPositionIdentifier", (1, 2), "time 2"),
        ("AcquisitionTime", ("101500", "101700"), "volume 2 of 2"),
    ],
)
def test_echoes_and_phases_are_volumes_of_their_own(tag, values, words, tmp_path):
    for number, value in enumerate(values):
        write_series(tmp_path, VOXELS + number, names=[f"{number}-{i}" for i in range(5)], **{tag: value})
    first, second = find_series(tmp_path)
    np.testing.assert_array_equal(slices(read_series(first)), VOXELS)
    np.testing.assert_array_equal(slices(read_dicom(tmp_path, "2")), VOXELS + 1)
    assert words in second.name
    with pytest.raises(UsageError, match="holds several series"):
        imaging.read(tmp_path)
    with pytest.raises(UsageError, match="is of several volumes, choose by number"):
        read_dicom(tmp_path, first.uid)


def test_series_are_listed_and_chosen(tmp_path):
    write_series(tmp_path / "a", VOXELS, SeriesNumber=7, SeriesDescription="axial")
    write_series(tmp_path / "b", VOXELS + 5, name="second", SeriesNumber=3)
    with pytest.raises(UsageError, match=r"(?s)choose one by --series.*1  series 3 MR .*2  series 7 MR .*'axial'"):
        imaging.read(tmp_path)
    series = find_series(tmp_path)
    for chosen in (
        read_dicom(tmp_path, "1"),
        read_dicom(tmp_path, series[0].uid),
        imaging.read(f"{tmp_path}#{series[0].uid}"),
    ):
        np.testing.assert_array_equal(slices(chosen), VOXELS + 5)
    for wrong in ("0", "3", "1.2.3"):
        with pytest.raises(UsageError, match=f"--series {wrong}: is none of those"):
            choose(series, wrong, tmp_path)


def test_no_message_holds_data_of_the_patient(tmp_path):
    write_series(tmp_path, VOXELS)
    write_series(tmp_path, VOXELS[:2] + 1, names=["x", "y"], PatientID="P2", PatientName="Roe^Richard")
    with pytest.raises(InputError, match="its slices are of 2 patients") as raised:
        imaging.read(tmp_path)
    assert not {"P1", "P2", "Roe", "Doe"} & set(str(raised.value).replace("^", " ").split())


def test_zip_and_dicomdir(tmp_path):
    write_series(tmp_path / "series", VOXELS)
    with zipfile.ZipFile(tmp_path / "series.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for file in (tmp_path / "series").iterdir():
            archive.write(file, f"some/where/{file.name}")
        archive.writestr("readme.txt", "no DICOM")
    medium = FileSet()
    for file in (tmp_path / "series").iterdir():
        medium.add(file)
    medium.write(tmp_path / "medium")
    for place in (tmp_path / "series.zip", tmp_path / "medium" / "DICOMDIR", tmp_path / "medium"):
        np.testing.assert_array_equal(slices(imaging.read(place)), VOXELS)


@pytest.mark.parametrize("sop_class", [ENHANCED_CT, "1.2.840.10008.5.1.4.1.1.4.1"])
def test_enhanced_multi_frame(sop_class, tmp_path):
    order = [3, 1, 0, 4, 2]
    rescale = [(1 + i, -i) for i in range(5)]
    path = tmp_path / "enhanced.dcm"
    enhanced(VOXELS, sop_class=sop_class, order=order, rescale=rescale).save_as(path)
    scan = imaging.read(path)
    for frame, place in enumerate(order):
        np.testing.assert_array_equal(scan.voxels[:, :, place, 0].T, VOXELS[frame] * (1.0 + frame) - frame)
    np.testing.assert_allclose(scan.affine, [[-0.75, 0, 0, 10], [0, -0.5, 0, -20], [0, 0, 2, 30], [0, 0, 0, 1]])


def test_enhanced_echoes_are_volumes_of_their_own(tmp_path):
    both = np.concatenate([VOXELS, VOXELS + 1])
    enhanced(both, order=[*range(5)] * 2, echoes=[10.0] * 5 + [20.0] * 5).save_as(tmp_path / "e.dcm")
    np.testing.assert_array_equal(slices(read_dicom(tmp_path / "e.dcm", "2")), VOXELS + 1)


def test_single_images_are_flat(tmp_path):
    unplaced = {"sop_class": US, "Modality": "US", "FrameOfReferenceUID": None, "PixelSpacing": None}
    image(VOXELS[0], **unplaced).save_as(tmp_path / "us.dcm")
    scan = imaging.read(tmp_path / "us.dcm")
    np.testing.assert_array_equal(scan.voxels[..., 0], VOXELS[0])
    assert not scan.has_spacing
    colour = np.random.default_rng(1).integers(0, 255, (34, 40, 3)).astype(np.uint8)
    image(colour, **{**unplaced, "PixelSpacing": [0.5, 0.75]}).save_as(tmp_path / "rgb.dcm")
    scan = imaging.read(tmp_path / "rgb.dcm")
    np.testing.assert_array_equal(scan.voxels, colour)
    assert scan.spacing == (0.5, 0.75)


def test_a_film_is_no_volume(tmp_path):
    film = image(VOXELS, sop_class=US_MULTIFRAME, Modality="US", FrameOfReferenceUID=None)
    film.save_as(tmp_path / "film.dcm")
    with pytest.raises(InputError, match="5 of its 5 images do not say where they lie"):
        imaging.read(tmp_path / "film.dcm")
    with pytest.raises(InputError, match="has 5 slices or frames, expected one image for a 2D network"):
        read_dicom(tmp_path / "film.dcm", rank=2)
