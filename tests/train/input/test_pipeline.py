"""The input pipeline: what a step shows, and that seed and step alone decide it."""

import dataclasses
from collections import Counter

import numpy as np
import pytest
import tensorflow as tf
from batches import assert_same, taken, write_case
from tiny import STILL, make_plan

import train
from imaging.slices import slice_stack
from imaging.tiling import pad_to
from medseg.errors import UsageError
from train.input.pipeline import batches, case_indices, cases_of_step, fold_cases, validation_steps
from train.input.reading import reader


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cases")
    return [write_case(folder, number, (20, 20, 12), [(3, 4, 5)]) for number in range(5)]


def read_region(case, region, patch, draws, foreground):
    return [tensor.numpy() for tensor in tf.function(reader([case], region, patch, foreground))(0, tf.constant(draws))]


def test_a_stream_begun_later_shows_what_one_begun_earlier_shows(cases, dataset):
    plan = make_plan(dataset)
    whole = taken(batches(cases, plan, training=True), 6)
    assert whole[0][0].shape == (2, 16, 16, 8, 1)
    assert whole[0][1].shape == (2, 16, 16, 8)
    assert (whole[0][0].dtype, whole[0][1].dtype) == (np.float32, np.int32)
    assert_same(taken(batches(cases, plan, training=True, first=4), 2), whole[4:])
    reseeded = taken(batches(cases, plan, training=True, seed=1), 1)
    assert np.abs(reseeded[0][0] - whole[0][0]).max() > 0


def test_every_case_comes_once_a_turn_and_is_named(cases, dataset):
    plan = make_plan(dataset, batch=5, augmentation=STILL)
    orders = []
    for step, (image, _) in enumerate(taken(batches(cases, plan, training=True), 4)):
        shown = [f"case_{int(patch.max()) - 1}" for patch in image]
        assert shown == cases_of_step(cases, plan, step)
        assert sorted(shown) == [case.name for case in cases]
        orders.append(tuple(shown))
    assert len(set(orders)) > 1


def test_an_epoch_draws_anew_when_repeated_but_the_same_when_rebuilt(cases, dataset):
    plan = make_plan(dataset, augmentation=STILL)
    epoch = batches(cases, plan, training=True, steps=3)
    assert int(epoch.cardinality()) == 3
    first, second = taken(epoch, 9), taken(epoch, 9)
    assert len(first) == len(second) == 3
    assert any(np.abs(image - later).max() > 0 for (image, _), (later, _) in zip(first, second, strict=True))
    assert_same(taken(batches(cases, plan, training=True, steps=3), 9), first)
    held = batches(cases, plan, training=False, steps=2)
    assert_same(taken(held, 9), taken(held, 9))


def test_the_public_pipeline_keeps_folds_apart(dataset, tmp_path, monkeypatch):
    monkeypatch.setenv("MEDSEG_CACHE", str(tmp_path))
    plan = make_plan(dataset)
    training, validation = fold_cases(dataset, plan, 1)
    assert {case.name for case in validation} == set(plan.folds[1])
    assert {case.name for case in training} == {case.name for case in dataset.cases} - set(plan.folds[1])
    image, label = next(iter(train.pipeline(dataset, plan, fold=1)))
    assert image.shape == (2, 16, 16, 8, 1)
    assert set(np.unique(label)) <= {0, 1, 2}
    assert len(list(train.pipeline(dataset, plan, fold=1, training=False))) == 1
    assert len([entry for entry in tmp_path.iterdir() if entry.is_dir() and not entry.name.startswith(".")]) == 6


def test_unknown_fold_and_foreign_plan(dataset):
    plan = make_plan(dataset)
    with pytest.raises(UsageError, match="fold 3: the plan has folds 0 to 2"):
        fold_cases(dataset, plan, 3)
    with pytest.raises(UsageError, match="1 of the plan's cases are not in it, such as stranger"):
        fold_cases(dataset, dataclasses.replace(plan, folds=(*plan.folds, ("stranger",))), 0)


