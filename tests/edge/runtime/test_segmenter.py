"""Whole scans through networks of known answer, back in the scan's own geometry."""

import dataclasses

import nibabel
import numpy as np
import pytest
from edge_artifacts import LABELS, graded_scan, values_of

import edge
import imaging
from imaging import InputError, Scan, UsageError
from imaging.cleaning import ClassCleaning, Postprocessing
from medseg import record

VOLUMES = (
    "folded-int8",
    "folded-uint8",
    "height-int8",
    "channels-int8",
    "native-float",
    "onnx-folded-uint8",
    "onnx-native-float",
)
OBLIQUE = nibabel.affines.from_matvec(
    nibabel.eulerangles.euler2mat(0.2, -0.1, 0.3) @ np.diag([0.8, 1.2, 2.5]), [-31.5, 12.25, 7.0]
)
NAMED = {label.name: label.value for label in LABELS[1:]}
PERMUTED = np.array([[0, 0, -2.0, 40], [1.5, 0, 0, -9], [0, -1.0, 0, 3], [0, 0, 0, 1]])


def with_recipe(segmenter, **changes):
    recipe = dataclasses.replace(segmenter.manifest.recipe, **changes)
    return dataclasses.replace(segmenter, manifest=dataclasses.replace(segmenter.manifest, recipe=recipe))


@pytest.mark.parametrize("name", VOLUMES)
@pytest.mark.parametrize(
    ("shape", "affine"),
    [((8, 16, 12), np.eye(4)), ((20, 18, 31), PERMUTED), ((5, 9, 3), OBLIQUE), ((4, 40, 13), OBLIQUE)],
    ids=["one patch", "flipped and permuted", "smaller than the patch", "tiles and padding"],
)
def test_every_voxel_is_where_it_was(artifacts, name, shape, affine):
    intensity = graded_scan(shape)
    segmentation = edge.load(artifacts[name]).predict(Scan(intensity[..., None], affine))
    np.testing.assert_array_equal(segmentation.labels.voxels[..., 0], values_of(intensity))
    np.testing.assert_array_equal(segmentation.labels.affine, affine)
    assert segmentation.labels.voxels.dtype == np.int16


def test_folded_axis_runs_in_the_order_of_the_slices(artifacts):
    intensity = graded_scan((8, 16, 12))
    labels = edge.load(artifacts["next-slice"]).predict(Scan(intensity[..., None], np.eye(4))).labels.voxels[..., 0]
    expected = np.zeros_like(labels)
    expected[:-1] = np.where(intensity[1:] > 0.5, LABELS[1].value, 0)
    np.testing.assert_array_equal(labels, expected)


def test_cropped_margin_is_background(artifacts):
    intensity = np.zeros((14, 30, 17), np.float32)
    intensity[3:9, 5:25, 2:16] = 3
    segmenter = with_recipe(edge.load(artifacts["folded-int8"]), crop_nonzero=True)
    labels = segmenter.predict(Scan(intensity[..., None], PERMUTED)).labels.voxels[..., 0]
    np.testing.assert_array_equal(labels, values_of(intensity))


@pytest.mark.parametrize("affine", [PERMUTED, OBLIQUE], ids=["axis aligned", "oblique"])
def test_resampled_scan_agrees_with_its_stages(artifacts, affine):
    scan = Scan(graded_scan((15, 22, 18))[..., None], affine)
    segmenter = with_recipe(edge.load(artifacts["native-float"]), spacing=(1.1, 0.9, 1.7))
    prepared = imaging.prepare(scan, segmenter.manifest.recipe)
    # the network in closed form, instead of tiles through the runtime
    scores = np.concatenate([0 * prepared.voxels, 4 * prepared.voxels - 2, 8 * prepared.voxels - 10], -1)
    best = imaging.restore(scores, prepared, scan).argmax(-1)
    expected = np.array([label.value for label in LABELS])[best]
    labels = segmenter.predict(scan).labels.voxels[..., 0]
    assert labels.shape == scan.shape
    assert (labels != expected).mean() < 1e-3  # ties within rounding


