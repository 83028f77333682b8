"""What is written beside the labels, and the report of a run."""

import csv
import hashlib
import json
import math

import cv2
import nibabel
import numpy as np
import pytest
from edge_artifacts import graded_scan, values_of
from scipy import ndimage
from scipy.spatial.distance import pdist

import edge
from edge.cli import main
from edge.outputs.instances import find_instances, longest_distance, measure_objects
from edge.outputs.overlay import COLOURS, draw, picture
from edge.outputs.tables import csv_bytes
from imaging.labels import Label
from imaging.scan import Scan
from medseg.claims import claimed
from medseg.errors import InputError

LABELS = (Label("background", 0), Label("cyst", 2), Label("=rim", 5))
EVERYTHING = "probabilities,entropy,variance,instances,boxes,overlay,measurements"


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    nibabel.save(nibabel.Nifti1Image(graded_scan((11, 18, 12)), np.diag([1.0, 2.0, 1.5, 1])), "scan.nii.gz")
    return tmp_path


def blobs(seed, shape=(17, 15, 12)):
    random = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(random.normal(size=shape), 1.5)
    return np.where(smooth > 0.12, 2, np.where(smooth < -0.15, 5, 0)).astype(np.uint8)


@pytest.mark.parametrize("seed", range(3))
def test_instances_against_simpleitk(seed):
    import SimpleITK

    values = blobs(seed)
    spacing = (0.8, 1.5, 2.0)
    numbers, rows = find_instances(Scan(values[..., None], np.diag([*spacing, 1.0])), LABELS)
    for label in LABELS[1:]:
        image = SimpleITK.GetImageFromArray((values == label.value).astype(np.uint8).transpose(2, 1, 0))
        image.SetSpacing(spacing)
        statistics = SimpleITK.LabelShapeStatisticsImageFilter()
        statistics.Execute(SimpleITK.ConnectedComponent(image, True))
        expected = sorted(
            (statistics.GetPhysicalSize(i) / 1000, *statistics.GetCentroid(i), *statistics.GetBoundingBox(i))
            for i in statistics.GetLabels()
        )
        mine = [row for row in rows if row.label == label.name]
        measured = sorted(
            (row.volume_ml, *row.centre_mm, *row.start, *(b - a for a, b in zip(row.start, row.stop, strict=True)))
            for row in mine
        )
        np.testing.assert_allclose(measured, expected, rtol=1e-6)
        assert [row.voxels for row in mine] == sorted((row.voxels for row in mine), reverse=True)
    for row in rows:
        mask = numbers.voxels[..., 0] == row.number
        assert np.count_nonzero(mask) == row.voxels
        points = np.argwhere(mask) * spacing
        assert row.longest_diameter_mm == pytest.approx(pdist(points).max() if len(points) > 1 else 0)
        ball = math.pi / 6 * row.equivalent_diameter_mm**3 / 1000
        assert ball == pytest.approx(row.volume_ml)
    assert (numbers.voxels > 0).sum() == (values > 0).sum()


def test_the_longest_diameter_of_something_large():
    grid = np.indices((70, 70, 40)).reshape(3, -1).T
    ball = grid[((grid - [35, 35, 20]) ** 2).sum(1) < 18**2].astype(float)
    assert len(ball) > 2000
    assert longest_distance(ball) == pytest.approx(36.0, abs=0.5)
    flat = np.argwhere(np.ones((60, 60, 1))).astype(float)
    assert longest_distance(flat) == pytest.approx(math.hypot(59, 59))


