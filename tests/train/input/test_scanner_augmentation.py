"""What mimics scanners, against closed forms; presets by name, in plans and on the command line."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from tiny import make_plan

from medseg.errors import UsageError
from train.input import augmentation as augment
from train.input import intensity_augmentation as intensity
from train.input import scanner_augmentation as scanner
from train.input.anisotropy import Grid
from train.input.augmentation_chances import NAMES, augmented
from train.input.augmentation_presets import PRESETS
from train.planning.plan import Augmentation
from train.planning.plan_check import check_plan

SEED = tf.constant([3, 4])
SHAPES = [(64, 48, 2), (24, 20, 16, 2)]


def image_of(shape):
    return np.random.default_rng(0).normal(1.0, 2.0, shape).astype(np.float32)


def spatial(shape):
    return tuple(range(len(shape) - 1))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    "change",
    [
        lambda x, s: scanner.rician(x, s, 0.5),
        lambda x, s: scanner.speckle(x, s, 0.5),
        lambda x, s: scanner.attenuation(x, s, 1.0),
    ],
)
def test_level_and_spread_stay_and_the_seed_decides(shape, change):
    image = image_of(shape)
    changed = change(tf.constant(image), SEED).numpy()
    np.testing.assert_allclose(changed.mean(spatial(shape)), image.mean(spatial(shape)), atol=1e-3)
    np.testing.assert_allclose(changed.std(spatial(shape)), image.std(spatial(shape)), rtol=1e-3)
    assert np.abs(changed - image).max() > 1e-3
    np.testing.assert_array_equal(changed, change(tf.constant(image), SEED).numpy())
    assert not np.array_equal(changed, change(tf.constant(image), SEED + 1).numpy())


@pytest.mark.parametrize("shape", SHAPES)
def test_an_offset_moves_the_level_of_each_channel_and_nothing_else(shape):
    image = image_of(shape)
    moves = []
    for number in range(200):
        moved = intensity.offset(tf.constant(image), tf.constant([number, 5]), 0.7).numpy() - image
        mean = moved.mean(spatial(shape), dtype=np.float64)
        np.testing.assert_allclose(moved, np.broadcast_to(mean, shape), atol=1e-5)
        moves.append(mean)
    assert np.abs(moves).max() <= 0.7 + 1e-5
    np.testing.assert_allclose(np.std(moves, 0), 0.7 / np.sqrt(3), rtol=0.15)
    np.testing.assert_allclose(np.mean(moves, 0), 0, atol=0.12)  # 4 standard errors
    assert abs(np.corrcoef(np.transpose(moves))[0, 1]) < 0.3, "channels move by themselves"


def test_rician_noise_brightens_air_as_rayleigh_and_leaves_tissue_gaussian():
    """Without signal the mean is σ √(π/2) and the deviation σ √(2 - π/2); far above it, 0 and σ."""
    image = np.zeros((200, 200, 1), np.float32)
    image[100:] = 20.0
    noisy = scanner.rician(tf.constant(image), SEED, 1.0).numpy()[..., 0]
    air, tissue = noisy[:100], noisy[100:]
    assert air.std() / tissue.std() == pytest.approx(np.sqrt(2 - np.pi / 2), abs=0.02)
    # In units of the noise the two means lie the signal apart, less the mean of air.
    sigma = tissue.std()
    drawn = float(tf.random.stateless_uniform((), tf.random.split(SEED, 3)[0]))
    assert (tissue.mean() - air.mean()) / sigma == pytest.approx(20 / drawn - np.sqrt(np.pi / 2), rel=0.02)


def test_speckle_is_proportional_to_the_signal():
    image = np.zeros((200, 200, 1), np.float32)
    image[:100], image[100:] = 4.0, 8.0
    image[0, 0] = 0.0  # the darkest voxel, without signal
    changed = scanner.speckle(tf.constant(image), SEED, 1.0).numpy()[..., 0]
    assert changed[100:].std() / changed[1:100].std() == pytest.approx(2.0, rel=0.03)


def test_attenuation_falls_exponentially_with_depth():
    image = np.ones((8, 40, 1), np.float32)
    image[0, 0] = 0.0
    changed = scanner.attenuation(tf.constant(image), SEED, 1.0).numpy()[1, :, 0].astype(np.float64)
    steps = np.diff(changed)
    np.testing.assert_allclose(steps[1:] / steps[:-1], (steps[1:] / steps[:-1]).mean(), rtol=1e-2)
    assert abs(changed[-1] - changed[0]) > 0.01
    np.testing.assert_allclose(
        scanner.attenuation(tf.constant(image), SEED, 1.0).numpy()[1:],
        changed[None, :, None] + np.zeros((7, 1, 1)),
        rtol=1e-5,
    )


def test_gain_moves_and_saturates():
    image = np.linspace(0, 1, 100, dtype=np.float32).reshape(10, 10, 1)
    changed = scanner.gain(tf.constant(image), SEED, 0.3).numpy()
    shift = np.median(changed - image)
    np.testing.assert_allclose(changed, np.clip(image + shift, 0, 1), atol=1e-6)
    assert 0.001 < abs(shift) <= 0.3


def test_a_window_cuts_both_ends():
    image = image_of((100, 100, 1))
    changed = scanner.window(tf.constant(image), SEED, (1.0, 1.5)).numpy()
    mean, deviation = image.mean(), image.std()
    for end in ((mean - changed.min()) / deviation, (changed.max() - mean) / deviation):
        assert 1.0 <= end <= 1.5
    inside = (changed > changed.min()) & (changed < changed.max())
    np.testing.assert_array_equal(changed[inside], image[inside])


def test_a_sharp_kernel_overshoots_at_edges_alone():
    image = np.zeros((40, 20, 1), np.float32)
    image[20:] = 1.0
    changed = scanner.sharpen(tf.constant(image), SEED, 1.5, (1.0, 1.0)).numpy()
    assert changed.max() > 1.02
    assert changed.min() < -0.02
    np.testing.assert_allclose(changed[[0, 10, 30, 39]], image[[0, 10, 30, 39]], atol=1e-5)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_plans_that_augment(name, dataset):
    plan = make_plan(dataset)
    settings = augmented(plan.training.augmentation, name)
    assert settings.preset == name
    assert all(getattr(settings, field) == value for field, value in PRESETS[name].items())
    check_plan(dataclasses.replace(plan, training=dataclasses.replace(plan.training, augmentation=settings)), dataset)
    always = dataclasses.replace(
        settings, **{f"{n}_chance": 1.0 for n in NAMES if getattr(settings, f"{n}_chance") and n != "mixup"}
    )
    grid = Grid((8, 12, 10), (1.0, 1.0, 2.0))
    image, label = image_of((16, 20, 14, 1)), np.ones((16, 20, 14), np.int32)
    changed, kept = augment.augment(tf.constant(image), tf.constant(label), SEED, grid, 2, always)
    assert changed.shape == (8, 12, 10, 1)
    assert np.isfinite(changed).all()
    assert set(np.unique(kept)) <= {0, 1}


def test_other_draws_stay_as_they_are():
    """Rician noise of strength 0 changes nothing else."""
    grid, image = Grid((8, 8), (1.0, 1.0)), image_of((12, 12, 1))
    without = Augmentation(noise_chance=1.0, gamma_chance=1.0)
    with_window = dataclasses.replace(without, window_chance=1.0, window=(1e3, 1e4))
    results = [
        augment.augment(tf.constant(image), tf.zeros((12, 12), tf.int32), SEED, grid, 2, s)[0]
        for s in (without, with_window)
    ]
    np.testing.assert_array_equal(*results)


def test_words():
    settings = Augmentation()
    assert augmented(settings, "mr,cutout=0.3") == dataclasses.replace(augmented(settings, "mr"), cutout_chance=0.3)
    assert augmented(settings, "rician=0.5").rician_chance == 0.5
    for words, says in (
        ("robus", "augmentation preset 'robus': did you mean robust? expected one of nnunet, mr, ct"),
        ("noise", "augmentation 'noise': expected its chance too, such as noise=0.2"),
        ("mr,nope=0.5", "augmentation 'nope': there is none"),
        ("mr,ct", "augmentation 'ct': expected a name and its chance"),
        ("mr,noise=2", "noise=2: expected a chance from 0 to 1"),
        ("", "augmentation preset ''"),
    ):
        with pytest.raises(UsageError, match=says.replace("?", r"\?")):
            augmented(settings, words)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("preset", "nope"),
        ("rician", -1.0),
        ("speckle", 2.0),
        ("gain", 3.0),
        ("window", (0.0, 1.0)),
        ("sharpen", -1.0),
        ("tint", 1.5),
    ],
)
def test_plans_are_checked(field, value, dataset):
    plan = make_plan(dataset, augmentation=dataclasses.replace(Augmentation(), **{field: value}))
    with pytest.raises(UsageError, match=rf"training\.augmentation\.{field} is"):
        check_plan(plan)
