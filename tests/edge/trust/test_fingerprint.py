"""Flags and predicted quality: what is like the training passes, what is not is named."""

import dataclasses
import json

import numpy as np
import pytest

import edge
import imaging
from edge.cli import main
from edge.manifest import SCHEMA, load_manifest
from edge.trust.fingerprint import (
    EMPTY,
    Fingerprint,
    estimate,
    fit_quality,
    flags_of,
    make_fingerprint,
    unlikeness,
)
from edge.trust.layout import cells_of, layout_features
from edge.trust.observation import as_read, scan_features
from imaging.recipe import prepare
from imaging.scan import Scan
from medseg import record


def scan_of(seed, shape=(8, 20, 18), spacing=(1.0, 1.0, 1.2)):
    """Blocks of intensities 0, 1 and 3, alike from seed to seed, for the graded networks."""
    random = np.random.default_rng(seed)
    voxels = np.zeros(shape, np.float32)
    voxels[2:6, 4:14, 4:14] = 1
    voxels[3:5, 7:11, 7:11] = 3
    shift = tuple(random.integers(-1, 2, 2))
    return Scan(np.roll(voxels, shift, (1, 2))[..., None], np.diag([*spacing, 1.0]))


@pytest.fixture(scope="module")
def trained(artifacts, tmp_path_factory):
    """An artifact whose manifest knows the scans of ``scan_of``."""
    folder = tmp_path_factory.mktemp("trained")
    for path in artifacts["native-float"].iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    segmenter = edge.load(folder)
    observing = dataclasses.replace(
        segmenter, manifest=dataclasses.replace(segmenter.manifest, training=Fingerprint(0, {}))
    )
    scans = [scan_of(seed) for seed in range(8)]
    cells = [cells_of(prepare(scan, segmenter.manifest.recipe)) for scan in scans]
    made = make_fingerprint([observing.predict(scan).features for scan in scans], cells=cells)
    record.save(folder / "manifest.json", dataclasses.replace(segmenter.manifest, training=made))
    return folder


def test_scans_like_those_of_the_training_have_no_flags(trained):
    segmenter = edge.load(trained)
    assert segmenter.manifest.training.cases == 8
    for seed in range(20, 30):
        assert segmenter.predict(scan_of(seed)).flags == ()


@pytest.mark.parametrize(
    ("change", "flag"),
    [
        (lambda scan: scan_of(30, spacing=(1.0, 1.0, 5.0)), "unlike training: spacing, largest 5 mm"),
        (lambda scan: scan_of(30, shape=(40, 20, 18)), "unlike training: field of view, largest 40 mm"),
        (lambda scan: dataclasses.replace(scan, voxels=scan.voxels * 4), "unlike training: contrast (intensity"),
        (lambda scan: dataclasses.replace(scan, voxels=np.roll(scan.voxels, 9, 1)), "unlike training: region (place"),
        (lambda scan: dataclasses.replace(scan, voxels=scan.voxels * 0), EMPTY),
        (
            lambda scan: dataclasses.replace(
                scan, voxels=scan.voxels + np.random.default_rng(0).normal(0, 0.3, scan.voxels.shape)
            ),
            "unlike training: texture (",
        ),
    ],
)
def test_what_is_unlike_is_named(trained, change, flag):
    flags = edge.load(trained).predict(change(scan_of(30))).flags
    assert any(text.startswith(flag) for text in flags), flags


def test_the_command_says_so(trained, artifacts, tmp_path, capsys):
    imaging.write(tmp_path / "thick.nii.gz", scan_of(30, spacing=(1.0, 1.0, 5.0)))
    out = tmp_path / "out.nii.gz"
    words = ["predict", str(trained), str(tmp_path / "thick.nii.gz"), "-o", str(out)]
    assert main([*words, "--json"]) == 0
    (report,) = json.loads(capsys.readouterr().out)["scans"]
    assert any("spacing, largest 5 mm" in flag for flag in report["flags"])
    assert report["quality"] is None
    assert main(words) == 0
    assert "check this result: unlike training: spacing, largest 5 mm" in capsys.readouterr().out
    # Artifacts that know nothing of their training tell at least what is empty.
    imaging.write(tmp_path / "dark.nii.gz", dataclasses.replace(scan_of(0), voxels=0 * scan_of(0).voxels))
    words = ["predict", str(artifacts["native-float"]), str(tmp_path / "dark.nii.gz"), "-o", str(out), "--json"]
    assert main(words) == 0
    assert json.loads(capsys.readouterr().out)["scans"][0]["flags"] == [EMPTY]


