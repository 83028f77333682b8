"""The dialects of dataset.json and of folder names: what one says is read whatever way it is written."""

import json
import tempfile
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from dataset_folders import scan_3d, write_flat
from described_folders import touch, write_case, write_json
from hypothesis import given, settings
from hypothesis import strategies as st

import imaging
from imaging.labels import Label, Region
from imaging.scan import Scan
from medseg.errors import InputError, UsageError
from train.data.dataset import open_dataset
from train.planning.planner import make_plan

NAMES = st.lists(
    st.text(st.sampled_from("abZ019._- éß日"), min_size=1, max_size=8).filter(
        lambda name: name.strip(". ") and not name.startswith(".") and name.isprintable()
    ),
    min_size=2,
    max_size=5,
    unique_by=lambda name: unicodedata.normalize("NFC", name).casefold(),
)
LABELS = (Label("background", 0), Label("liver", 1), Label("tumour 2", 2))


def listed(description, cases, channels, folder, beginning="", patients=False):
    """MSD and MONAI: a list of image and label, both as paths from the folder."""
    items, expected = [], {}
    for name in cases:
        place = name if patients else "imagesTr"
        stems = [f"t{c}" if patients else name + f"_{c}" * (channels > 1) for c in range(channels)]
        images = [f"{beginning}{place}/{stem}.nii.gz" for stem in stems]
        label = f"{beginning}{place if patients else 'labelsTr'}/{'seg' if patients else name}.nii.gz"
        items.append({"image": images if channels > 1 else images[0], "label": label, "fold": len(items) % 5})
        expected[name] = [touch(folder / path) for path in (*images, label)]
    return {**description, "training": items}, expected


def nnunet(description, cases, channels, folder, version=2):
    """nnU-Net: files by name; version 1 lists them without the numbers of the channels."""
    expected = {
        name: [
            *(touch(folder / "imagesTr" / f"{name}_{c:04d}.nii.gz") for c in range(channels)),
            touch(folder / "labelsTr" / f"{name}.nii.gz"),
        ]
        for name in cases
    }
    if version == 1:
        items = [{"image": f"./imagesTr/{n}.nii.gz", "label": f"./labelsTr/{n}.nii.gz"} for n in cases]
        return {**description, "training": items, "numTraining": str(len(cases))}, expected
    if version == "2 listed":
        description["dataset"] = {
            name: {"images": [str(p.relative_to(folder)) for p in paths[:-1]], "label": f"labelsTr/{name}.nii.gz"}
            for name, paths in expected.items()
        }
    return {**description, "file_ending": ".nii.gz", "numTraining": len(cases)}, expected


DIALECTS = {
    "MSD": lambda *args: listed(*args, beginning="./"),
    "MONAI": listed,
    "MONAI, a folder a patient": lambda *args: listed(*args, patients=True),
    "nnU-Net v1": lambda *args: nnunet(*args, version=1),
    "nnU-Net v2": nnunet,
    "nnU-Net v2, listed": lambda *args: nnunet(*args, version="2 listed"),
}
LABEL_STYLES = {
    "name to value": {"background": 0, "liver": 1, "tumour 2": 2},
    "name to text": {"background": "0", "liver": "1", "tumour 2": "2"},
    "value to name": {"0": "background", "1": "liver", "2": "tumour 2"},
    "real numbers": {"background": 0.0, "tumour 2": 2.0, "liver": 1.0},
    "names": ["background", "liver", "tumour 2"],
    "without background": {"liver": 1, "tumour 2": 2},
    "lists of one": {"background": 0, "liver": [1], "tumour 2": [2]},
}
CHANNEL_STYLES = (
    ("modality", lambda names: {str(i): name for i, name in enumerate(names)}),
    ("channel_names", lambda names: {str(i): name for i, name in reversed(list(enumerate(names)))}),
    ("channel_names", lambda names: {name: i for i, name in enumerate(names)}),
    ("modality", list),
)


@settings(max_examples=80, deadline=None)
@given(
    NAMES,
    st.sampled_from(sorted(DIALECTS)),
    st.sampled_from(sorted(LABEL_STYLES)),
    st.sampled_from(CHANNEL_STYLES),
    st.integers(1, 3),
    st.booleans(),
)
def test_every_dialect_says_the_same(names, dialect, labels, channel_style, channels, mark):
    modalities = ["CT", "T1 é", "PET"][:channels]
    key, style = channel_style
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        description, expected = DIALECTS[dialect](
            {"labels": LABEL_STYLES[labels], key: style(modalities)}, names, channels, folder
        )
        text = json.dumps(description, ensure_ascii=False)
        (folder / "dataset.json").write_text(text, encoding="utf-8-sig" if mark else "utf-8")
        dataset = open_dataset(folder)
        assert dataset.labels == LABELS
        assert dataset.channels == tuple(modalities)
        files = {case.name: [*case.images, case.label] for case in dataset.cases}
        assert files == {unicodedata.normalize("NFC", name): paths for name, paths in expected.items()}