def test_flat_image_resized_and_back(artifacts):
    intensity = np.zeros((50, 60), np.float32)
    intensity[10:40, 20:50] = 3
    segmenter = with_recipe(edge.load(artifacts["flat-int8"]), size=(32, 48))
    segmentation = segmenter.predict(Scan(intensity[..., None], np.eye(4)))
    expected = values_of(intensity)
    assert segmentation.volumes_ml == {}
    inner = np.s_[12:38, 22:48]
    np.testing.assert_array_equal(segmentation.labels.voxels[..., 0][inner], expected[inner])
    assert (segmentation.labels.voxels[..., 0] != expected).mean() < 0.08  # the blurred edge only


def test_two_channels(artifacts):
    voxels = np.stack([graded_scan((30, 40), 1), graded_scan((30, 40), 2)], -1)
    labels = edge.load(artifacts["two-channels"]).predict(Scan(voxels, np.eye(4))).labels.voxels[..., 0]
    np.testing.assert_array_equal(labels, np.where(voxels[..., 1] > voxels[..., 0], LABELS[1].value, 0))
    assert labels.dtype == np.uint8


def test_volumes_are_counted_in_the_source_geometry(artifacts):
    intensity = graded_scan((20, 18, 31))
    segmentation = edge.load(artifacts["folded-int8"]).predict(Scan(intensity[..., None], OBLIQUE))
    voxel_ml = 0.8 * 1.2 * 2.5 / 1000
    expected = {name: np.count_nonzero(values_of(intensity) == value) * voxel_ml for name, value in NAMED.items()}
    assert segmentation.volumes_ml == pytest.approx(expected)


def test_logits_are_real_numbers_on_the_prepared_grid(artifacts):
    voxels = graded_scan((11, 16, 12))[..., None]
    logits = edge.load(artifacts["folded-int8"]).logits(voxels)
    assert logits.dtype == np.float32
    output = edge.load_manifest(artifacts["folded-int8"]).output
    expected = np.concatenate([0 * voxels, 4 * voxels - 2, 8 * voxels - 10], -1)
    np.testing.assert_allclose(logits, expected, atol=2 * output.scale + 0.1)


def test_progress_counts_the_tiles(artifacts):
    seen = []
    segmenter = edge.load(artifacts["folded-int8"])
    segmentation = segmenter.predict(
        Scan(graded_scan((20, 16, 12))[..., None], np.eye(4)), lambda *now: seen.append(now)
    )
    assert seen == [(done, 4) for done in (1, 2, 3, 4)]  # 20 slices in patches of 8, half overlapping
    assert set(segmentation.stages) == {"prepare", "network", "restore"}
    assert sum(segmentation.stages.values()) == pytest.approx(segmentation.seconds)


def test_the_scan_is_not_changed(artifacts):
    scan = Scan(graded_scan((9, 17, 12))[..., None], PERMUTED)
    before = scan.voxels.copy()
    edge.load(artifacts["folded-int8"]).predict(scan)
    np.testing.assert_array_equal(scan.voxels, before)


@pytest.mark.parametrize(
    ("voxels", "message"),
    [
        (np.zeros((8, 8, 1), np.float32), "2 spatial axes; the recipe takes 3"),
        (np.zeros((8, 8, 8, 2), np.float32), "2 channels; the recipe takes 1"),
        (np.full((8, 8, 8, 1), np.nan, np.float32), "512 voxels are NaN or infinite"),
    ],
)
def test_unfit_scans(artifacts, voxels, message):
    with pytest.raises(InputError, match=message):
        edge.load(artifacts["folded-int8"]).predict(Scan(voxels, np.eye(4)))


def test_a_segmenter_is_shown_in_one_line(artifacts):
    shown = repr(edge.load(artifacts["folded-int8"], 1))
    assert shown == "<Segmenter folded-int8: tflite-int8, patch 8 x 16 x 12, core, rim>"


