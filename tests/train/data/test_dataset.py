import json

import numpy as np
import pytest
from dataset_folders import scan_3d, write_flat, write_msd

import imaging
from imaging.labels import Label
from imaging.scan import Scan
from medseg.errors import InputError, UsageError
from train.data.dataset import open_dataset


def edit(folder, **changes):
    path = folder / "dataset.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_msd(tmp_path):
    dataset = open_dataset(write_msd(tmp_path, cases=2))
    assert dataset.name == "Balls"
    assert dataset.labels == (Label("background", 0), Label("back", 1), Label("front", 2))
    assert dataset.channels == ("MRI",)
    assert [case.name for case in dataset.cases] == ["case_001", "case_002"]
    assert dataset.case("case_002").images == (tmp_path / "imagesTr" / "case_002.nii.gz",)
    assert dataset.case("case_002").label == tmp_path / "labelsTr" / "case_002.nii.gz"
    with pytest.raises(InputError, match="no case 'other'"):
        dataset.case("other")


def test_nnunet_with_two_channels(tmp_path):
    image, label = scan_3d()
    for name in ("p1", "p2"):
        for channel in range(2):
            imaging.write(tmp_path / "imagesTr" / f"{name}_{channel:04d}.nii.gz", image)
        imaging.write(tmp_path / "labelsTr" / f"{name}.nii.gz", label)
    description = {
        "channel_names": {"1": "T2", "0": "T1"},
        "labels": {"background": 0, "front": 2, "back": 1},
        "file_ending": ".nii.gz",
        "numTraining": 2,
    }
    (tmp_path / "dataset.json").write_text(json.dumps(description))
    dataset = open_dataset(tmp_path)
    assert dataset.channels == ("T1", "T2")
    assert dataset.labels == (Label("background", 0), Label("back", 1), Label("front", 2))
    assert [path.name for path in dataset.cases[0].images] == ["p1_0000.nii.gz", "p1_0001.nii.gz"]
    (tmp_path / "imagesTr" / "p2_0001.nii.gz").unlink()
    with pytest.raises(InputError, match=r"p2_0001\.nii\.gz is missing"):
        open_dataset(tmp_path)


def test_plain_matches_masks_by_the_beginning_of_their_names(tmp_path):
    write_flat(tmp_path, ["001_HC", "001_2HC", "002_HC"], mask="{}_Mask")
    dataset = open_dataset(tmp_path)
    assert [(case.name, case.label.name, case.group) for case in dataset.cases] == [
        ("001_2HC", "001_2HC_Mask.png", "001"),
        ("001_HC", "001_HC_Mask.png", "001"),
        ("002_HC", "002_HC_Mask.png", "002"),
    ]
    assert dataset.labels == (Label("background", 0), Label("foreground", 255))
    assert dataset.channels == ("image",)


def test_plain_prefers_the_longest_image_name(tmp_path):
    write_flat(tmp_path, ["a", "a_1"], mask="{}_m")
    assert {case.name: case.label.name for case in open_dataset(tmp_path).cases} == {"a": "a_m.png", "a_1": "a_1_m.png"}


def test_plain_colour_images(tmp_path):
    write_flat(tmp_path, ["a"])
    imaging.write(
        tmp_path / "images" / "a.png", Scan(np.random.default_rng(0).integers(0, 255, (64, 48, 3)), np.eye(4))
    )
    assert open_dataset(tmp_path).channels == ("red", "green", "blue")


def test_plain_with_a_description(tmp_path):
    write_flat(tmp_path, ["a"])
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": {"0": "background", "255": "disc"}, "name": "Discs"}))
    dataset = open_dataset(tmp_path)
    assert dataset.name == "Discs"
    assert dataset.labels[1] == Label("disc", 255)


def test_known_labels_spare_reading_the_files(tmp_path):
    write_flat(tmp_path, ["a"])
    (tmp_path / "labels" / "a.png").write_bytes(b"")
    labels = (Label("background", 0), Label("disc", 255))
    assert open_dataset(tmp_path, labels=labels).labels == labels


def test_labels_folder_is_chosen_and_what_it_lacks_is_told(tmp_path):
    write_flat(tmp_path, ["a", "b", "c"], labels_folder="labels_endo")
    assert open_dataset(tmp_path).labels[1].name == "endo"  # the only one there
    write_flat(tmp_path, ["a"], labels_folder="labels_epi")
    with pytest.raises(
        UsageError, match=r"several folders of labels \(labels_endo, labels_epi\); choose with --labels"
    ):
        open_dataset(tmp_path)
    dataset = open_dataset(tmp_path, "labels_epi")
    assert [case.name for case in dataset.cases] == ["a"]
    assert dataset.labels_folder == "labels_epi"
    assert dataset.notes == ("2 of 3 images have no label in labels_epi/ and are left out (first: b)",)
    with pytest.raises(UsageError, match="labels folder 'labels_ebdo'"):
        open_dataset(tmp_path, "labels_ebdo")


def test_plain_lists_every_problem(tmp_path):
    write_flat(tmp_path, ["a", "b"])
    (tmp_path / "labels" / "b.png").rename(tmp_path / "labels" / "z.png")
    with pytest.raises(InputError) as caught:
        open_dataset(tmp_path)
    assert str(caught.value).splitlines() == [
        f"{tmp_path}: 2 problems",
        "  labels/z.png: no image in images/ has this name or the beginning of it",
        "  b.png: no label in labels/",
    ]