def test_cases_are_called_after_the_folders_that_differ(tmp_path):
    items = [
        write_case(tmp_path, f"site{site}/p{patient}/t1.nii.gz", f"site{site}/p{patient}/seg.nii.gz")
        for site in (1, 2)
        for patient in (1, 2)
    ]
    names = [case.name for case in open_dataset(write_json(tmp_path, training=items)).cases]
    assert names == ["site1_p1", "site1_p2", "site2_p1", "site2_p2"]
    one_site = [item for item in items if item["image"].startswith("site1")]
    assert [case.name for case in open_dataset(write_json(tmp_path, training=one_site)).cases] == ["p1", "p2"]


def test_channels_of_a_patient_are_called_after_what_they_share(tmp_path):
    items = []
    for patient in ("BraTS_001", "BraTS_002"):
        images = [f"{patient}/{patient}_{kind}.nii.gz" for kind in ("flair", "t1")]
        for path in images:
            touch(tmp_path / path)
        touch(tmp_path / f"{patient}/{patient}_seg.nii.gz")
        items.append({"image": images, "label": f"{patient}/{patient}_seg.nii.gz"})
    dataset = open_dataset(write_json(tmp_path, training=items, channel_names={"0": "flair", "1": "t1"}))
    assert [case.name for case in dataset.cases] == ["BraTS_001", "BraTS_002"]
    with pytest.raises(InputError, match="BraTS_001: 2 images listed, expected 1, the channels CT"):
        open_dataset(write_json(tmp_path, training=items[:1]))


def test_a_datalist_by_another_name_whose_labels_are_in_the_files(tmp_path):
    for number in (1, 2):
        image, label = scan_3d(number)
        imaging.write(tmp_path / f"p{number}" / "t1.nii.gz", image)
        imaging.write(tmp_path / f"p{number}" / "seg.nii.gz", label)
    items = [{"image": f"p{number}/t1.nii.gz", "label": f"p{number}/seg.nii.gz"} for number in (1, 2)]
    unlabelled = {"image": "p1/t1.nii.gz"}
    (tmp_path / "dataset_0.json").write_text(
        json.dumps({"training": items[:1], "validation": [items[1], unlabelled], "test": ["x.nii.gz"]})
    )
    dataset = open_dataset(tmp_path)
    assert [case.name for case in dataset.cases] == ["p1", "p2"]
    assert [label.value for label in dataset.labels] == [0, 1, 2]
    assert dataset.channels == ("image",)


def test_a_picture_alone_holds_all_channels(tmp_path):
    for name in ("c1", "c2"):
        touch(tmp_path / "imagesTr" / f"{name}_0000.png")
        touch(tmp_path / "labelsTr" / f"{name}.png")
    write_json(tmp_path, channel_names={"0": "R", "1": "G", "2": "B"}, file_ending=".png")
    assert [[path.name for path in case.images] for case in open_dataset(tmp_path).cases] == [
        ["c1_0000.png"],
        ["c2_0000.png"],
    ]
    touch(tmp_path / "imagesTr" / "c1_0001.png")
    with pytest.raises(InputError, match=r"c1_0002\.png is missing"):
        open_dataset(tmp_path)


def test_hidden_files_are_no_cases_in_any_layout(tmp_path):
    hidden = ("imagesTr/._c_0000.nii.gz", "labelsTr/._c.nii.gz", "imagesTr/.DS_Store", "labelsTr/Thumbs.db")
    for path in ("imagesTr/c_0000.nii.gz", "labelsTr/c.nii.gz", *hidden):
        touch(tmp_path / path)
    assert [case.name for case in open_dataset(write_json(tmp_path)).cases] == ["c"]
    items = [
        {"image": "imagesTr/c_0000.nii.gz", "label": "labelsTr/c.nii.gz"},
        {"image": "imagesTr/._c_0000.nii.gz", "label": "labelsTr/._c.nii.gz"},
    ]
    dataset = open_dataset(write_json(tmp_path, training=items))
    assert [case.name for case in dataset.cases] == ["c"]
    assert "1 hidden files are listed and left out" in dataset.notes[0]


