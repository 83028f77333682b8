"""Bias field, cutout and mixup against closed forms, and their way from the command line into a training."""

import dataclasses
import itertools

import numpy as np
import pytest
import tensorflow as tf
from batches import assert_same, taken, write_case
from tiny import STILL, make_plan

from medseg.errors import UsageError
from train.cli import build_parser
from train.commands.preconditions import overridden
from train.fitting.checks import check
from train.fitting.fit import objective
from train.input import augmentation as augment
from train.input import intensity_augmentation as intensity
from train.input.anisotropy import Grid
from train.input.augmentation_chances import parse_chances, with_chances
from train.input.mixup import mixup
from train.input.pipeline import batches
from train.planning.plan import Augmentation

SEED = tf.constant([3, 4])


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cases")
    return [write_case(folder, number, (20, 20, 12), [(3, 4, 5)]) for number in range(5)]


@pytest.mark.parametrize(("shape", "order"), [((7, 9), 3), ((6, 5, 8), 2), ((4, 4, 4), 0)])
def test_the_field_is_torchios_polynomial(shape, order):
    """TorchIO's ``RandomBiasField.generate_bias_field``: monomials of ascending exponents on a grid from -1 to 1."""
    rank = len(shape)
    exponents = [e for e in itertools.product(range(order + 1), repeat=rank) if sum(e) <= order]
    assert len(exponents) == {(2, 3): 10, (3, 2): 10, (3, 0): 1}[rank, order]
    coefficients = np.random.default_rng(0).uniform(-0.5, 0.5, (len(exponents), 2)).astype(np.float32)
    grid = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    expected = sum(
        np.prod([g**e for g, e in zip(grid, powers, strict=True)], axis=0)[..., None] * weight
        for powers, weight in zip(exponents, coefficients, strict=True)
    )
    np.testing.assert_allclose(intensity.polynomial(coefficients, shape, order), expected, atol=1e-5)


@pytest.mark.parametrize("shape", [(24, 20, 2), (16, 12, 14, 2)])
def test_a_bias_field_is_smooth_positive_and_another_for_each_channel(shape):
    image = np.random.default_rng(0).normal(3.0, 2.0, shape).astype(np.float32)
    biased = intensity.bias_field(tf.constant(image), SEED, 0.5, 3).numpy()
    axes = tuple(range(len(shape) - 1))
    np.testing.assert_allclose(biased.mean(axes), image.mean(axes), atol=1e-3)
    np.testing.assert_allclose(biased.std(axes), image.std(axes), rtol=1e-3)
    fields = []
    for channel in range(2):
        signal = image[..., channel] - image[..., channel].min()
        field = biased[..., channel] - biased[..., channel].ravel()[signal.argmin()]
        bright = signal > 0.5
        log = np.log(field[bright] / signal[bright])
        grid = [g[bright] for g in np.meshgrid(*(np.linspace(-1, 1, n) for n in shape[:-1]), indexing="ij")]
        powers = [e for e in itertools.product(range(4), repeat=len(grid)) if sum(e) <= 3]
        design = np.stack([np.prod([g**e for g, e in zip(grid, p, strict=True)], axis=0) for p in powers], -1)
        solution, *_ = np.linalg.lstsq(design, log, rcond=None)
        np.testing.assert_allclose(design @ solution, log, atol=1e-3)
        assert np.abs(solution[1:]).max() <= 0.5 + 1e-3  # the constant also holds the scale
        fields.append(solution)
    assert np.abs(fields[0] - fields[1]).max() > 0.05
    same = intensity.bias_field(tf.constant(image), SEED, 0.0, 3)
    np.testing.assert_allclose(same, image, atol=1e-4)


