"""Regions: which classes belong to them, how they are written into one segmentation, how they are scored."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imaging import InputError, Label, Recipe, Region, Scan, prepare, restore_classes, score_case
from imaging.measure.calibration import class_reliability, map_reliability
from imaging.measure.overlap import dice
from imaging.regions import (
    UNSETTLED,
    check_regions,
    classes_of,
    mask_of,
    region_classes,
    settled,
    structure_values,
    structures,
    written_classes,
)

# nnU-Net's example (BraTS): whole tumour, tumour core, enhancing tumour.
LABELS = (Label("background", 0), Label("class_1", 1), Label("class_2", 2), Label("enhancing", 7))
REGIONS = (Region("whole", (1, 2, 7), 1), Region("core", (2, 7), 2), Region("enhancing", (7,), 7))


def test_indices_and_values():
    assert region_classes(LABELS, REGIONS) == ((1, 2, 3), (2, 3), (3,))
    assert written_classes(LABELS, REGIONS) == (1, 2, 3)
    assert written_classes(LABELS, ()) is None
    assert structures(LABELS, REGIONS) == {"whole": (1, 2, 3), "core": (2, 3), "enhancing": (3,)}
    assert structures(LABELS) == {"class_1": (1,), "class_2": (2,), "enhancing": (3,)}
    assert structure_values(LABELS, REGIONS) == {"whole": (1, 2, 7), "core": (2, 7), "enhancing": (7,)}


def test_every_combination_of_channels_is_written_as_by_nnunet():
    """Its rule: for each region in turn, segmentation[mask] = value."""
    for signs in itertools.product((-1.0, 1.0), repeat=3):
        expected = 0
        for sign, index in zip(signs, (1, 2, 3), strict=True):
            expected = index if sign > 0 else expected
        assert classes_of(np.array([signs]), (1, 2, 3)) == [expected]
    # the order, not the number of the class, decides
    assert classes_of(np.array([[1.0, 1.0]]), (2, 1)) == [1]
    assert classes_of(np.array([[0.0, -1.0]]), (1, 2)) == [0]


def test_disjoint_classes_are_the_argmax():
    scores = np.random.default_rng(0).integers(0, 3, (5, 6, 4)).astype(np.float32)
    np.testing.assert_array_equal(classes_of(scores), scores.argmax(-1))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_nested_regions_come_back_from_what_is_written(seed):
    """Where a network's regions are nested, each is the union of the classes that it covers."""
    rng = np.random.default_rng(seed)
    scores = np.minimum.accumulate(rng.normal(size=(4, 5, 3)), axis=-1)
    classes = classes_of(scores, written_classes(LABELS, REGIONS))
    for channel, indices in enumerate(region_classes(LABELS, REGIONS)):
        np.testing.assert_array_equal(mask_of(classes, indices), scores[..., channel] > 0)


def test_restored_to_a_scan_that_was_turned_cropped_and_resampled():
    rng = np.random.default_rng(1)
    voxels = np.zeros((10, 12, 9, 1), np.float32)
    voxels[2:8, 3:11, 1:8] = rng.normal(5, 1, (6, 8, 7, 1))
    source = Scan(voxels, np.diag([-1.0, 2.0, 1.0, 1.0]))
    for spacing in (None, (2.0, 2.0, 2.0)):
        prepared = prepare(source, Recipe(3, orientation="RAS", spacing=spacing, crop_nonzero=True))
        scores = np.full((*prepared.shape, 3), -2.0, np.float32)
        scores[..., 0] = 3.0
        inner = tuple(slice(1, n - 1) for n in prepared.shape)
        scores[(*inner, 1)] = 3.0
        restored = restore_classes(scores, prepared, source, slab=3, written=(1, 2, 3))
        assert restored[0, 0, 0] == 0  # cropped away
        assert set(np.unique(restored[4:6, 6:8, 4:5])) == {2}
        assert not (restored == 3).any()
        if spacing is None:
            np.testing.assert_array_equal(restored > 0, (voxels != 0)[..., 0])
    everywhere = restore_classes(np.ones_like(scores), prepared, source, written=(1, 2, 3))
    assert everywhere[0, 0, 0] == 0
    assert everywhere[5, 7, 4] == 3


def test_scores_are_those_of_the_regions():
    rng = np.random.default_rng(2)
    prediction, reference = rng.integers(0, 4, (2, 8, 7, 6))
    reference[0] = 4  # nobody has labelled these
    result = score_case(prediction, reference, LABELS, (1, 1, 1), regions=REGIONS)
    assert list(result) == ["whole", "core", "enhancing"]
    for region, indices in zip(REGIONS, region_classes(LABELS, REGIONS), strict=True):
        expected = dice(np.isin(prediction[1:], indices), np.isin(reference[1:], indices))
        assert result[region.name]["dice"] == pytest.approx(expected)


def test_reliability_of_maps_is_that_of_classes_where_they_are_disjoint():
    rng = np.random.default_rng(3)
    reference = rng.integers(0, 4, (6, 5))
    probabilities = rng.dirichlet(np.ones(3), (6, 5))
    maps = np.eye(4, dtype=bool)[reference][..., :3]
    np.testing.assert_allclose(
        map_reliability(probabilities, maps, reference < 3), class_reliability(probabilities, reference)
    )
    with pytest.raises(InputError, match="maps of shape"):
        map_reliability(probabilities, maps[..., :2], reference < 3)


@pytest.mark.parametrize(
    ("regions", "message"),
    [
        ((Region("a", (1, 9), 1),), "region 'a': value 9 is no class; expected 1, 2, 7"),
        ((Region("a", (1, 2), 0),), "region 'a': value 0 is no class"),
        ((Region("a", (), 1),), "region 'a': holds no value"),
        ((Region("a", (1,), 1), Region("a", (2,), 2)), "expected all names to differ"),
    ],
)
def test_regions_that_make_no_sense(regions, message):
    with pytest.raises(InputError, match=message):
        check_regions(LABELS, regions)
    check_regions(LABELS, REGIONS)


def test_a_class_is_settled_where_its_score_is_the_largest_by_far():
    nearly = np.nextafter(np.float32(1), np.float32(2))
    scores = np.array([[0, 0.1, -1], [1, 1, 0], [1, nearly, 0], [1, 0.5, 0.2], [-1, -1, -0.5]], np.float32)[None]
    doubtful = UNSETTLED
    assert settled(scores).tolist() == [[1, doubtful, doubtful, 0, 2]]
    assert settled(np.where(scores == 1, np.nan, scores)).tolist() == [[doubtful] * 5]
    logits = np.array([[-1, 2, -1], [2, -1, 1], [-1, -2, -3], [1, 1e-7, -1], [1, np.inf, 1]], np.float32)[None]
    assert settled(logits[:, :4], (5, 3, 5)).tolist() == [[2, 3, 0, doubtful]]
    assert settled(logits, (5, 3, 5)).tolist() == [[doubtful] * 5]  # nothing is small beside infinity
