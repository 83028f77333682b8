"""Patches whose axes are not alike: turned and stretched in mm, and with little from outside."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from scipy import ndimage
from tiny import STILL, make_plan

from imaging.recipe import Recipe
from train.input import augmentation as augment
from train.input import intensity_augmentation as intensity
from train.input.anisotropy import Grid, grid_of, margins, region
from train.planning.plan import Augmentation
from train.planning.planner import make_plan as plan_by_rules

DEFAULT = Augmentation()
SPATIAL = dataclasses.replace(
    STILL, rotation=DEFAULT.rotation, rotation_chance=1.0, scale=DEFAULT.scale, scale_chance=DEFAULT.scale_chance
)
THICK = Grid((120, 120, 6), (1.25, 1.25, 10.0))
SLABS = [Grid((80, 80, 16), (1.0, 1.0, 1.0)), Grid((96, 96, 12), (1.0, 1.0, 1.0)), THICK]


@pytest.mark.parametrize("grid", SLABS)
def test_hardly_anything_of_a_flat_patch_comes_from_outside(grid):
    size = region(SPATIAL, grid)
    ones, label = tf.ones((*size, 1)), tf.zeros(size, tf.int32)

    @tf.function
    def outside(seed):
        made, _ = augment.augment(ones, label, seed, grid, 1, SPATIAL)
        return tf.reduce_mean(tf.cast(made < 0.999, tf.float32))

    shares = [float(outside(tf.constant([number, 5]))) for number in range(16)]
    assert np.mean(shares) < 0.01
    assert max(shares) < 0.15  # magnified least of all, and turned furthest


@pytest.mark.parametrize(
    ("patch", "spacing", "planes", "free"),
    [
        ((40, 56, 32), (1.0, 1.0, 1.0), ((0, 1), (0, 2), (1, 2)), (0, 1, 2)),
        ((96, 96, 32), (1.0, 1.0, 3.0), ((0, 1), (0, 2), (1, 2)), (0, 1, 2)),
        ((96, 96, 31), (1.0, 1.0, 1.0), ((0, 1),), (0, 1)),
        ((64, 64, 32), (1.0, 1.0, 3.1), ((0, 1),), (0, 1)),
        ((12, 96, 96), (4.0, 1.0, 1.0), ((1, 2),), (1, 2)),
        ((160, 40, 40), (1.0, 1.0, 1.0), ((1, 2),), (1, 2)),
        ((64, 48), (1.0, 1.0), ((0, 1),), (0, 1)),
        ((256, 64), (1.0, 1.0), (), ()),
    ],
)
def test_a_patch_turns_between_axes_at_most_three_times_as_long_as_one_another(patch, spacing, planes, free):
    grid = Grid(patch, spacing)
    assert grid.planes == planes
    assert grid.free == free


def test_slices_of_a_flat_patch_are_never_mixed():
    settings = dataclasses.replace(SPATIAL, scale_chance=1.0, elastic_chance=1.0, elastic=3.0)
    grid = Grid((24, 24, 6), THICK.spacing)
    size = region(settings, grid)
    slices = np.broadcast_to(np.arange(1.0, 7.0, dtype=np.float32), size)[..., None]
    for number in range(10):
        made, label = augment.augment(slices, np.ones(size, np.int32), tf.constant([number, 2]), grid, 2, settings)
        inside = label.numpy() == 1
        np.testing.assert_allclose(made[4:-4, 4:-4, :, 0], np.broadcast_to(np.arange(1, 7), (16, 16, 6)), rtol=1e-5)
        assert inside[4:-4, 4:-4].all()


def test_a_turn_keeps_distances_in_millimetres():
    grid = Grid((20, 24, 12), (1.0, 0.8, 2.2))
    turn = augment.rotation([tf.constant(angle) for angle in (0.4, -0.3, 0.5)])
    matrix = augment.in_voxels(turn, 1.25, grid).numpy().astype(float)
    offsets = np.random.default_rng(0).normal(size=(3, 50)) * np.array([[10], [12], [6]])
    before = np.linalg.norm(np.diag(grid.spacing) @ offsets, axis=0)
    after = np.linalg.norm(np.diag(grid.spacing) @ matrix @ offsets, axis=0)
    np.testing.assert_allclose(after, before / 1.25, rtol=1e-5)


def test_of_cubes_the_matrix_is_the_rotation():
    turn = augment.rotation([tf.constant(angle) for angle in (0.4, -0.3, 0.5)])
    np.testing.assert_array_equal(augment.in_voxels(turn, 0.8, Grid((40, 56, 32), (1.3,) * 3)), turn / 0.8)
    assert margins(DEFAULT, Grid((40, 56, 32), (1.0,) * 3)) == (1.25,) * 3


def test_a_turned_ball_stays_a_ball():
    grid = Grid((32, 32, 16), (1.0, 1.0, 2.0))
    settings = dataclasses.replace(SPATIAL, scale_chance=0.0)
    size = region(settings, grid)
    axes = [(np.arange(n) - (n - 1) / 2) * s for n, s in zip(size, grid.spacing, strict=True)]
    ball = sum(axis**2 for axis in np.meshgrid(*axes, indexing="ij", sparse=True)) <= 11.0**2
    straight, _ = augment.augment(ball[..., None].astype(np.float32), ball.astype(np.int32), (0, 0), grid, 2, STILL)
    for number in range(5):
        _, turned = augment.augment(
            ball[..., None].astype(np.float32), ball.astype(np.int32), tf.constant([number, 3]), grid, 2, settings
        )
        differing = np.mean((turned.numpy() == 1) != (straight.numpy()[..., 0] > 0.5))
        assert differing < 0.02  # voxels of its surface; turned in voxels they are 0.03 to 0.08


def test_blur_and_low_resolution_are_of_millimetres():
    image = np.random.default_rng(0).normal(size=(16, 14, 9, 1)).astype(np.float32)
    blurred = intensity.gaussian(tf.constant(image), tf.constant([0.9]), (1.0, 1.0, 2.5)).numpy()
    sigmas = (0.9, 0.9, 0.36)
    expected = ndimage.gaussian_filter(image[..., 0], sigmas, mode="nearest", radius=intensity.RADIUS)
    np.testing.assert_allclose(blurred[..., 0], expected, atol=1e-5)
    ramp = np.broadcast_to(np.arange(9, dtype=np.float32) ** 2, (16, 14, 9))[..., None]
    kept = intensity.lower(tf.constant(ramp), tf.constant(0.5), (1.0, 1.0, 2.5)).numpy()
    np.testing.assert_allclose(kept, ramp, rtol=1e-6)
    halved = intensity.lower(tf.constant(ramp), tf.constant(0.5), (1.0, 1.0, 1.0)).numpy()
    assert np.abs(halved - ramp).max() > 1


def test_the_grid_of_a_plan(dataset):
    plan = make_plan(dataset)
    assert grid_of(plan) == Grid((16, 16, 8), (1.0, 1.0, 1.0))  # nothing is known of its spacing
    spaced = dataclasses.replace(plan, recipe=Recipe(rank=3, orientation="RAS", spacing=(1.0, 1.0, 5.0)))
    assert grid_of(spaced).planes == ((0, 1),)
    measured = plan_by_rules(dataset)
    assert grid_of(measured).spacing == measured.recipe.spacing
    kept = dataclasses.replace(measured, recipe=dataclasses.replace(measured.recipe, spacing=None))
    assert grid_of(kept).spacing == (1.5, 1.0, 2.0)
    assert grid_of(measured).slices == 1
    neighbours = plan_by_rules(dataset, configuration="2.5d")
    assert (grid_of(neighbours).patch, grid_of(neighbours).slices) == (neighbours.patch, 3)