def test_everything_beside_the_labels(artifacts, here, capfd):
    words = ["predict", str(artifacts["folded-int8"]), "scan.nii.gz", "-o", "out/seg.nii.gz", "--report", "r.json"]
    assert main([*words, "--save", EVERYTHING, "--mirror", "0,2"]) == 0
    out, err = capfd.readouterr()
    assert err == ""
    assert "out/seg.nii.gz written with 9 more beside it" in out
    assert sorted(path.name for path in (here / "out").iterdir()) == [
        "seg.nii.gz", "seg_boxes.json", "seg_entropy.nii.gz", "seg_instances.csv", "seg_instances.nii.gz",
        "seg_measurements.csv", "seg_measurements.json", "seg_overlay.png", "seg_probabilities.nii.gz",
        "seg_variance.nii.gz",
    ]  # fmt: skip
    expected = values_of(graded_scan((11, 18, 12)))
    np.testing.assert_array_equal(np.asarray(nibabel.load("out/seg.nii.gz").dataobj), expected)
    chances = nibabel.load("out/seg_probabilities.nii.gz").get_fdata()
    assert chances.shape == (11, 18, 12, 3)
    np.testing.assert_array_equal(np.array([0, 7, 300])[chances.argmax(-1)], expected)
    rows = list(csv.DictReader((here / "out/seg_measurements.csv").read_text().splitlines()))
    assert [row["label"] for row in rows] == ["core", "rim"]
    assert int(rows[0]["voxels"]) == np.count_nonzero(expected == 7)
    assert json.loads((here / "out/seg_measurements.json").read_text())[1]["volume_ml"] == pytest.approx(
        np.count_nonzero(expected == 300) * 3 / 1000
    )
    numbers = np.asarray(nibabel.load("out/seg_instances.nii.gz").dataobj)
    boxes = json.loads((here / "out/seg_boxes.json").read_text())
    assert len(boxes) == numbers.max()
    for box in boxes:
        inside = tuple(slice(a, b) for a, b in zip(box["start"], box["stop"], strict=True))
        assert (numbers[inside] == box["number"]).sum() == (numbers == box["number"]).sum()
    report = json.loads((here / "r.json").read_text())
    assert report["options"]["mirror"] == "0,2"
    (scan,) = report["scans"]
    assert scan["flags"] == []
    for file in (*scan["inputs"], *scan["outputs"].values()):
        with open(file["path"], "rb") as content:
            assert hashlib.sha256(content.read()).hexdigest() == file["sha256"]
    assert len(scan["outputs"]) == 10
    assert report["versions"]["numpy"] == np.__version__
    assert report["artifacts"][0]["model_sha256"]


def test_the_report_names_what_failed(artifacts, here, capfd):
    (here / "in").mkdir()
    for name, value in (("a", 1.0), ("b", np.nan)):
        nibabel.save(nibabel.Nifti1Image(np.full((9, 9, 9), value, np.float32), np.eye(4)), f"in/{name}.nii.gz")
    words = ["predict", str(artifacts["folded-int8"]), "in", "-o", "out", "--jobs", "2", "--report", "r.json"]
    assert main(words) == 1
    first, second = json.loads((here / "r.json").read_text())["scans"]
    assert "error" not in first
    assert "NaN" in second["error"]
    assert "outputs" not in second
    assert second["inputs"][0]["path"].endswith("in/b.nii.gz")
    capfd.readouterr()


