"""Which augmentation plans take: by the channels' names, and back by a preset."""

import dataclasses

import nibabel
import numpy as np
import pytest
from dataset_folders import write_msd

from train.data.dataset import open_dataset
from train.input.augmentation_chances import augmented
from train.input.augmentation_choice import plan_augmentation
from train.input.augmentation_presets import PRESETS, with_preset
from train.planning.plan import Augmentation
from train.planning.planner import make_plan


def measured(channels, bias=3.0):
    return {"channels": channels, "quality": {"bias": bias}}


@pytest.mark.parametrize(
    "channels",
    [["MRI"], ["MR"], ["T1w", "t1ce", "T2", "FLAIR"], ["T2-weighted"], ["cine MRI"], ["bSSFP"], ["ADC", "DWI"]],
)
def test_mr_is_told_by_the_names_of_all_channels(channels):
    reasons = {}
    assert plan_augmentation(measured(channels), False, reasons) == with_preset(Augmentation(), "mr")
    assert reasons["augmentation"].startswith("preset mr: the median scan is 3.0 times as bright")


@pytest.mark.parametrize(
    "channels",
    [["CT"], ["CBCT"], ["R", "G", "B"], ["ultrasound"], ["phantom"], ["image"], ["MRI", "CT"], ["T10 vertebra"], []],
)
def test_others_keep_the_augmentation_of_nnunet(channels):
    reasons = {}
    assert plan_augmentation(measured(channels), False, reasons) == Augmentation()
    assert reasons == {}


def test_evenly_bright_scans_keep_it_too_and_the_plan_says_why():
    reasons = {}
    assert plan_augmentation(measured(["MRI"], 1.7), False, reasons) == Augmentation()
    assert reasons["augmentation"].endswith("1.7 times as bright in one place as in another, below 2")
    assert plan_augmentation({"channels": ["MRI"]}, False, {}) == Augmentation()  # a fingerprint of an earlier version


def test_objects_come_before_names():
    reasons = {}
    assert plan_augmentation(measured(["MRI"]), True, reasons).scale == (0.6, 1.6)
    assert reasons["augmentation"].startswith("objects")


def test_a_preset_leaves_nothing_of_the_one_before():
    settings = dataclasses.replace(Augmentation(), rotation=(10.0,), cutout_chance=0.2)
    for first in PRESETS:
        for second in PRESETS:
            changed = augmented(augmented(settings, first), second)
            direct = augmented(settings, second)
            if "cutout_chance" not in PRESETS[first]:
                assert changed == direct
            else:  # a preset that sets what the user had set wins
                assert changed == dataclasses.replace(direct, cutout_chance=changed.cutout_chance)
    assert augmented(with_preset(Augmentation(), "mr"), "nnunet") == dataclasses.replace(
        Augmentation(), preset="nnunet"
    )


@pytest.mark.parametrize(("exponent", "preset"), [(0.0, ""), (1.2, "mr")])
def test_a_plan_measures_how_even_its_scans_are(tmp_path, exponent, preset):
    """A field of e^(2 x exponent) from side to side is found in the scans."""
    folder = write_msd(tmp_path, cases=4)
    for path in folder.glob("imagesTr/*.nii.gz"):
        image = nibabel.load(path)
        voxels = np.asarray(image.dataobj, np.float32)
        voxels = voxels - voxels.min() + np.ptp(voxels)
        field = np.exp(np.linspace(-exponent, exponent, voxels.shape[0], dtype=np.float32))
        nibabel.save(nibabel.Nifti1Image(voxels * field[:, None, None], image.affine), path)
    dataset = open_dataset(folder)
    assert list(dataset.channels) == ["MRI"]
    plan = make_plan(dataset, folds=2)
    assert plan.training.augmentation.preset == preset
    assert "times as bright" in plan.reasons["augmentation"]
    given = make_plan(dataset, folds=2, augmentation=Augmentation(noise=0.1))
    assert given.training.augmentation == Augmentation(noise=0.1)
    assert given.reasons["augmentation"] == "given by the user"