def test_an_array_with_a_spacing_is_a_scan_along_the_axes_of_the_world(artifacts):
    intensity = graded_scan((9, 20, 13))
    segmenter = with_recipe(edge.load(artifacts["native-float"]), spacing=(1.0, 1.0, 2.0))
    expected = segmenter.predict(Scan(intensity[..., None], np.diag([1.0, 2.0, 3.0, 1.0])))
    for array in (intensity, intensity[..., None], intensity.astype(np.uint8)):
        segmentation = segmenter.predict(array, spacing=(1, 2, 3))
        np.testing.assert_array_equal(segmentation.labels.voxels, expected.labels.voxels)
        assert segmentation.labels.spacing == (1, 2, 3)
        assert segmentation.volumes_ml == expected.volumes_ml
    turned = with_recipe(segmenter, orientation="LPS").predict(intensity, spacing=(1, 2, 3))
    assert turned.labels.voxels.shape == (9, 20, 13, 1)


def test_a_flat_array_needs_no_spacing(artifacts):
    pixels = graded_scan((40, 50)).astype(np.uint8)
    labels = edge.load(artifacts["flat-int8"]).predict(pixels).labels
    np.testing.assert_array_equal(labels.voxels[..., 0], values_of(pixels))
    assert labels.spacing == (1, 1)


@pytest.mark.parametrize(
    ("given", "spacing", "error", "message"),
    [
        (np.zeros((8, 8, 8)), None, UsageError, "spacing: missing; give the voxel size in mm"),
        (np.zeros((8, 8, 8)), (1, 1), UsageError, "expected 3 positive numbers of mm"),
        (np.zeros((8, 8, 8)), (1, 1, 0), UsageError, "expected 3 positive numbers of mm"),
        (np.zeros((8, 8, 8)), (1, 1, np.nan), UsageError, "expected 3 positive numbers of mm"),
        (Scan(np.zeros((8, 8, 8, 1)), np.eye(4)), (1, 1, 1), UsageError, "a Scan has its own"),
        (np.zeros((8, 8)), (1, 1, 1), InputError, r"array of shape \(8, 8\): expected 3 spatial axes"),
        (np.zeros((8, 0, 8)), (1, 1, 1), InputError, r"array of shape \(8, 0, 8\)"),
        (np.zeros((8, 8, 8, 2)), (1, 1, 1), InputError, "2 channels; the recipe takes 1"),
        (np.zeros((8, 8, 8), complex), (1, 1, 1), InputError, "array of type complex128"),
        ("scan.nii.gz", None, InputError, "array of type <U11"),
        (np.full((8, 8, 8), np.nan), (1, 1, 1), InputError, "512 voxels are NaN or infinite"),
        (np.full((8, 8, 8), np.inf), (1, 1, 1), InputError, "512 voxels are NaN or infinite"),
        (np.zeros((8, 8, 8)), (60, 60, 1e6), InputError, "is the unit in"),
    ],
)
def test_arrays_that_are_no_scan(artifacts, given, spacing, error, message):
    segmenter = with_recipe(edge.load(artifacts["native-float"]), spacing=(1.0, 1.0, 1.0))
    with pytest.raises(error, match=message):
        segmenter.predict(given, spacing=spacing)


def test_what_cross_validation_adopted_is_done_on_the_device(artifacts, tmp_path):
    intensity = np.zeros((20, 30, 24), np.float32)
    intensity[2:10, 3:20, 4:20] = 1.0
    intensity[15:17, 25:27, 2:4] = 1.0  # an island
    scan = Scan(intensity[..., None], np.diag([1.0, 1.0, 2.0, 1.0]))
    segmenter = edge.load(artifacts["native-float"])
    plain = segmenter.predict(scan).labels.voxels[..., 0]
    chosen = Postprocessing((ClassCleaning(LABELS[1].name, largest=True),))
    record.save(tmp_path / "postprocessing.json", chosen)  # as it lies in a manifest
    chosen = record.load(tmp_path / "postprocessing.json", Postprocessing)
    manifest = dataclasses.replace(segmenter.manifest, postprocessing=chosen)
    segmentation = dataclasses.replace(segmenter, manifest=manifest).predict(scan)
    island = (slice(14, 18), slice(24, 28), slice(1, 5))
    assert (plain[island] == LABELS[1].value).any()
    expected = plain.copy()
    expected[island] = 0
    np.testing.assert_array_equal(segmentation.labels.voxels[..., 0], expected)
    assert segmentation.volumes_ml[LABELS[1].name] == pytest.approx((expected == LABELS[1].value).sum() * 2e-3)
