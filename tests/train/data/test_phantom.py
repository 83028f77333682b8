import json

import numpy as np
import pytest
from dataset_folders import write_flat

import imaging
from medseg.errors import InputError, UsageError
from train.data.dataset import open_dataset
from train.data.phantom import best_threshold_dice, make_phantoms, phantom


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_phantoms(tmp_path_factory.mktemp("phantoms") / "set", cases=6, seed=3, unseen=2)


@pytest.mark.parametrize("seed", range(4))
def test_volumes_are_those_of_the_closed_form(seed):
    made = phantom(seed)
    voxel = float(np.prod(made.labels.spacing))
    for value, name in ((1, "body"), (2, "cap")):
        assert (made.labels.voxels == value).sum() * voxel == pytest.approx(made.volumes_mm3[name], rel=0.05)
    assert made.volumes_mm3["body"] > 2 * made.volumes_mm3["cap"]


def test_body_and_cap_touch_and_each_is_one_piece():
    from scipy.ndimage import binary_dilation, label

    labels = phantom(0).labels.voxels[..., 0]
    assert (binary_dilation(labels == 1) & (labels == 2)).sum() > 20
    assert label(labels == 1)[1] == label(labels == 2)[1] == 1


def test_cap_lies_in_front_whatever_the_orientation_of_the_file():
    codes = set()
    for seed in range(8):
        made = phantom(seed)
        codes.add(imaging.axis_codes(made.image.affine))
        labels = imaging.reorient(made.labels, "RAS").voxels[..., 0]
        assert np.argwhere(labels == 2)[:, 1].mean() > np.argwhere(labels == 1)[:, 1].mean()
    assert len(codes) > 1


def test_the_seed_decides():
    assert np.array_equal(phantom(5).image.voxels, phantom(5).image.voxels)
    assert phantom(5).image.shape != phantom(6).image.shape or not np.array_equal(
        phantom(5).image.voxels, phantom(6).image.voxels
    )


def test_slices_are_thicker_than_pixels():
    spacing = imaging.reorient(phantom(0).image, "RAS").spacing
    assert spacing[2] > 1.3 * spacing[0]


def test_dataset_folder(folder):
    dataset = open_dataset(folder)
    assert [label.name for label in dataset.labels] == ["background", "body", "cap"]
    assert len(dataset.cases) == 6
    assert [path.name for path in sorted((folder / "imagesTs").iterdir())] == [
        "phantom_007.nii.gz",
        "phantom_008.nii.gz",
    ]
    assert len(list((folder / "labelsTs").iterdir())) == 2
    description = json.loads((folder / "dataset.json").read_text())
    assert (description["numTraining"], description["numTest"]) == (6, 2)
    case = dataset.cases[0]
    image, label = imaging.read(case.images), imaging.read_labels(case.label)
    imaging.align(label, image, "label", "image")
    assert set(np.unique(label.voxels)) == {0, 1, 2}
    assert image.voxels.min() >= 0


def test_intensities_overlap(folder):
    outside = []
    for case in open_dataset(folder).cases:
        image, label = imaging.read(case.images).voxels, imaging.read_labels(case.label).voxels
        body, cap, rest = (image[label == k] for k in (1, 2, 0))
        outside.append([(rest > np.median(part)).sum() / part.size for part in (body, cap)])
        assert np.percentile(cap, 90) > np.percentile(body, 10)
    # as bright as half of the structure: a good part of its volume again around it, several times that of the cap
    body, cap = np.mean(outside, axis=0)
    assert body > 0.2
    assert cap > 2


def test_no_threshold_solves_it(folder):
    dice = best_threshold_dice(open_dataset(folder))
    assert set(dice) == {"body", "cap"}
    assert dice["body"] < 0.65
    assert dice["cap"] < 0.3


def test_best_threshold_finds_what_a_threshold_can_do(tmp_path):
    # discs 60 grey values above a noise of deviation 20: three deviations apart
    dataset = open_dataset(write_flat(tmp_path, ["a", "b", "c"]))
    dice = best_threshold_dice(dataset, bins=256)["foreground"]
    by_hand = []
    for step in np.linspace(-1, 3, 400):
        scores = []
        for case in dataset.cases:
            image, label = imaging.read(case.images).voxels, imaging.read_labels(case.label).voxels > 0
            marked = (image - image.mean()) / image.std() > step
            scores.append(2 * (marked & label).sum() / (marked.sum() + label.sum()))
        by_hand.append(np.mean(scores))
    assert dice == pytest.approx(max(by_hand), abs=0.01)


def test_what_cannot_be_made(folder, tmp_path):
    with pytest.raises(InputError, match="holds a dataset already"):
        make_phantoms(folder)
    with pytest.raises(UsageError, match="0 cases"):
        make_phantoms(tmp_path, cases=0)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError):
        make_phantoms(tmp_path / "file" / "set", cases=1)
