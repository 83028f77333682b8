"""What ``dataset.json`` cannot mean: paths out of the folder, values of a wrong kind, names that clash."""

import os

import pytest
from dataset_folders import write_flat
from described_folders import touch, write_case, write_json

from medseg.errors import InputError
from train.data.dataset import open_dataset


@pytest.mark.parametrize("leading", ["../secret", "/etc", "a/../../secret", "C:\\secret", "\\\\host\\share"])
def test_paths_that_lead_out_of_the_folder_are_refused_before_they_are_looked_at(tmp_path, leading):
    item = {"image": f"{leading}/a.nii.gz", "label": "a.nii.gz"}
    for description in ({"training": [item]}, {"dataset": {"a": {"images": [item["image"]], "label": "a.nii.gz"}}}):
        with pytest.raises(InputError, match=r"leads out of the dataset's folder; .* --follow-paths"):
            open_dataset(write_json(tmp_path, **description))


def test_paths_out_of_the_folder_by_permission_and_links_without(tmp_path):
    elsewhere, folder = tmp_path / "elsewhere", tmp_path / "data"
    folder.mkdir()
    items = [
        {"image": str(touch(elsewhere / "a.nii.gz")), "label": f"../elsewhere/{touch(elsewhere / 'b.nii.gz').name}"}
    ]
    write_json(folder, training=items)
    (case,) = open_dataset(folder, follow_paths=True).cases
    assert [os.path.realpath(path) for path in (*case.images, case.label)] == [
        str(elsewhere / "a.nii.gz"),
        str(elsewhere / "b.nii.gz"),
    ]
    (folder / "linked").symlink_to(elsewhere)
    items = [{"image": "linked/a.nii.gz", "label": "x/../linked/b.nii.gz"}]
    assert len(open_dataset(write_json(folder, training=items)).cases) == 1


def test_names_that_would_become_paths_are_refused(tmp_path):
    touch(tmp_path / "a.nii.gz")
    for name in ("../../../X", "/tmp/X", "a\\b", "con", "", "a\nb"):
        case = {name: {"images": ["a.nii.gz"], "label": "a.nii.gz"}}
        with pytest.raises(InputError, match="case name"):
            open_dataset(write_json(tmp_path, dataset=case))


WRONG = (5, None, "x", [], [5], {"a": 1}, [{}], [{"image": 5, "label": "x"}], [{"image": [], "label": "x"}], 1e999)


def complaint(folder):
    """What is said about a folder, if anything is."""
    try:
        open_dataset(folder)
    except InputError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("wrong", WRONG, ids=repr)
@pytest.mark.parametrize(
    "key", ["training", "validation", "labels", "channel_names", "modality", "dataset", "file_ending", "name"]
)
def test_values_of_a_wrong_kind_are_one_line(tmp_path, key, wrong):
    item = write_case(tmp_path, "imagesTr/c_0000.nii.gz", "labelsTr/c.nii.gz")
    for description in ({}, {"training": [item]}):
        write_json(tmp_path, **{**description, key: wrong})
        lines = complaint(tmp_path).splitlines()
        assert len(lines) <= 1 or lines[0].endswith("problems")
        assert all(len(line) < 400 for line in lines)


@pytest.mark.parametrize(
    "item",
    [
        {"images": 5, "label": "a.nii.gz"},
        {"label": "a.nii.gz"},
        {"images": ["a.nii.gz"]},
        {"images": [5], "label": "a.nii.gz"},
        {"images": ["a\0.nii.gz"], "label": "a.nii.gz"},
        {"images": ["a" * 5000], "label": "\ud800"},
        [],
        5,
    ],
    ids=str,
)
def test_a_case_of_a_wrong_kind_is_one_line(tmp_path, item):
    with pytest.raises(InputError, match=r"case 'c'|c: |surrogates not allowed") as caught:
        open_dataset(write_json(tmp_path, dataset={"c": item}))
    assert len(str(caught.value).splitlines()) == 1


def test_names_that_clash(tmp_path):
    write_flat(tmp_path, ["pat", "Pat"])
    with pytest.raises(InputError, match=r"Pat\.png and .*pat\.png: the case names 'Pat' and 'pat' differ in capitals"):
        open_dataset(tmp_path)


def test_what_nnunet_announces_and_what_is_there(tmp_path):
    for name in ("a", "b"):
        write_case(tmp_path, f"imagesTr/{name}_0000.nii.gz", f"labelsTr/{name}.nii.gz")
    touch(tmp_path / "labelsTr" / "c.nii.gz")
    notes = open_dataset(write_json(tmp_path, numTraining="3")).notes
    assert notes == (
        "1 files in labelsTr/ have no image and are left out (first: c)",
        "dataset.json announces 3 cases (numTraining), 2 are here",
    )
    with pytest.raises(InputError, match=r"'file_ending' is \.nrrd; expected a kind|'file_ending' is '\.xyz'"):
        open_dataset(write_json(tmp_path, file_ending=".xyz"))
