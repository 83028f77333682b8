"""What holds of every correction of a proposal by strokes, whatever the proposal and the strokes."""

from dataclasses import replace

import numpy as np
import pytest
from harness_methods import ball, dice
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from imaging.annotate import refine, refine_labels
from imaging.classical.seeds.strokes import Stroke
from imaging.geometry.orientation import reorient
from imaging.scan import Scan

PROPOSALS = ("eroded", "dilated", "shifted", "half", "nothing", "everything near", "a false island")


def proposed(mask, kind, sure=0.9):
    """Probabilities (*spatial, 2) of a network that errs in one way about a mask."""
    first = np.indices(mask.shape)[0]
    island = np.zeros_like(mask)
    island[tuple(slice(1, 6) for _ in mask.shape)] = True
    wrong = {
        "eroded": ndimage.binary_erosion(mask, iterations=3),
        "dilated": ndimage.binary_dilation(mask, iterations=3),
        "shifted": np.roll(mask, 5, axis=0),
        "half": mask & (first < mask.shape[0] // 2),
        "nothing": np.zeros_like(mask),
        "everything near": ndimage.binary_dilation(mask, iterations=8),
        "a false island": mask | island,
    }[kind]
    chance = np.where(wrong, sure, 1 - sure).astype(np.float32)
    return np.stack([1 - chance, chance], -1)


def click(label, place):
    return Stroke("point", label, (tuple(map(float, place)),))


def next_click(labels, mask, spacing, value):
    """A click at the innermost of the wrong voxels, as a person would correct, or None."""
    depth = ndimage.distance_transform_edt(np.pad(labels != mask, 1), spacing)[(slice(1, -1),) * mask.ndim]
    place = np.unravel_index(int(np.argmax(depth)), depth.shape)
    return click(value if mask[place] else 0, place) if depth[place] else None


@settings(max_examples=25, deadline=None)
@given(
    kind=st.sampled_from(PROPOSALS),
    rank=st.sampled_from((2, 3)),
    seed=st.integers(0, 1000),
    labels=st.lists(st.sampled_from((0, 6)), min_size=1, max_size=8),
    sure=st.sampled_from((0.55, 0.9, 1.0)),
)
def test_every_stroke_is_in_the_result(kind, rank, seed, labels, sure):
    """Wherever the strokes lie, right or wrong."""
    scan, mask = ball(rank, noise=6.0)
    random = np.random.default_rng(seed)
    places = {tuple(random.integers(0, mask.shape).tolist()): label for label in labels}
    annotation = refine(scan, [click(v, p) for p, v in places.items()], proposed(mask, kind, sure), (0, 6))
    for place, label in places.items():
        assert annotation.labels.voxels[place][0] == label
        assert annotation.uncertainty.voxels[place][0] == 0
    assert 0 <= annotation.uncertainty.voxels.min() <= annotation.uncertainty.voxels.max() <= 1


@settings(max_examples=25, deadline=None)
@given(kind=st.sampled_from(PROPOSALS), rank=st.sampled_from((2, 3)), seed=st.integers(0, 1000))
def test_strokes_that_agree_change_nothing(kind, rank, seed):
    scan, mask = ball(rank, noise=6.0)
    chances = proposed(mask, kind)
    plain = refine(scan, (), chances, (0, 6)).labels.voxels
    places = np.random.default_rng(seed).integers(0, mask.shape, (10, rank))
    strokes = [click(int(plain[tuple(place)][0]), place) for place in places]
    np.testing.assert_array_equal(refine(scan, strokes, chances, (0, 6)).labels.voxels, plain)


@pytest.mark.parametrize("rank", [2, 3])
@pytest.mark.parametrize("kind", PROPOSALS)
def test_right_clicks_never_make_it_worse(kind, rank):
    scan, mask = ball(rank, noise=6.0)
    chances, strokes = proposed(mask, kind), []
    scores = []
    for _ in range(9):
        labels = refine(scan, strokes, chances, (0, 6)).labels.voxels[..., 0] == 6
        scores.append(dice(labels, mask))
        stroke = next_click(labels, mask, scan.spacing, 6)
        strokes += [stroke] if stroke else []
    assert min(scores) >= scores[0]
    assert scores[-1] > 1 - 0.8 * (1 - scores[0])  # nine clicks take a fifth of the error away at least


def test_a_click_reaches_no_farther_than_its_error_seems_large():
    """A click two millimetres from the outline corrects there and not on the opposite side."""
    scan, mask = ball(3, noise=2.0)
    chances = proposed(mask, "dilated")
    before = chances[..., 1] > 0.5
    place = [n // 2 for n in mask.shape]
    place[0] = int(np.flatnonzero(before[:, place[1], place[2]])[0]) + 1
    after = refine(scan, [click(0, place)], chances, (0, 6)).labels.voxels[..., 0] == 6
    changed = np.argwhere(after != before)
    assert len(changed) > 1
    assert np.linalg.norm((changed - place) * scan.spacing, axis=1).max() < 6


def test_an_agreeing_stroke_ends_the_reach():
    scan, mask = ball(2, (1.0, 1.0), noise=2.0)
    chances = proposed(mask, "nothing")
    middle = [n // 2 for n in mask.shape]
    alone = refine(scan, [click(6, middle)], chances, (0, 6)).labels.voxels[..., 0] == 6
    beside = [middle[0] + 4, middle[1]]
    assert alone[tuple(beside)]
    held = refine(scan, [click(6, middle), click(0, beside)], chances, (0, 6)).labels.voxels[..., 0] == 6
    assert not held[beside[0] - 1 : beside[0] + 2, beside[1]].any()
    assert held[middle[0] - 2, middle[1]]
    assert not (held & ~alone).any()


def test_another_orientation_gives_the_same():
    scan, mask = ball(3, noise=4.0)
    labels = replace(scan, voxels=(proposed(mask, "half")[..., 1:] > 0.5).astype(np.uint8))
    place = (scan.affine @ [mask.shape[0] / 2 + 4, mask.shape[1] / 2, mask.shape[2] / 2, 1])[:3]
    strokes = [Stroke("point", 1, (tuple(place),), "world")]
    expected = refine_labels(scan, strokes, labels).labels
    turned = [reorient(part, "SPL") for part in (scan, labels)]
    turned = [Scan(np.ascontiguousarray(part.voxels), part.affine) for part in turned]
    corrected = reorient(refine_labels(turned[0], strokes, turned[1]).labels, "RAS").voxels
    np.testing.assert_array_equal(corrected, expected.voxels)
    assert dice(corrected[..., 0] == 1, mask) > dice(labels.voxels[..., 0] == 1, mask) + 0.1


def test_a_new_label_takes_the_part_that_it_marks():
    """A structure split in two by hand: a click with a new value renames one of two separate parts, and no other."""
    scan, mask = ball(2, (1.0, 1.0))
    two = Scan(np.concatenate([scan.voxels, scan.voxels]), scan.affine)
    labels = np.concatenate([mask, mask]).astype(np.uint8)[..., None]
    strokes = [click(9, (mask.shape[0] // 2, mask.shape[1] // 2))]
    segmented = refine_labels(two, strokes, replace(two, voxels=labels)).labels.voxels[..., 0]
    assert dice(segmented[: len(mask)] == 9, mask) > 0.95
    np.testing.assert_array_equal(segmented[len(mask) :], labels[len(mask) :, :, 0])


def test_thick_slices_and_large_scans():
    """The reach is in millimetres on thick slices, and on the coarser grid that large scans are computed on."""
    volumes = []
    for spacing in ((1.0, 1.0, 1.0), (1.0, 1.0, 3.0), (0.4, 0.4, 0.4)):
        scan, mask = ball(3, spacing, noise=0.0)
        middle = [n // 2 for n in mask.shape]
        after = refine(scan, [click(6, middle)], proposed(mask, "nothing"), (0, 6)).labels.voxels[..., 0] == 6
        volumes.append(np.count_nonzero(after) * float(np.prod(scan.spacing)))
    np.testing.assert_allclose(volumes, volumes[0], rtol=0.3)
