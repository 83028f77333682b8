import pytest
from hypothesis import given
from hypothesis import strategies as st

from medseg.errors import UsageError
from train.grouping import group_names


def groups(names, pattern=None):
    return list(group_names(names, pattern).groups)


def test_leading_number_is_the_patient():
    names = ["010_HC", "010_2HC", "011_HC", "012_3HC"]
    assert groups(names) == ["010", "010", "011", "012"]


def test_number_after_the_common_prefix_keeps_its_leading_digits():
    # all share "Image_0": the digit must not be taken off the number
    assert groups(["Image_01L", "Image_01R", "Image_02L", "Image_02R"]) == [
        "Image_01",
        "Image_01",
        "Image_02",
        "Image_02",
    ]
    assert groups(["hippocampus_003", "hippocampus_030"]) == ["hippocampus_003", "hippocampus_030"]


def test_numbered_part_inside_the_name():
    names = [
        f"SC-{kind}-{patient:02d}-IM-0001-{slice_:04d}"
        for kind in ("HF-I", "N", "HYP")
        for patient in (1, 2)
        for slice_ in (48, 59)
    ]
    found = groups(names)
    assert len(set(found)) == 6
    assert found[:3] == ["SC-HF-I-01", "SC-HF-I-01", "SC-HF-I-02"]


def test_a_series_number_that_differs_within_a_patient_does_not_part_him():
    names = [
        f"{kind}-{patient:02d}-IM-{series:04d}-{i:04d}"
        for kind in "AB"
        for patient in (1, 2, 3)
        for series in (1, 3)
        for i in (4, 5)
    ]
    assert len(set(groups(names))) == 6


def test_a_first_number_with_few_values_is_not_the_patient():
    names = [f"{site}-p{patient}-s{i}" for site in ("north1", "south2") for patient in range(4) for i in (1, 2)]
    assert sorted(set(groups(names))) == [f"{site}-p{patient}" for site in ("north1", "south2") for patient in range(4)]


def test_identifiers_without_separators_are_not_cut():
    names = ["cju0qkwl35", "cju1abcd99", "cju2zzzz11", "dju0qkwl35", "aju0qkwl36", "bju0qkwl37"]
    assert groups(names) == names


def test_names_without_numbers_stand_alone():
    assert groups(["anna", "berta", "carla"]) == ["anna", "berta", "carla"]
    assert groups(["only"]) == ["only"]
    assert groups([]) == []


def test_pattern_overrides():
    names = ["A_x_1", "A_y_2", "B_x_3"]
    assert groups(names, "^[A-Z]") == ["A", "A", "B"]
    assert groups(names, "_([xy])_") == ["x", "y", "x"]


def test_pattern_that_fits_no_name_says_which():
    with pytest.raises(UsageError, match=r"matches nothing in 1 of 2 case names, the first is 'b2'"):
        group_names(["a1", "b2"], "^a")
    with pytest.raises(UsageError, match="not a regular expression"):
        group_names(["a1"], "(")


@given(st.lists(st.text("abAB019_-. ", min_size=1, max_size=12), unique=True, max_size=40))
def test_every_name_gets_a_group_and_is_in_it_by_its_own_beginning(names):
    found = groups(names)
    assert len(found) == len(names)
    for name, group in zip(names, found, strict=True):
        assert name.startswith(group)
        assert group