def test_flat_outputs(artifacts, here, capfd):
    cv2.imwrite("image.png", graded_scan((40, 50)).astype(np.uint8))
    artifact = str(artifacts["flat-int8"])
    assert main(["predict", artifact, "image.png", "-o", "seg.tif", "--save", "probabilities,entropy,instances"]) == 0
    assert nibabel.load("seg_probabilities.nii.gz").shape == (40, 50, 1, 3)
    assert nibabel.load("seg_entropy.nii.gz").shape == (40, 50)
    assert cv2.imread("seg_instances.png", cv2.IMREAD_UNCHANGED).shape == (40, 50)
    capfd.readouterr()


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["--save", "heat"], 2, "--save heat: expected some of probabilities"),
        (["--save", "variance"], 2, "variance: is over flips or networks; give --mirror"),
        (["--mirror", "5"], 2, "--mirror 5: expected all, none, or axes from 0 to 2"),
        (["--roi", "threshold:x"], 2, "--roi threshold:x: expected a number"),
        (["--roi", "threshold:99"], 1, "no voxel is above it"),
        (["--roi", "absent"], 1, "absent: no such folder"),
        (["--roi", "threshold:1", "--roi-margin", "-1"], 2, "--roi-margin -1: expected 0 to 1000 mm"),
        (["--report", "scan.nii.gz"], 2, "scan.nii.gz: would be written over an input"),
        (["--report", "out/seg.nii.gz"], 2, "two outputs would be written there"),
    ],
)
def test_wrong_words(artifacts, here, capfd, words, status, message):
    before = (here / "scan.nii.gz").read_bytes()
    given = ["predict", str(artifacts["folded-int8"]), "scan.nii.gz", "-o", "out/seg.nii.gz", *words]
    assert main(given) == status
    out, err = capfd.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert message in err
    assert (here / "scan.nii.gz").read_bytes() == before
    assert sorted(path.name for path in here.iterdir()) == ["scan.nii.gz"]


def test_two_processes_do_not_write_one_output(artifacts, here, capfd):
    words = ["predict", str(artifacts["folded-int8"]), "scan.nii.gz", "-o", "seg.nii.gz"]
    with claimed("seg.nii.gz"):
        assert main(words) == 1
    assert "seg.nii.gz: another process is writing it" in capfd.readouterr().err
    assert not (here / "seg.nii.gz").exists()
    assert main(words) == 0
    with claimed("other.nii.gz"), pytest.raises(InputError), claimed(here / "other.nii.gz"):
        pytest.fail("claimed twice")


def test_an_ensemble_on_the_command_line(artifacts, here, capfd):
    both = f"{artifacts['folded-int8']},{artifacts['folded-uint8']}"
    words = ["predict", both, "scan.nii.gz", "-o", "seg.nii.gz", "--save", "variance", "--report", "report.json"]
    assert main(words) == 0
    reported = json.loads((here / "report.json").read_text())["artifacts"]
    manifests = [edge.load_manifest(artifacts[name]) for name in ("folded-int8", "folded-uint8")]
    assert [each["folder"] for each in reported] == both.split(",")
    assert [each["model_sha256"] for each in reported] == [manifest.sha256 for manifest in manifests]
    expected = values_of(graded_scan((11, 18, 12)))
    np.testing.assert_array_equal(np.asarray(nibabel.load("seg.nii.gz").dataobj), expected)
    capfd.readouterr()
    assert main(["predict", f"{artifacts['folded-int8']},", "scan.nii.gz", "-o", "seg.nii.gz"]) == 2
    assert "expected different artifacts joined by commas" in capfd.readouterr().err


def test_labels_are_outlined_and_tinted():
    labels = np.zeros((20, 30), np.uint8)
    labels[5:15, 8:20] = 2
    image = draw(np.full((20, 30), 100, np.uint8), labels, [1, 2])
    edge, inner = labels == 2, np.zeros((20, 30), bool)
    inner[6:14, 9:19] = True
    assert (image[~edge] == 100).all()
    assert (image[edge & ~inner] == COLOURS[1]).all()
    tinted = np.array([100] * 3) * 0.7 + np.array(COLOURS[1]) * 0.3
    np.testing.assert_allclose(image[inner], np.broadcast_to(tinted, (inner.sum(), 3)), atol=1)


def test_a_mosaic_shows_the_slices_that_hold_labels():
    voxels, labels = np.zeros((40, 30, 20, 1), np.float32), np.zeros((40, 30, 20, 1), np.uint8)
    labels[10:30, 10:20, 4:8] = 1
    affine = np.diag([1.0, 2.0, 3.0, 1])
    image = picture(Scan(voxels, affine), Scan(labels, affine), [1])
    assert image.shape == (2 * 160, 2 * 107, 3)  # four slices; 60 mm high and 40 mm wide
    for tile in (image[:160, :107], image[160:, 107:]):
        assert (tile == COLOURS[0]).all(-1).any()
    empty = picture(Scan(voxels, affine), Scan(0 * labels, affine), [1])
    assert empty.max() == 0