@pytest.mark.parametrize("shape", [(40, 30), (20, 24, 16)])
def test_cutout_hides_boxes_behind_the_mean(shape):
    image = np.random.default_rng(0).normal(size=(*shape, 2)).astype(np.float32)
    for number in range(12):
        cut = intensity.cutout(tf.constant(image), tf.constant([number, 0]), (0.25, 0.5), 1).numpy()
        hidden = (cut != image).all(-1)
        assert np.array_equal(hidden, (cut != image).any(-1))
        sides = [hidden.any(axis=tuple(a for a in range(len(shape)) if a != axis)).sum() for axis in range(len(shape))]
        assert hidden.sum() == np.prod(sides)  # one box
        assert all(1 <= side <= round(0.5 * n) for side, n in zip(sides, shape, strict=True))
        np.testing.assert_allclose(
            cut[hidden], np.broadcast_to(image.mean(tuple(range(len(shape)))), (hidden.sum(), 2)), atol=1e-6
        )


def test_cutout_draws_up_to_so_many_boxes():
    line = tf.cast(tf.range(1, 401), tf.float32)[:, None, None]
    counts = set()
    for number in range(30):
        hidden = intensity.cutout(line, tf.constant([number, 1]), (0.01, 0.01), 3).numpy() != line.numpy()
        counts.add(int((np.diff(hidden[:, 0, 0].astype(int), prepend=0) == 1).sum()))
    assert counts == {1, 2, 3}


@pytest.mark.parametrize("rank", [2, 3])
def test_image_artefacts_leave_the_label_and_follow_the_seed(rank):
    settings = with_chances(STILL, bias_field=1.0, cutout=1.0)
    shape = (16, 14, 12)[:rank]
    image = np.random.default_rng(0).normal(size=(*shape, 1)).astype(np.float32)
    label = np.random.default_rng(1).integers(0, 3, shape)
    made = [
        augment.augment(image, label, seed, Grid(shape, (1.0,) * len(shape)), 3, settings)
        for seed in (SEED, SEED, SEED + 1)
    ]
    np.testing.assert_array_equal(made[0][0], made[1][0])
    assert np.abs(made[0][0] - made[2][0]).max() > 0.01
    assert np.abs(made[0][0] - image).max() > 0.01
    np.testing.assert_array_equal(made[0][1], label)


def test_mixup_is_the_convex_combination_of_the_paper():
    """The share kept of each sample is read off one voxel; the rest must follow from it."""
    random = np.random.default_rng(0)
    images = random.normal(size=(5, 6, 4, 3, 2)).astype(np.float32)
    labels = random.integers(0, 4, (5, 6, 4, 3)).astype(np.int32)
    one_hot = np.eye(4, dtype=np.float32)[labels]
    shares = set()
    for number in range(6):
        mixed, soft = (
            x.numpy() for x in mixup(tf.constant(images), tf.constant(labels), tf.constant([number, 2]), 4, 1.0, 1.0)
        )
        np.testing.assert_allclose(soft.sum(-1), 1.0, atol=1e-6)
        fits = []
        for step in range(1, 5):
            partners, partners_hot = np.roll(images, step, 0), np.roll(one_hot, step, 0)
            kept = ((mixed - partners) / (images - partners))[:, :1, :1, :1, :1]
            blend = kept * images + (1 - kept) * partners
            share = kept[..., :1]
            good = np.allclose(blend, mixed, atol=1e-4)
            if good:
                np.testing.assert_allclose(soft, share * one_hot + (1 - share) * partners_hot, atol=1e-4)
                assert ((kept >= -1e-4) & (kept <= 1 + 1e-4)).all()
                shares.update(np.round(kept.ravel(), 3))
            fits.append(good)
        assert sum(fits) == 1
    assert len(shares) > 20


def test_mixup_shares_are_of_the_beta_distribution_and_the_chance_is_met():
    images = tf.concat([tf.ones((1, 1, 1)), tf.zeros((1, 1, 1))], 0)
    draw = tf.function(lambda seed, chance: mixup(images, tf.zeros((2, 1), tf.int32), seed, 2, chance, 0.4)[0][0, 0, 0])
    kept = np.array([float(draw(tf.constant([n, 5]), 1.0)) for n in range(600)])
    assert abs(kept.mean() - 0.5) < 0.06
    assert abs(kept.var() - 1 / (4 * (2 * 0.4 + 1))) < 0.02  # of Beta(a, a)
    used = np.array([float(draw(tf.constant([n, 6]), 0.3)) for n in range(600)])
    assert 0.62 < (used == 1.0).mean() < 0.80  # 0.7, and shares that round to 1