def test_manifests_of_before_are_read(artifacts, tmp_path):
    data = json.loads((artifacts["native-float"] / "manifest.json").read_text())
    del data["training"]
    for path in artifacts["native-float"].iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "manifest.json").write_text(json.dumps(data | {"schema": 2, "needs": "0.2.0"}))
    manifest = load_manifest(tmp_path)
    assert manifest.training is None
    assert manifest.schema == SCHEMA.newest


def test_a_picture_upside_down_is_named():
    random = np.random.default_rng(0)
    ramp = np.add.outer(np.arange(40.0), 2 * np.arange(50.0))[..., None]
    scans = [Scan((ramp + random.normal(0, 20, ramp.shape)).astype(np.float32), np.eye(4)) for _ in range(9)]
    cells = [cells_of(scan) for scan in scans]
    made = make_fingerprint([scan_features(scan) for scan in scans[:8]], cells=cells[:8])
    assert flags_of(layout_features(cells[8], made.layout), made, empty=False) == ()
    flags = flags_of(layout_features(np.flip(cells[8], 0), made.layout), made, empty=False)
    assert any(text.startswith("unlike training: orientation (likeness over turned) -") for text in flags), flags


def test_ranges_of_few_cases_are_wider():
    values = np.random.default_rng(0).uniform(0, 1, 100)
    widths = [
        made.high - made.low
        for made in (
            make_fingerprint([{"place 0": v} for v in (0.0, 1.0, *values[:n])]).ranges["place 0"] for n in (6, 98)
        )
    ]
    assert widths == pytest.approx([1 + 2 * (0.25 + 8 / 8), 1 + 2 * (0.25 + 8 / 100)])


def test_a_manifest_of_before_the_layout_has_its_other_flags(trained):
    segmenter = edge.load(trained)
    assert segmenter.manifest.training.layout is not None
    earlier = dataclasses.replace(segmenter.manifest.training, layout=None)
    segmenter = dataclasses.replace(segmenter, manifest=dataclasses.replace(segmenter.manifest, training=earlier))
    segmentation = segmenter.predict(scan_of(30, spacing=(1.0, 1.0, 5.0)))
    assert "likeness" not in segmentation.features
    assert any("spacing" in flag for flag in segmentation.flags)


def test_nothing_is_measured_where_the_training_is_not_known(artifacts):
    segmenter = edge.load(artifacts["native-float"])
    assert as_read(scan_of(0), segmenter.manifest).features == {}
    assert segmenter.predict(scan_of(0)).features == {}


def test_detail_tells_noise_from_smooth_images():
    random = np.random.default_rng(0)
    noise = Scan(random.normal(size=(60, 60, 1)).astype(np.float32), np.eye(4))
    ramp = Scan(np.indices((60, 60)).sum(0)[..., None].astype(np.float32), np.eye(4))
    assert scan_features(noise)["detail"] == pytest.approx(1, abs=0.03)
    assert scan_features(ramp)["detail"] == pytest.approx(0.5)


def test_predicted_quality_covers_the_truth():
    random = np.random.default_rng(1)

    def drawn(count):
        confidence = random.uniform(0.7, 1, count)
        features = [{"confidence": c, "entropy": 1 - c, "unsure": 2 * (1 - c)} for c in confidence]
        return features, np.clip(2 * confidence - 1 + random.normal(0, 0.05, count), 0, 1)

    features, dice = drawn(300)
    quality = fit_quality(features, dice, [str(i % 50) for i in range(300)])
    made = make_fingerprint(features, quality)
    features, dice = drawn(400)
    estimates = [estimate(f, made) for f in features]
    covered = np.mean([e.low <= d <= e.high for e, d in zip(estimates, dice, strict=True)])
    assert 0.82 <= covered <= 0.98
    assert np.corrcoef([e.dice for e in estimates], dice)[0, 1] > 0.9
    assert estimate({}, made) is None
    assert fit_quality(features[:5], dice[:5], list("abcde")) is None
    assert make_fingerprint(features[:5]) is None
    assert flags_of(features[0], made, empty=False) == ()
    assert unlikeness({"confidence": 0.1}, made) > 1
