"""The cache of preprocessed cases: keys, reuse, interruption, errors."""

import dataclasses
import errno
import os
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import nibabel
import numpy as np
import pytest
from tiny import make_plan, write_dataset

import imaging
from imaging.recipe import Recipe
from medseg.errors import InputError
from train.evaluation.reference import class_indices
from train.input.cache import at_a_time, cache_cases, cached, case_key, class_positions, mapped


@pytest.fixture
def dataset(tmp_path):
    return write_dataset(tmp_path / "data", cases=3)


@pytest.fixture
def recipe(dataset):
    return make_plan(dataset).recipe


def places(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_cached_case_is_what_preparing_gives(dataset, recipe, tmp_path):
    case = dataset.cases[0]
    stored = cached(case, recipe, dataset.labels, tmp_path / "cache")
    image = imaging.prepare(imaging.read(list(case.images)), recipe)
    values = imaging.prepare_labels(imaging.read_labels(case.label), image, recipe).voxels[..., 0]
    np.testing.assert_array_equal(stored.image(), image.voxels)
    np.testing.assert_array_equal(stored.label(), np.searchsorted([0, 1, 5], values))
    assert stored.shape == image.shape
    assert isinstance(stored.image(), np.memmap)
    assert isinstance(stored.label(), np.memmap)
    positions, offsets = stored.positions()
    for index in (1, 2):
        chosen = positions[offsets[index] : offsets[index + 1]]
        assert {tuple(p) for p in chosen} == {tuple(p) for p in np.argwhere(stored.label() == index)}


def test_key_follows_content_recipe_and_labels_and_nothing_else(dataset, recipe, tmp_path):
    case = dataset.cases[0]
    key = case_key(case, recipe, dataset.labels)
    copied = [shutil.copy(path, tmp_path / f"{path.parent.name}.nii.gz") for path in (*case.images, case.label)]
    moved = dataclasses.replace(case, name="other", images=(copied[0],), label=copied[1])
    os.utime(copied[0], (0, 0))
    assert case_key(moved, recipe, dataset.labels) == key
    keys = {
        key,
        case_key(case, dataclasses.replace(recipe, spacing=(1.0, 1.0, 1.0)), dataset.labels),
        case_key(case, recipe, dataset.labels[:2]),
        case_key(dataset.cases[1], recipe, dataset.labels),
        case_key(dataclasses.replace(case, label=dataset.cases[1].label), recipe, dataset.labels),
    }
    assert len(keys) == 5


def test_voxels_beside_a_header_are_part_of_the_key(dataset, tmp_path):
    """Headers of one scanner are often the same to the byte."""
    keys = set()
    for number in range(2):
        image, label = (tmp_path / f"{kind}{number}.hdr" for kind in ("image", "label"))
        nibabel.save(nibabel.Nifti1Pair(np.full((4, 4, 4), number, np.int16), np.eye(4)), image)
        nibabel.save(nibabel.Nifti1Pair(np.zeros((4, 4, 4), np.uint8), np.eye(4)), label)
        case = dataclasses.replace(dataset.cases[0], images=(image,), label=label)
        keys.add(case_key(case, Recipe(3), dataset.labels))
    assert (tmp_path / "image0.hdr").read_bytes() == (tmp_path / "image1.hdr").read_bytes()
    assert len(keys) == 2


def test_what_is_there_is_used_again(dataset, recipe, tmp_path, monkeypatch):
    first = cache_cases(dataset.cases, recipe, dataset.labels, tmp_path / "cache")
    monkeypatch.setattr("imaging.recipe.prepare", None)
    assert cache_cases(dataset.cases, recipe, dataset.labels, tmp_path / "cache") == first


def test_an_interrupted_run_leaves_no_half_case_and_is_continued(dataset, recipe, tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    cached(dataset.cases[0], recipe, dataset.labels, folder)
    done = places(folder)
    save = np.save

    def full(path, array):
        if os.path.basename(path) == "positions.npy":
            raise OSError(errno.ENOSPC, "No space left on device")
        save(path, array)

    monkeypatch.setattr("numpy.save", full)
    with pytest.raises(InputError, match=r"No space left.*MEDSEG_CACHE"):
        cache_cases(dataset.cases, recipe, dataset.labels, folder)
    assert places(folder) == done
    monkeypatch.undo()
    # What a killed process leaves behind is never taken for a case.
    (folder / f".{case_key(dataset.cases[1], recipe, dataset.labels)}.abc.tmp").mkdir()
    stored = cache_cases(dataset.cases, recipe, dataset.labels, folder)
    assert [case.name for case in stored] == [case.name for case in dataset.cases]
    assert all(case.image().shape[:-1] == case.shape for case in stored)


def test_every_unusable_case_is_named(dataset, recipe, tmp_path):
    first, second = dataset.cases[0], dataset.cases[2]
    label = nibabel.load(first.label)
    wrong = np.asarray(label.dataobj).copy()
    wrong[0, 0, 0] = 9
    nibabel.save(nibabel.Nifti1Image(wrong, label.affine), first.label)
    second.images[0].write_bytes(second.images[0].read_bytes()[:200])
    with pytest.raises(InputError) as caught:
        cache_cases(dataset.cases, recipe, dataset.labels, tmp_path / "cache")
    message = str(caught.value)
    assert f"{first.label}: holds label value 9; the dataset's labels are 0 background, 1 near, 5 far" in message
    assert str(second.images[0]) in message
    assert dataset.cases[1].images[0].name not in message


def test_a_scan_that_would_fill_the_memory_is_named(dataset, recipe, tmp_path):
    case = dataset.cases[1]
    fine = dataclasses.replace(recipe, spacing=(0.001, 0.001, 0.001))
    with pytest.raises(InputError, match=r"unit in its header right") as caught:
        cached(case, fine, dataset.labels, tmp_path / "cache")
    assert str(caught.value).startswith(f"{case.images[0]}: ")


def test_a_cache_that_cannot_be_written(dataset, recipe, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file/cache.*set MEDSEG_CACHE"):
        cached(dataset.cases[0], recipe, dataset.labels, tmp_path / "file" / "cache")


def test_a_case_without_label(dataset, recipe, tmp_path):
    with pytest.raises(InputError, match="case_00 has no label"):
        cached(dataclasses.replace(dataset.cases[0], label=None), recipe, dataset.labels, tmp_path / "cache")


def test_class_positions_are_limited_and_absent_classes_empty():
    label = np.zeros((10, 10), np.uint8)
    label[:5], label[9, 9] = 1, 3
    positions, offsets = class_positions(label, 5, limit=20)
    np.testing.assert_array_equal(np.diff(offsets), [0, 20, 0, 1, 0])
    assert (label[tuple(positions[:20].T)] == 1).all()
    assert len(np.unique(positions[:20], axis=0)) == 20
    np.testing.assert_array_equal(positions[20], [9, 9])
    empty, offsets = class_positions(np.zeros((4, 4), np.uint8), 3)
    assert empty.shape == (0, 2)
    assert list(offsets) == [0, 0, 0, 0]


def test_class_indices_need_no_order_of_values():
    labels = (imaging.Label("background", 0), imaging.Label("b", 7), imaging.Label("a", 2))
    np.testing.assert_array_equal(class_indices(np.array([[0, 2], [7, 2]]), labels, "f"), [[0, 2], [1, 2]])


def turned_label(case, folder):
    """The same case with its label file stored from left to right and back to front, as another tool may write it."""
    stored = nibabel.load(case.label)
    change = nibabel.orientations.ornt_transform(
        nibabel.io_orientation(stored.affine), nibabel.orientations.axcodes2ornt("LPS")
    )
    path = folder / "turned.nii.gz"
    nibabel.save(stored.as_reoriented(change), path)
    return dataclasses.replace(case, label=path)


def test_a_label_in_another_order_of_axes_is_the_same_label(dataset, recipe, tmp_path):
    case = dataset.cases[0]
    turned = turned_label(case, tmp_path)
    assert nibabel.aff2axcodes(nibabel.load(turned.label).affine) != nibabel.aff2axcodes(
        nibabel.load(case.label).affine
    )
    expected = cached(case, recipe, dataset.labels, tmp_path / "cache")
    np.testing.assert_array_equal(cached(turned, recipe, dataset.labels, tmp_path / "cache").label(), expected.label())
    assert expected.label().any()


def test_a_label_that_lies_elsewhere_is_refused_and_never_cached_as_empty(dataset, recipe, tmp_path):
    case = dataset.cases[0]
    stored = nibabel.load(case.label)
    affine = stored.affine.copy()
    affine[:3, 3] += 200
    nibabel.save(nibabel.Nifti1Image(np.asarray(stored.dataobj), affine), tmp_path / "far.nii.gz")
    far = dataclasses.replace(case, label=tmp_path / "far.nii.gz")
    with pytest.raises(InputError, match=r"far\.nii\.gz: lies up to 346 mm .* away from"):
        cached(far, recipe, dataset.labels, tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_one_thread_at_a_time_parses_the_header_of_an_array(tmp_path, monkeypatch):
    """Python's ast may fail in several threads at once."""
    np.save(tmp_path / "label.npy", np.arange(6))
    busy, together, load = threading.Lock(), [], np.load

    def slow(*args, **options):
        together.append(not busy.acquire(blocking=False))
        time.sleep(0.01)
        if not together[-1]:
            busy.release()
        return load(*args, **options)

    monkeypatch.setattr(np, "load", slow)
    with ThreadPoolExecutor(4) as pool:
        arrays = list(pool.map(mapped, [tmp_path / "label.npy"] * 12))
    assert not any(together)
    assert all(array.tolist() == list(range(6)) for array in arrays)


def test_large_scans_are_prepared_few_at_a_time(monkeypatch):
    """Twice 4 bytes a voxel and channel, 1.5 GB in all: 512 x 512 x 300 take 0.63 GB."""
    monkeypatch.setattr(os, "cpu_count", lambda: 16)

    def measured(*shape, channels=1):
        return {"shape": {"maximum": [float(size) for size in shape]}, "channels": ["CT"] * channels}

    assert at_a_time(measured(512, 512, 300)) == 2
    assert at_a_time(measured(512, 512, 100, channels=4)) == 1
    assert at_a_time(measured(512, 512, 2000)) == 1
    assert at_a_time(measured(128, 128, 80)) == at_a_time({}) == 16