def test_names_in_another_spelling_of_unicode_pair(tmp_path):
    composed, decomposed = (unicodedata.normalize(form, "Müller") for form in ("NFC", "NFD"))
    item = {"image": f"imagesTr/{composed}.nii.gz", "label": f"labelsTr\\{composed}.nii.gz"}
    touch(tmp_path / "imagesTr" / f"{decomposed}.nii.gz")
    touch(tmp_path / "labelsTr" / f"{decomposed}.nii.gz")
    (case,) = open_dataset(write_json(tmp_path, training=[item])).cases
    assert case.name == composed
    write_flat(tmp_path / "flat", [decomposed])
    label = tmp_path / "flat" / "labels" / f"{decomposed}.png"
    label.rename(label.with_name(f"{composed}_mask.png"))
    assert [case.name for case in open_dataset(tmp_path / "flat").cases] == [composed]


def test_regions(tmp_path):
    write_case(tmp_path, "imagesTr/c_0000.nii.gz", "labelsTr/c.nii.gz")
    labels = {"background": 0, "whole": [1, 2, 3], "core": ["2", 3], "enhancing": 3, "ignore": 4}
    dataset = open_dataset(write_json(tmp_path, labels=labels, regions_class_order=[1, 2, "3"]))
    assert dataset.regions == (
        Region("whole", (1, 2, 3), 1),
        Region("core", (2, 3), 2),
        Region("enhancing", (3,), 3),
    )
    assert dataset.labels == (
        Label("background", 0),
        Label("class_1", 1),
        Label("class_2", 2),
        Label("enhancing", 3),
    )
    assert dataset.ignore == 4
    for order, message in (([1, 2], "list of 3 values"), ([1, 2, 9], "writes 9 for region 'enhancing'"), (5, "got 5")):
        with pytest.raises(InputError, match=message):
            open_dataset(write_json(tmp_path, labels=labels, regions_class_order=order))
    with pytest.raises(InputError, match="region 'whole' holds value 0"):
        open_dataset(write_json(tmp_path, labels={"whole": [0, 1]}, regions_class_order=[1]))


@pytest.mark.parametrize(
    ("images", "labels"), [("imgs", "masks"), ("image", "mask"), ("Images", "Masks"), ("img", "label")]
)
def test_usual_names_of_folders(tmp_path, images, labels):
    write_flat(tmp_path, ["a", "b"], mask="{}_mask")
    (tmp_path / "images").rename(tmp_path / images)
    (tmp_path / "labels").rename(tmp_path / labels)
    dataset = open_dataset(tmp_path)
    assert (dataset.images_folder, dataset.labels_folder) == (images, labels)
    assert [case.name for case in dataset.cases] == ["a", "b"]


def test_any_names_of_folders(tmp_path):
    write_flat(tmp_path, ["a", "b"])
    (tmp_path / "images").rename(tmp_path / "scans")
    (tmp_path / "deep").mkdir()
    (tmp_path / "labels").rename(tmp_path / "deep" / "truth")
    dataset = open_dataset(tmp_path, "deep/truth", images_folder="scans")
    assert [case.name for case in dataset.cases] == ["a", "b"]
    with pytest.raises(UsageError, match="images folder 'scan': not in"):
        open_dataset(tmp_path, images_folder="scan")
    with pytest.raises(UsageError, match=r"labels folder: '\.\./x' leads out of the dataset's folder"):
        open_dataset(tmp_path, "../x", images_folder="scans")


def test_numbered_channels_without_a_description(tmp_path):
    for folder, names in (("imagesTr", ("p_0000", "p_0001", "q_0000", "q_0001")), ("labelsTr", ("p", "q_seg"))):
        for name in names:
            value = np.arange(30).reshape(6, 5, 1) % 2
            imaging.write(tmp_path / folder / f"{name}.png", Scan(value.astype(np.uint8), np.eye(4)))
    dataset = open_dataset(tmp_path)
    assert [(case.name, len(case.images), case.label.name) for case in dataset.cases] == [
        ("p", 2, "p.png"),
        ("q", 2, "q_seg.png"),
    ]
    assert dataset.channels == ("channel_0", "channel_1")


def test_folds_of_a_datalist_are_kept(tmp_path):
    items = []
    for number in range(6):
        image, label = scan_3d(number)
        imaging.write(tmp_path / f"p{number}" / "t1.nii.gz", image)
        imaging.write(tmp_path / f"p{number}" / "seg.nii.gz", label)
        items.append({"image": f"p{number}/t1.nii.gz", "label": f"p{number}/seg.nii.gz", "fold": number % 3})
    labels = {"background": 0, "back": 1, "front": 2}
    dataset = open_dataset(write_json(tmp_path, labels=labels, training=items, validation=items[:2]))
    plan = make_plan(dataset, folds=3)
    assert plan.folds == (("p0", "p3"), ("p1", "p4"), ("p2", "p5"))
    assert plan.reasons["folds"].startswith("those of dataset.json")
    assert len(make_plan(dataset, folds=2).folds) == 2
