"""What we write in DICOM, read back by highdicom and SimpleITK, validated by dciodvfy, voxel for voxel."""

import json
import subprocess
from dataclasses import replace

import highdicom
import numpy as np
import pydicom
import pytest
import SimpleITK
from dicom_files import OBLIQUE, US, enhanced, image, write_series
from pydicom.sr.codedict import codes as dicom_codes
from servers import program

import imaging
from edge.dicom import DicomOptions, code_of, dicom_bytes, dicom_objects, load_codes
from edge.dicom.origin import origin
from imaging.io.dicom import find_series, read_dicom_labels, read_series
from imaging.labels import Label, Region
from medseg.errors import InputError, UsageError

LABELS = (Label("background", 0), Label("anterior", 1), Label("posterior", 2))
ORIGIN = origin("unet3d-hippocampus", LABELS, serial="0123456789abcdef")
SHAPE = (6, 20, 24)


def classes(shape=SHAPE):
    """Two blobs, one with holes and a pixel that touches at a corner; the first and last slice are empty."""
    values = np.zeros(shape, np.uint8)
    values[1:-1, 3:15, 4:12] = 1
    values[2, 6:9, 6:9] = 0
    values[2, 15, 12] = 1
    values[2:4, 5:18, 12:20] = 2
    values[3, 8, 15] = 0
    return values


def labels_of(scan, values):
    voxels = values.transpose(2, 1, 0)[..., None] if scan.rank == 3 else values[0][..., None]
    return replace(scan, voxels=voxels)


def series_in(folder, **tags):
    voxels = np.random.default_rng(0).integers(0, 900, SHAPE).astype(np.uint16)
    return find_series(write_series(folder, voxels, **tags))[0]


def objects_of(series, kinds, options=None, made_by=ORIGIN, values=None):
    scan = read_series(series)
    values = classes() if values is None else values
    return dicom_objects(labels_of(scan, values), series, made_by, kinds, options)


def saved(dataset, path):
    path.write_bytes(dicom_bytes(dataset))
    return path


def flat_us(folder):
    pixels = np.random.default_rng(0).integers(0, 255, SHAPE[1:]).astype(np.uint8)
    dataset = image(pixels, sop_class=US, Modality="US", FrameOfReferenceUID=None, PixelSpacing=[0.5, 0.5])
    folder.mkdir()
    dataset.save_as(folder / "us.dcm", enforce_file_format=True)
    return find_series(folder)[0]


def enhanced_mr(folder):
    folder.mkdir()
    enhanced(np.arange(np.prod(SHAPE)).reshape(SHAPE).astype(np.uint16), order=[5, 4, 3, 2, 1, 0]).save_as(
        folder / "e.dcm"
    )
    return find_series(folder)[0]


SOURCES = {
    "plain": series_in,
    "oblique": lambda folder: series_in(folder, orientation=OBLIQUE),
    "without thickness, study, sex and a valid date": lambda folder: series_in(
        folder, SliceThickness=None, StudyInstanceUID=None, PatientSex="female", StudyDate="yesterday"
    ),
    "Japanese name": lambda folder: series_in(
        folder, SpecificCharacterSet=["", "ISO 2022 IR 87"], PatientName="Yamada^Tarou=山田^太郎"
    ),
}


@pytest.mark.parametrize("source", [*SOURCES, "ultrasound image"])
def test_dciodvfy_finds_no_error(source, tmp_path):
    validator = program("dciodvfy")
    flat = source not in SOURCES
    series = flat_us(tmp_path / "in") if flat else SOURCES[source](tmp_path / "in")
    kinds = ("seg", "sr", "capture") if flat else ("seg", "sr", "rtstruct", "capture")
    made = objects_of(series, kinds, values=classes()[2:3] if flat else None)
    assert set(made) == set(kinds)
    for kind, datasets in made.items():
        path = saved(datasets[0], tmp_path / f"{kind}.dcm")
        said = subprocess.run([validator, path], capture_output=True, text=True)
        errors = [line for line in (said.stdout + said.stderr).splitlines() if line.startswith("Error")]
        assert not errors, kind


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("labelmap", [False, True])
def test_seg_is_read_back_voxel_for_voxel(source, labelmap, tmp_path):
    series = SOURCES[source](tmp_path / "in")
    made = objects_of(series, ("seg",), DicomOptions(labelmap=labelmap))
    path = saved(made["seg"][0], tmp_path / "seg.dcm")
    expected = labels_of(read_series(series), classes())
    back = read_dicom_labels(path, series)
    np.testing.assert_array_equal(back.voxels, expected.voxels)
    np.testing.assert_allclose(back.affine, expected.affine, atol=1e-6)
    read = highdicom.seg.segread(path)
    volume = read.get_volume(combine_segments=True)
    lps = np.diag([-1, -1, 1, 1]) @ expected.affine
    for k, j, i in np.argwhere(classes())[::37]:
        place = np.linalg.solve(volume.affine, lps @ [i, j, k, 1])[:3]
        assert volume.array[tuple(np.rint(place).astype(int))] == classes()[k, j, i]
    assert read.SegmentSequence[-1].SegmentLabel == "posterior"
    if not labelmap:
        stack = SimpleITK.ReadImage(str(path))
        assert np.count_nonzero(SimpleITK.GetArrayViewFromImage(stack)) == np.count_nonzero(classes())