def test_two_labels_for_an_image(tmp_path):
    write_flat(tmp_path, ["a"])
    write_flat(tmp_path, ["a"], mask="{}_mask")
    with pytest.raises(InputError, match=r"a: both a.png and a_mask.png in labels/ are its label"):
        open_dataset(tmp_path)


def test_a_grey_mask_is_no_label_map(tmp_path):
    write_flat(tmp_path, ["a"])
    grey = np.arange(64 * 48).reshape(64, 48, 1) % 200
    imaging.write(tmp_path / "labels" / "a.png", Scan(grey.astype(np.uint8), np.eye(4)))
    with pytest.raises(InputError, match="200 distinct values so far, expected 64 classes at most"):
        open_dataset(tmp_path)


def test_msd_lists_missing_and_doubled_files(tmp_path):
    write_msd(tmp_path, cases=3)
    (tmp_path / "labelsTr" / "case_002.nii.gz").unlink()
    listed = json.loads((tmp_path / "dataset.json").read_text())["training"]
    edit(tmp_path, training=[*listed, listed[0], {"image": 3}])
    with pytest.raises(InputError) as caught:
        open_dataset(tmp_path)
    lines = str(caught.value).splitlines()
    assert lines[0].endswith("3 problems")
    assert "case_002.nii.gz is missing" in lines[1]
    assert "case_001 is listed twice" in lines[2]
    assert "training[4] is {'image': 3}" in lines[3]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({}, "expected 'labels' to be an object such as .*, got {}"),
        ({"0": "background"}, "only the background"),
        ({"background": 0, "a": 1, "b": 1}, "'a' and 'b' share the value 1"),
        ({"background": 0, "whole": [1, 2]}, "expected 'regions_class_order' to be a list of 1 values"),
        (
            {"background": 0, "whole": [1, "b"]},
            r"value \[1, 'b'\]; expected a whole number from 0, or a list",
        ),
        ({"background": 0, "a": True}, "'a' has value True"),
        ({"0": "background", "1": "a", "2": "a"}, "two labels are called 'a'"),
        ({"background": 0, "a\n": 1}, "is no name"),
        ({"background": 0, "a": 1, "ignore": [2, 3]}, "'ignore' has the values"),
        (5, "got 5"),
        ({"background": 0, "a": 1, "ignore": 1}, "'a' and 'ignore' share the value 1"),
        ({"a": 1, "ignore": 0}, "'ignore' has value 0, which is the background's"),
        ({"background": 0, "a": -1}, "'a' has value -1"),
    ],
)
def test_labels_that_cannot_be(tmp_path, labels, message):
    write_msd(tmp_path, cases=1)
    edit(tmp_path, labels=labels)
    with pytest.raises(InputError, match=message):
        open_dataset(tmp_path)


def test_what_is_no_dataset(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        open_dataset(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"not a dataset; expected dataset\.json"):
        open_dataset(tmp_path)
    (tmp_path / "dataset.json").write_text("{")
    with pytest.raises(InputError, match=r"dataset\.json: not readable as JSON"):
        open_dataset(tmp_path)
    (tmp_path / "dataset.json").unlink()
    (tmp_path / "images").mkdir()
    with pytest.raises(InputError, match="images/ but no labels/"):
        open_dataset(tmp_path)
    (tmp_path / "labels").mkdir()
    with pytest.raises(InputError, match="lists no case"):
        open_dataset(tmp_path)


def test_msd_has_no_choice_of_labels(tmp_path):
    write_msd(tmp_path, cases=1)
    with pytest.raises(UsageError, match="has the MSD layout, which has no choice"):
        open_dataset(tmp_path, "labels_other")
    assert open_dataset(tmp_path, "labels").labels_folder == "labels"


def test_folders_by_name_are_of_images_and_of_labels(tmp_path):
    """Also by an absolute path inside the dataset; one folder for both, or one without a file, is told."""
    write_msd(tmp_path / "msd", cases=2)
    (tmp_path / "data" / "masks by A").mkdir(parents=True)
    (tmp_path / "data" / "none").mkdir()
    (tmp_path / "msd" / "imagesTr").rename(tmp_path / "data" / "t1")
    (tmp_path / "msd" / "labelsTr").rename(tmp_path / "data" / "masks by A" / "final")
    folder = tmp_path / "data"
    images, labels = "t1", "masks by A/final"
    for given in ((images, labels), (str(folder / images), str(folder / labels))):
        dataset = open_dataset(folder, given[1], images_folder=given[0])
        assert len(dataset.cases) == 2
        assert (dataset.images_folder, dataset.labels_folder) == (images, labels)
    with pytest.raises(UsageError, match="images and labels folder 't1': are one"):
        open_dataset(folder, "t1", images_folder="t1")
    for empty in ("none", "masks by A"):
        with pytest.raises(InputError, match=f"{empty}: holds no label file"):
            open_dataset(folder, empty, images_folder="t1")
    with pytest.raises(UsageError, match="leads out of the dataset's folder"):
        open_dataset(folder, str(tmp_path / "msd"), images_folder="t1")