def test_what_belongs_to_no_class_in_either_sample_counts_nowhere():
    labels = tf.constant([[0, 1, 2, 2], [1, 1, 0, 2]])  # 2 is no class
    images = tf.zeros((2, 4, 1))
    _, soft = mixup(images, labels, tf.constant([1, 1]), 2, 1.0, 1.0)
    np.testing.assert_array_equal(soft.numpy().sum(-1).round(5), [[1, 1, 0, 0], [1, 1, 0, 0]])
    _, alone = mixup(images, labels, tf.constant([1, 1]), 2, 0.0, 1.0)
    np.testing.assert_array_equal(alone.numpy().sum(-1), [[1, 1, 0, 0], [1, 1, 1, 0]])


def test_a_mixed_stream_begun_later_shows_the_same_and_feeds_the_loss(cases, dataset):
    settings = with_chances(STILL, mixup=0.7, bias_field=0.5, cutout=0.5)
    plan = make_plan(dataset, augmentation=settings, batch=3)
    whole = taken(batches(cases, plan, training=True), 4)
    assert (whole[0][1].shape, whole[0][1].dtype) == ((3, 16, 16, 8, 3), np.float32)
    assert_same(taken(batches(cases, plan, training=True, first=2), 2), whole[2:])
    assert any(len(np.unique(label)) > 2 for _, label in whole)
    held_image, held = taken(batches(cases, plan, training=False, steps=1), 1)[0]
    assert held.dtype == np.int32
    loss = objective(plan, 1)["loss"]
    assert np.isfinite(float(loss(whole[0][1], np.repeat(whole[0][0], 3, -1))))
    assert np.isfinite(float(loss(held, np.repeat(held_image, 3, -1))))


def test_the_command_line_names_augmentations(dataset):
    words = ["train", "data", "--out", "run", "--augment", "bias_field=0.2,cutout=0.3,mixup=0.5,rotation=0"]
    settings = overridden(make_plan(dataset), build_parser().parse_args(words)).training.augmentation
    assert (settings.bias_field_chance, settings.cutout_chance, settings.mixup_chance) == (0.2, 0.3, 0.5)
    assert (settings.rotation_chance, settings.scale_chance) == (0.0, Augmentation().scale_chance)
    for text, message in (
        ("blurr=0.2", "augmentation 'blurr': there is none of this name; expected one of rotation, scale, .*mixup"),
        ("blur", "augmentation 'blur': expected a name and its chance"),
        ("blur=2", "augmentation blur=2: expected a chance from 0 to 1"),
    ):
        with pytest.raises(UsageError, match=message):
            parse_chances(text)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mixup": 0.0}, "training.augmentation.mixup is 0.0, expected more than 0"),
        ({"cutout": (0.5, 2.0)}, r"training.augmentation.cutout is \(0.5, 2.0\), expected at most 1"),
        ({"cutout_boxes": 0}, "training.augmentation.cutout_boxes is 0"),
        ({"noise_chance": 1.5}, "training.augmentation.noise_chance is 1.5, expected from 0 to 1"),
        ({"scale": (1.4, 0.7)}, "training.augmentation.scale is .* a smallest and a largest"),
    ],
)
def test_settings_that_cannot_work(dataset, change, message):
    with pytest.raises(UsageError, match=message):
        check(make_plan(dataset, augmentation=dataclasses.replace(STILL, **change)), dataset)


def test_mixup_needs_a_partner(dataset):
    with pytest.raises(UsageError, match=r"mixup_chance needs a training\.batch of at least 2"):
        check(make_plan(dataset, batch=1, augmentation=with_chances(STILL, mixup=0.5)), dataset)
