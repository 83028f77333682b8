"""Objects told apart: against scikit-image, closed forms, and phantoms whose objects touch."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from objects import balls, pairs
from scipy import ndimage
from skimage.morphology import h_maxima
from skimage.segmentation import watershed

from imaging import InputError, UsageError
from imaging.instances import Decoding, check, distance_levels, find_objects, split_touching
from imaging.measure.detection import panoptic_quality
from imaging.watershed import flood


def answer(objects, spacing, noise=0.0, seed=0):
    """What a network would say of objects, its distance and its probabilities disturbed by smooth noise."""
    depth = distance_levels(objects, spacing) / 255
    chances = np.stack([np.clip(objects > 0, 0.05, 0.95), depth], -1).astype(np.float32)
    random = np.random.default_rng(seed).normal(size=chances.shape)
    smooth = ndimage.gaussian_filter(random, (*(1.0,) * objects.ndim, 0))
    return np.clip(chances + noise * smooth / smooth.std(), 0, 1)


def test_levels_of_a_disc_fall_from_its_middle_to_its_edge():
    objects = balls((41, 41), [(20, 20)], [(15, 15)])
    levels = distance_levels(objects, (1, 1))
    assert levels.dtype == np.uint8
    assert ((levels > 0) == (objects > 0)).all()
    away = np.hypot(*(np.indices((41, 41)) - 20))
    inside = objects > 0
    np.testing.assert_allclose(levels[inside] / 255, 1 - away[inside] / 15, atol=0.06)


def test_levels_see_where_objects_touch_and_count_in_millimetres():
    objects = np.zeros((12, 30), int)
    objects[1:11, 1:15], objects[1:11, 15:29] = 5, 900
    levels = distance_levels(objects, (1, 1))
    assert levels[6, 14] == levels[6, 15] == levels[6, 1] == np.ceil(255 / 5)
    # along an axis of 4 mm the edge is farther: 2 mm away along the other at most
    tall = np.zeros((9, 7), int)
    tall[1:8, 1:6] = 1
    levels = distance_levels(tall, (4, 1))
    assert [int(v) for v in levels[4, 1:6]] == [85, 170, 255, 170, 85]


def test_levels_refuse_what_makes_no_sense():
    with pytest.raises(InputError, match="object number -1"):
        distance_levels(np.array([[0, -1]]), (1, 1))
    with pytest.raises(InputError, match="expected 2 numbers in mm"):
        distance_levels(np.zeros((3, 3), int), (1, 1, 1))
    assert not distance_levels(np.zeros((3, 3), int), (1, 1)).any()


def test_as_many_objects_as_scikit_image_finds_maxima():
    random = np.random.default_rng(1)
    for depth in (0.05, 0.2):
        heights = ndimage.gaussian_filter(random.uniform(size=(60, 70)), 2).astype(np.float64)
        heights = np.round((heights - heights.min()) / np.ptp(heights), 6)
        mask = heights > 0.3
        inside = np.where(mask, heights, 0)
        # h_maxima keeps a peak that stands out by the depth exactly, which float32 may miss
        markers, count = ndimage.label(h_maxima(inside, depth) & mask, np.ones((3, 3)))
        objects = flood(heights, mask, depth)
        assert objects.max() == count
        assert len(np.unique(objects[markers > 0])) == count
        theirs = watershed(-heights, markers, mask=mask, connectivity=2)
        named = objects[tuple(np.array(ndimage.maximum_position(heights, markers, range(1, count + 1))).T)]
        same = np.concatenate([[0], named])[theirs] == objects
        assert same[theirs > 0].mean() > 0.97  # voxels on the pass itself may fall to either side


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([(13, 17), (7, 6, 8)]), st.floats(0, 0.5))
def test_objects_fill_the_mask_and_each_is_in_one_piece(seed, shape, depth):
    random = np.random.default_rng(seed)
    heights, mask = random.integers(0, 4, shape) / 4, random.uniform(size=shape) < 0.7
    objects = flood(heights, mask, depth)
    assert ((objects > 0) == mask).all()
    around = np.ones((3,) * len(shape))
    for number in range(1, objects.max() + 1):
        assert ndimage.label(objects == number, around)[1] == 1
    first = [int(np.flatnonzero(objects.ravel() == n)[0]) for n in range(1, objects.max() + 1)]
    assert first == sorted(first)


def test_a_plateau_is_one_object_and_depth_decides_between_two():
    heights = np.array([[0.2, 1.0, 1.0, 0.7, 0.9, 0.2]])
    assert flood(heights, heights > 0, 0.25).max() == 1
    assert flood(heights, heights > 0, 0.15).tolist() == [[1, 1, 1, 1, 2, 2]]
    assert flood(heights, heights > 0, 0.2, relative=True).tolist() == [[1, 1, 1, 1, 2, 2]]
    assert not flood(heights, heights > 2, 0.1).any()
    with pytest.raises(InputError, match="expected the same"):
        flood(heights, heights[:, :3] > 0, 0.1)


@pytest.mark.parametrize("noise", [0.0, 0.08])
@pytest.mark.parametrize(("shape", "spacing"), [((96, 96), (1, 1)), ((56, 56, 56), (1, 1, 1))])
def test_touching_balls_are_told_apart(shape, spacing, noise):
    results = []
    for seed in range(4):
        objects = pairs(shape, seed, count=4)
        assert ndimage.label(objects > 0, np.ones((3,) * len(shape)))[1] < objects.max()  # they do touch
        numbers = find_objects(answer(objects, spacing, noise, seed), spacing, Decoding())
        results.append(panoptic_quality(numbers, objects))
    matched, missed, false = (sum(getattr(r, name) for r in results) for name in ("matched", "missed", "false"))
    assert 2 * matched / (2 * matched + missed + false) >= 0.95


def test_ellipsoids_on_thick_slices_are_told_apart():
    centres = [(16, 16, 16), (16, 30, 16), (38, 20, 30), (38, 20, 46), (14, 44, 44)]
    radii = [(9, 7.5, 9), (10, 7.5, 8), (7, 12, 9), (8, 10, 8), (8, 6, 12)]
    spacing = (1.0, 1.0, 3.0)
    objects = balls((52, 56, 20), centres, radii, spacing)
    numbers = find_objects(answer(objects, spacing, 0.05), spacing, Decoding())
    quality = panoptic_quality(numbers, objects)
    assert (quality.matched, quality.missed, quality.false) == (5, 0, 0)


def test_small_objects_and_weak_ones_are_left_out():
    chances = np.zeros((20, 20, 2))
    chances[2:8, 2:8] = chances[12, 12] = 0.9
    chances[12:18, 2:8, 0] = 0.4
    numbers = find_objects(chances, (1, 1), Decoding(smallest=5))
    assert numbers.max() == 1
    assert (numbers[2:8, 2:8] == 1).all()
    assert find_objects(chances, (1, 1), Decoding(smallest=1)).max() == 2
    chances[2:8, 12:18] = 0.8
    assert find_objects(chances, (1, 1), Decoding(smallest=5)).max() == 2
    numbers = find_objects(chances, (1, 1), Decoding(smallest=1, peak=0.85))
    assert numbers.max() == 2
    assert numbers[4, 4] == 1
    assert numbers[4, 15] == 0
    assert numbers[12, 12] == 2
    with pytest.raises(InputError, match="foreground and distance"):
        find_objects(chances[..., :1], (1, 1), Decoding())


def test_split_where_it_is_narrow():
    apart = balls((40, 60), [(20, 18), (20, 42)], [(14, 14), (14, 14)])
    numbers = split_touching(apart > 0, (1, 1))
    assert panoptic_quality(numbers, apart).matched == 2
    long = balls((40, 80), [(20, 40)], [(10, 32)])
    assert split_touching(long > 0, (1, 1)).max() == 1
    cubes = np.zeros((20, 20, 20), bool)
    cubes[2:6, 2:6, 2:6] = cubes[12:16, 12:16, 12:16] = True
    assert split_touching(cubes, (1, 1, 1)).max() == 2
    # half as long voxels are half the neck
    assert split_touching(np.repeat(apart > 0, 2, axis=0), (0.5, 1)).max() == 2
    with pytest.raises(UsageError, match="depth 1"):
        split_touching(cubes, (1, 1, 1), 1)
    with pytest.raises(InputError, match="expected 3 numbers"):
        split_touching(cubes, (1, 1))


@pytest.mark.parametrize(
    ("field", "value"), [("threshold", 1.0), ("smoothing", -1.0), ("smoothing", 1e9), ("depth", 1.0), ("smallest", 0)]
)
def test_decodings_that_make_no_sense(field, value):
    with pytest.raises(UsageError, match=f"instances.{field} "):
        check(Decoding(**{field: value}))