def test_segments_refer_to_their_source_images(tmp_path):
    series = series_in(tmp_path / "in")
    (seg,) = objects_of(series, ("seg",))["seg"]
    assert seg.PatientID == "P1"
    instances = {frame.instance.uid: frame.position for frame in series.frames}
    for frame in seg.PerFrameFunctionalGroupsSequence:
        source = frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        np.testing.assert_allclose(frame.PlanePositionSequence[0].ImagePositionPatient, instances[source])


def test_seg_of_an_enhanced_image(tmp_path):
    series = enhanced_mr(tmp_path / "in")
    (seg,) = objects_of(series, ("seg",))["seg"]
    np.testing.assert_array_equal(
        read_dicom_labels(saved(seg, tmp_path / "seg.dcm"), series).voxels[..., 0].transpose(2, 1, 0), classes()
    )


def test_the_same_result_has_the_same_identifiers(tmp_path):
    series = series_in(tmp_path / "in")
    first, second = (objects_of(series, ("seg", "sr", "rtstruct", "capture")) for _ in range(2))
    changed = objects_of(series, ("seg",), values=classes() % 2)
    for kind, datasets in first.items():
        assert [d.SOPInstanceUID for d in datasets] == [d.SOPInstanceUID for d in second[kind]]
    assert first["seg"][0].SOPInstanceUID != changed["seg"][0].SOPInstanceUID


def test_regions_overlap(tmp_path):
    series = series_in(tmp_path / "in")
    regions = (Region("whole", (1, 2), 1), Region("core", (2,), 2))
    made_by = origin("net", LABELS, regions)
    seg = saved(objects_of(series, ("seg",), made_by=made_by)["seg"][0], tmp_path / "seg.dcm")
    from imaging.io.dicom import segment_masks

    masks = segment_masks(seg, series)
    np.testing.assert_array_equal(masks[1].voxels[..., 0].transpose(2, 1, 0), classes() > 0)
    np.testing.assert_array_equal(masks[2].voxels[..., 0].transpose(2, 1, 0), classes() == 2)
    with pytest.raises(InputError, match=r"segment 2 shares \d+ voxels with another"):
        imaging.read_labels(seg)
    with pytest.raises(InputError, match="may overlap; write it without --labelmap"):
        objects_of(series, ("seg",), DicomOptions(labelmap=True), made_by)


def test_rtstruct_is_read_back_voxel_for_voxel(tmp_path):
    for number, orientation in enumerate([(1, 0, 0, 0, 1, 0), OBLIQUE]):
        series = series_in(tmp_path / f"in{number}", orientation=orientation)
        path = saved(objects_of(series, ("rtstruct",))["rtstruct"][0], tmp_path / "rt.dcm")
        np.testing.assert_array_equal(read_dicom_labels(path, series).voxels[..., 0].transpose(2, 1, 0), classes())


def test_report_holds_the_volumes(tmp_path):
    series = series_in(tmp_path / "in")
    report = highdicom.sr.srread(saved(objects_of(series, ("sr",))["sr"][0], tmp_path / "sr.dcm"))
    groups = report.content.get_volumetric_roi_measurement_groups()
    voxel_ml = 0.5 * 0.75 * 2 / 1000
    for group, value, name in zip(groups, (1, 2), ("anterior", "posterior"), strict=True):
        (measured,) = group.get_measurements(name=dicom_codes.SCT.Volume)
        assert measured.value == pytest.approx(np.count_nonzero(classes() == value) * voxel_ml, abs=1e-6)
        assert group.tracking_identifier == name
        assert group.finding_type.meaning == "Hippocampus"