@pytest.mark.parametrize("shape", [(9, 30), (10, 7, 20)])
def test_a_scan_smaller_than_the_patch_lies_where_tiling_puts_it(shape, tmp_path):
    case = write_case(tmp_path, 0, shape, [tuple(n // 2 for n in shape)])
    patch = (16,) * len(shape)
    image, label = read_region(case, patch, patch, np.zeros(3 + len(shape)), 0.0)
    padded, _ = pad_to(case.image(), patch)
    start = tuple(slice(0, 16) for _ in shape)
    np.testing.assert_array_equal(image, padded[start])
    assert label.shape == patch


def test_random_patches_reach_both_ends_and_nothing_beyond(tmp_path):
    case = write_case(tmp_path, 0, (24, 20))
    for draws in (np.zeros(5), np.full(5, 0.99999)):
        image, _ = read_region(case, (16, 16), (16, 16), draws, 0.0)
        assert (image == 1).all()
    np.save(case.folder / "image.npy", np.arange(480, dtype=np.float32).reshape(24, 20, 1))
    first, _ = read_region(case, (16, 16), (16, 16), np.zeros(5), 0.0)
    last, _ = read_region(case, (16, 16), (16, 16), np.full(5, 0.99999), 0.0)
    assert first[0, 0, 0] == 0
    assert last[-1, -1, 0] == 479


def test_foreground_patches_are_centred_as_far_as_the_scan_allows(tmp_path):
    case = write_case(tmp_path, 0, (40, 40), [(20, 11), (39, 0)])
    for draw, expected in ((0.0, (8, 8)), (0.9, (15, 0))):
        _, label = read_region(case, (16, 16), (16, 16), np.array([0.1, 0.5, draw, 0.5, 0.5]), 0.33)
        assert tuple(np.argwhere(label)[0]) == expected
    # A larger region shows more around the same patch, zero beyond the scan.
    image, label = read_region(case, (24, 20), (16, 16), np.array([0.1, 0.5, 0.9, 0.5, 0.5]), 0.33)
    assert [tuple(place) for place in np.argwhere(label)] == [(0, 13), (19, 2)]
    assert (image[:20, 2:] == 1).all()
    assert (image[20:] == 0).all()
    assert (image[:, :2] == 0).all()


def test_a_third_of_the_patches_is_forced_to_foreground(tmp_path, dataset):
    case = write_case(tmp_path, 0, (200, 200, 1), [(7, 9, 0)])
    plan = dataclasses.replace(make_plan(dataset, batch=50, mirror=(), augmentation=STILL), patch=(8, 8, 1))
    labels = np.concatenate([label for _, label in taken(batches([case], plan, training=True), 12)])
    count = int(labels.any(axis=(1, 2, 3)).sum())
    assert 160 <= count <= 240  # 199 expected of 600, standard deviation 11.5


def test_a_case_without_foreground_gives_patches_all_the_same(tmp_path):
    case = write_case(tmp_path, 0, (20, 20))
    image, label = read_region(case, (8, 8), (8, 8), np.full(5, 0.2), 1.0)
    assert (image == 1).all()
    assert not label.any()


def test_orders_are_uniform():
    first = Counter(int(case_indices(0, np.int64(turn * 4), 4)) for turn in range(200))
    assert set(first) == {0, 1, 2, 3}
    assert max(first.values()) <= 80  # 50 expected, standard deviation 6


@pytest.mark.parametrize(("channels", "kind"), [(1, np.uint8), (3, np.uint16)])
def test_regions_of_several_cases_are_numpys(channels, kind, tmp_path):
    """Two and three axes, inside, across the border and around a smaller scan, by slicing a padded array."""
    random = np.random.default_rng(0)
    for rank, region, patch in ((2, (9, 12), (7, 8)), (3, (9, 6, 7), (8, 5, 4))):
        cases = []
        for number in range(3):
            shape = tuple(int(n) for n in random.integers(3, 16, rank))
            case = write_case(tmp_path / str(rank), number, shape)
            np.save(case.folder / "image.npy", random.normal(size=(*shape, channels)).astype(np.float32))
            np.save(case.folder / "label.npy", random.integers(0, 3, shape).astype(kind))
            cases.append(case)
        read = tf.function(reader(cases, region, patch, 0.0))
        for index in (0, 1, 2, 1):
            draws = random.random(3 + rank)
            case = cases[index]
            start = []
            for n, p, r, draw in zip(case.shape, patch, region, draws[3:], strict=True):
                place = int(draw * (n - p + 1)) if n > p else -((p - n) // 2)
                start.append(place - (r - p) // 2)
            inside = tuple(slice(20 + a, 20 + a + r) for a, r in zip(start, region, strict=True))
            image, label = (tensor.numpy() for tensor in read(tf.constant(index), tf.constant(draws)))
            np.testing.assert_array_equal(image, np.pad(case.image(), [(20, 20)] * rank + [(0, 0)])[inside])
            np.testing.assert_array_equal(label, np.pad(case.label(), 20)[inside])
            assert (image.dtype, label.dtype) == (np.float32, np.int32)


@pytest.mark.parametrize("slices", [1, 3])
def test_slices_of_volumes_are_numpys(slices, tmp_path):
    """A slice and its neighbours, the ends again beyond the volume; in the plane as regions of flat scans are."""
    random = np.random.default_rng(0)
    cases = []
    for number, depth in enumerate((4, 1)):
        case = write_case(tmp_path, number, (depth, 11, 13))
        np.save(case.folder / "image.npy", random.normal(size=(depth, 11, 13, 2)).astype(np.float32))
        np.save(case.folder / "label.npy", random.integers(0, 3, (depth, 11, 13)).astype(np.uint8))
        cases.append(case)
    read = tf.function(reader(cases, (9, 20), (7, 16), 0.0, slices))
    for index, draw in ((0, 0.0), (0, 0.3), (0, 0.99), (1, 0.5)):
        image, label = (tensor.numpy() for tensor in read(index, tf.constant([0.9, 0, 0, draw, 0.5, 0.5])))
        case = cases[index]
        at = int(draw * case.shape[0])
        inside = (slice(20 + int(0.5 * 5) - 1, 29 + int(0.5 * 5) - 1), slice(20 - 1 - 2, 40 - 1 - 2))
        padding = [(0, 0), (20, 20), (20, 20)]
        stacked = np.stack([slice_stack(case.image(), z, slices) for z in range(case.shape[0])])
        np.testing.assert_array_equal(image, np.pad(stacked, [*padding, (0, 0)])[(at, *inside)])
        np.testing.assert_array_equal(label, np.pad(case.label(), padding)[(at, *inside)])
        assert image.shape == (9, 20, 2 * slices)


def test_slices_with_foreground_are_drawn_more_often(tmp_path, dataset):
    case = write_case(tmp_path, 0, (100, 8, 8), [(37, 4, 4)])
    plan = make_plan(dataset, batch=50, mirror=(), augmentation=STILL)
    plan = dataclasses.replace(plan, patch=(8, 8), recipe=dataclasses.replace(plan.recipe, slices=1))
    labels = np.concatenate([label for _, label in taken(batches([case], plan, training=True), 12)])
    assert labels.shape == (600, 8, 8)
    count = int(labels.any(axis=(1, 2)).sum())
    assert 160 <= count <= 245  # 202 expected of 600, standard deviation 11.6
    assert validation_steps([case], plan) == 2


def test_no_python_runs_in_the_stream(cases, dataset):
    stream = batches(cases, make_plan(dataset, augmentation=STILL), training=True)
    graph = tf.raw_ops.DatasetToGraph(input_dataset=tf.data.experimental.to_variant(stream)).numpy()
    assert b"ImmutableConst" in graph
    assert b"PyFunc" not in graph
