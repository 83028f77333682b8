import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imaging.io.cases import (
    by_name,
    case_and_channel,
    case_name,
    check_case_name,
    is_scan,
    name_clashes,
    owner,
    scans_in,
)
from imaging.io.files import SUFFIXES
from medseg.errors import InputError

# Names as people give them: dots, spaces, other alphabets, capitals.
NAMES = st.text(st.sampled_from("aZ09._- éäßж日ÅK"), min_size=1, max_size=12).filter(lambda n: n.strip(". "))
NO_FILE_NAMES = ("a\0b", "a\nb", "a\x7fb", "con", "NUL.1", "Com1", "a" * 300, "\udce4")


@given(NAMES, st.sampled_from(SUFFIXES), st.booleans())
def test_a_case_is_called_after_its_file_without_the_suffix(name, suffix, capitals):
    path = Path("scans") / (name + (suffix.upper() if capitals else suffix))
    assert case_name(path) == unicodedata.normalize("NFC", name)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("pat.01.tif", "pat.01"),
        ("a/pat.02.nii.gz", "pat.02"),
        ("1.2.840.113619.NII.GZ", "1.2.840.113619"),
        ("v1.0_scan.nii", "v1.0_scan"),
        ("notes.txt", "notes.txt"),
    ],
)
def test_dotted_names_survive(path, name):
    assert case_name(path) == name


def test_names_of_macos_pair_with_those_of_others():
    composed, decomposed = (unicodedata.normalize(form, "Müller") for form in ("NFC", "NFD"))
    assert composed != decomposed
    assert case_name(f"{decomposed}.nii.gz") == case_name(f"{composed}.nii.gz") == composed


def test_channels_by_number():
    assert case_and_channel("p.1_0002.nii.gz") == ("p.1", 2)
    assert case_and_channel("p_002.nii.gz") == ("p_002", None)
    assert case_and_channel("p_٠٠٠١.png") == ("p_٠٠٠١", None)  # digits, but not nnU-Net's


def test_hidden_files_are_no_scans(tmp_path):
    for name in ("b.png", "a.nii.gz", "._a.nii.gz", ".DS_Store", "Thumbs.db", "readme.txt"):
        (tmp_path / name).touch()
    assert [path.name for path in scans_in(tmp_path)] == ["a.nii.gz", "b.png"]
    assert scans_in(tmp_path / "nowhere") == []
    assert not is_scan("._a.nii.gz")


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", " ", "../x", "a/b", "/etc/passwd", "a\\b", "C:x", "a?", *NO_FILE_NAMES],
)
def test_names_that_are_no_file_names(name):
    with pytest.raises(InputError) as caught:
        check_case_name(name, "dataset.json")
    text = str(caught.value)
    assert text.startswith("dataset.json: ")
    assert text.isprintable()  # one line that any terminal shows


@given(NAMES)
def test_names_that_pass_become_one_file_in_their_folder(name):
    check_case_name(name)
    assert os.path.basename(f"{name}.nii.gz") == f"{name}.nii.gz"
    assert os.path.normpath(f"out/{name}") == f"out/{name}"


def test_clashes_name_both_files():
    assert name_clashes([("a", "x/a.png"), ("b", "x/b.png"), ("a", "y/a.png")]) == (
        "x/a.png and y/a.png: both are case 'a'; rename one",
    )
    assert name_clashes([("Pat", "Pat.png"), ("pat", "pat.png")]) == (
        "Pat.png and pat.png: the case names 'Pat' and 'pat' differ in capitals alone; rename one",
    )
    with pytest.raises(InputError, match=r"a\.png and a\.tif: both are case 'a'"):
        by_name([Path("a.png"), Path("a.tif")])
    with pytest.raises(InputError, match=r"aux\.png: the case name 'aux' is a device on Windows"):
        by_name([Path("aux.png")])
    assert by_name([Path("b.png"), Path("a.1.png")]) == {"b": Path("b.png"), "a.1": Path("a.1.png")}


@pytest.mark.parametrize(
    ("label", "images", "expected"),
    [
        ("a", {"a", "b"}, "a"),
        ("001_HC_Mask", {"001_HC", "001"}, "001_HC"),
        ("a_mask", {"a"}, "a"),
        ("a-Seg", {"a"}, "a"),
        ("a.label", {"a"}, "a"),
        ("Image_01L_1stHO", {"Image_01L", "Image_01R"}, "Image_01L"),
        ("pat.02", {"pat"}, None),  # another case, whose image is not there
        ("scan_2_mask", {"scan"}, None),
        ("amask", {"a"}, None),
        ("b", {"a"}, None),
    ],
)
def test_which_image_a_label_belongs_to(label, images, expected):
    assert owner(label, images) == expected