def test_capture_shows_the_outline(tmp_path):
    series = series_in(tmp_path / "in")
    captures = objects_of(series, ("capture",))["capture"]
    assert len(captures) == SHAPE[0]
    pixels = captures[2].pixel_array
    assert tuple(pixels[3, 5]) == (230, 100, 60)  # the colour of "anterior" in the table, on its upper edge
    grey = captures[0].pixel_array
    assert (grey == grey[..., :1]).all()


def test_codes_of_the_table_are_those_of_the_standard():
    known = {}
    from pydicom.sr import _concepts_dict

    for entries in _concepts_dict.concepts["SCT"].values():
        for value, (meaning, _) in entries.items():
            known.setdefault(value, set()).add(meaning)
    table = load_codes()
    assert len(table) > 40
    for row in table:
        for value, scheme, meaning in filter(None, (row.category, row.type, row.modifier)):
            # Myocardium is in the standard's tables of anatomy, which pydicom leaves out.
            assert scheme == "SCT"
            assert value == "74281007" or meaning in known[value]


def test_codes_of_classes(tmp_path):
    table = load_codes()
    assert code_of("anterior", "unet3d-hippocampus", table, 1).type[2] == "Hippocampus"
    assert code_of("anterior", "prostate", table, 1).type[2] == "Tissue"
    assert code_of("Left_Kidney", "", table, 1).modifier[2] == "Left"
    own = [{"names": ["anterior"], "category": ["85756007", "SCT", "Tissue"], "type": ["1", "99LOCAL", "Mine"]}]
    (tmp_path / "codes.json").write_text(json.dumps(own))
    series = series_in(tmp_path / "in")
    (seg,) = objects_of(series, ("seg",), DicomOptions(codes=tmp_path / "codes.json"))["seg"]
    assert seg.SegmentSequence[0].SegmentedPropertyTypeCodeSequence[0].CodeMeaning == "Mine"
    assert seg.SegmentSequence[1].SegmentedPropertyTypeCodeSequence[0].CodeMeaning == "Hippocampus"


@pytest.mark.parametrize(
    ("row", "match"),
    [
        ({"names": "liver"}, "row 1: names is 'liver'; expected a list"),
        ({"names": ["a"], "type": ["1", "SCT"], "category": ["1", "SCT", "A"]}, r"type is .* expected \[value, scheme"),
        ({"names": ["a"], "colour": [1, 2, 3]}, "unknown key 'colour'"),
        ({"names": ["a"], "color": [1, 2, 300]}, "expected three whole numbers from 0 to 255"),
    ],
)
def test_bad_tables_are_refused(row, match, tmp_path):
    (tmp_path / "codes.json").write_text(json.dumps([row]))
    with pytest.raises(InputError, match=match):
        load_codes(tmp_path / "codes.json")


def test_bad_wishes_are_refused(tmp_path):
    series = flat_us(tmp_path / "us")
    with pytest.raises(UsageError, match="kind 'dose': expected seg, sr, rtstruct, capture"):
        objects_of(series, ("dose",), values=classes()[:1])
    with pytest.raises(InputError, match="so no RTSTRUCT is written"):
        objects_of(series, ("rtstruct",), values=classes()[:1])


def test_labels_of_another_frame_of_reference(tmp_path):
    series = series_in(tmp_path / "in")
    for kind in ("seg", "rtstruct"):
        path = saved(objects_of(series, (kind,))[kind][0], tmp_path / f"{kind}.dcm")
        elsewhere = series_in(tmp_path / f"{kind}-elsewhere", FrameOfReferenceUID="1.2.3", name="elsewhere")
        with pytest.raises(InputError, match="is of another frame of reference than the series"):
            read_dicom_labels(path, elsewhere)
        beside = series_in(tmp_path / f"{kind}-beside", each=lambda i: {"ImagePositionPatient": [740, 20, 30 + 2 * i]})
        with pytest.raises(InputError, match="outside the series"):
            read_dicom_labels(path, beside)


def test_written_files_are_part_10(tmp_path):
    series = series_in(tmp_path / "in")
    for kind, datasets in objects_of(series, ("seg", "sr", "rtstruct", "capture")).items():
        assert (
            pydicom.dcmread(saved(datasets[0], tmp_path / f"{kind}.dcm")).SOPInstanceUID == datasets[0].SOPInstanceUID
        )