def test_a_ball_is_round_and_a_plate_is_not():
    grid = np.indices((40, 40, 40))
    ball = ((grid - 20) ** 2).sum(0) < 15**2
    plate = np.zeros((40, 40, 40), bool)
    plate[5:35, 5:35, 20:22] = True
    scan = Scan(grid[:1].transpose(1, 2, 3, 0).astype(np.float32), np.eye(4))
    numbers = Scan(np.where(ball, 1, 0)[..., None].astype(np.int32), np.eye(4))
    (row,) = measure_objects(numbers, "ball", scan)
    assert row.surface_mm2 == pytest.approx(4 * math.pi * 15**2, rel=0.12)
    assert row.sphericity == pytest.approx(1, abs=0.12)
    assert row.perimeter_mm is None
    assert row.mean_intensity == pytest.approx([20.0])
    (row,) = measure_objects(Scan(plate[..., None].astype(np.int32), np.eye(4)), "plate")
    assert row.surface_mm2 == pytest.approx(2 * 30 * 30 + 4 * 30 * 2, rel=0.05)
    ideal = math.pi ** (1 / 3) * (6 * 1800) ** (2 / 3) / row.surface_mm2
    assert row.sphericity == pytest.approx(ideal)
    assert row.mean_intensity == ()


def test_a_disc_has_a_perimeter():
    disc = ((np.indices((60, 60)) - 30) ** 2).sum(0) < 20**2
    (row,) = measure_objects(Scan(disc[..., None].astype(np.int32), np.eye(4)), "disc")
    assert row.perimeter_mm == pytest.approx(2 * math.pi * 20, rel=0.08)
    assert (row.surface_mm2, row.volume_ml) == (None, None)
    assert row.sphericity == pytest.approx(1, abs=0.08)


def test_parts_that_touch_are_split_where_it_is_asked(artifacts, here):
    from objects import balls

    two = balls((40, 56), [(20, 17), (20, 38)], [(12, 12), (12, 12)])
    values = Scan(np.where(two > 0, 2, 0)[..., None], np.eye(4))
    whole, rows = find_instances(values, LABELS)
    assert len(rows) == 1
    numbers, rows = find_instances(values, LABELS, split=True)
    assert [row.label for row in rows] == ["cyst", "cyst"]
    assert ((numbers.voxels > 0) == (whole.voxels > 0)).all()
    words = ["predict", str(artifacts["folded-int8"]), "scan.nii.gz", "-o", "out/seg.nii.gz", "--save"]
    assert main([*words, "instances,split"]) == 0
    assert main([*words, "split"]) == 2


def test_tables_hold_no_formula():
    rows = [{"=cmd voxels": 3, "label": "+rim", "volume_ml": -0.5}]
    lines = list(csv.reader(csv_bytes(rows).decode().splitlines()))
    assert lines == [["'=cmd voxels", "label", "volume_ml"], ["3", "'+rim", "-0.5"]]
    assert csv_bytes([], ["=a"]) == b"'=a\n"


def test_names_of_scans_steer_no_terminal(artifacts, here, capfd):
    (here / "in").mkdir()
    for name, value in (("a\N{RIGHT-TO-LEFT OVERRIDE}b", 1.0), ("c\N{RIGHT-TO-LEFT OVERRIDE}d", np.nan)):
        nibabel.save(nibabel.Nifti1Image(np.full((9, 9, 9), value, np.float32), np.eye(4)), f"in/{name}.nii.gz")
    assert main(["predict", str(artifacts["folded-int8"]), "in", "-o", "out"]) == 1
    said = capfd.readouterr()
    lines = [*said.out.splitlines(), *said.err.splitlines()]
    assert all(line.isprintable() for line in lines), lines
    assert any("\\u202ed.nii.gz" in line for line in lines)
