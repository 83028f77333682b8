import pytest
from hypothesis import given
from hypothesis import strategies as st

from medseg.errors import InputError, UsageError
from train.data.grouping import group_names


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
    patients = groups(names)
    assert len(set(patients)) == 6
    assert patients[:3] == ["SC-HF-I-01", "SC-HF-I-01", "SC-HF-I-02"]


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
    with pytest.raises(UsageError, match="nor a regular expression"):
        group_names(["a1"], "(")


@given(st.lists(st.text("abAB019_-. ", min_size=1, max_size=12), unique=True, max_size=40))
def test_every_name_gets_a_group_and_is_in_it_by_its_own_beginning(names):
    patients = groups(names)
    assert len(patients) == len(names)
    for name, group in zip(names, patients, strict=True):
        assert name.startswith(group)
        assert group


def spread(begins, endings, separator="_"):
    return [f"{begin}{separator}{ending}" for begin in begins for ending in endings]


IDENTIFIERS = ["A0S9V9", "A1D0Q7", "A1D9Z7", "B2C4K8", "C0W2J4", "D4O6U5"]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (spread(IDENTIFIERS, ["ED", "ES"]), 6),
        (spread(IDENTIFIERS, ["ED_s01", "ED_s02", "ES_s01", "ES_s02"]), 6),
        ([*IDENTIFIERS, "A0S9V9_2", "A1D0Q7_2", "B2C4K8_2"], 6),
        (spread(["smith", "jones", "novak"], ["t1", "t2"], "-"), 3),
        (spread(["smith", "jones", "novak"], ["left", "right"]), 3),
        (spread([f"BraTS_{n:03d}" for n in range(9)], ["t1", "t1ce", "t2", "flair"]), 9),
        (spread([f"BraTS-GLI-{n:05d}" for n in range(9)], ["000", "101"], "-"), 9),
        (spread([f"sub-{n:02d}" for n in range(9)], ["ses-01_T1w", "ses-02_T1w"]), 9),
        ([f"{n:03d}_{k}HC" for n in range(9) for k in ("", "2", "3")], 9),
        ([f"hippocampus_{n:03d}" for n in (1, 3, 4, 6, 7, 8, 11, 14)], 8),
        (spread(["liver", "spleen", "lung", "colon", "pancreas", "heart"], [f"{n:03d}" for n in range(9)]), 54),
        ([f"train_{n}" for n in range(9)] + [f"val_{n}" for n in range(9)], 18),
        (["anna_novak", "anna_smith", "john_novak", "john_smith"], 4),
        (["prostate_00", "prostate_01"], 2),
        (["scan_left", "scan_right"], 2),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else str(value),
)
def test_how_many_patients_names_stand_for(names, expected):
    assert len(set(groups(names))) == expected


def test_phases_of_a_heart_are_joined_and_the_rule_says_so():
    grouping = group_names(spread(IDENTIFIERS, ["ED", "ES"]))
    assert grouping.groups == tuple(name for name in IDENTIFIERS for _ in range(2))
    assert grouping.rule == "names that differ in their last part alone (ED, ES) are of one patient"


def test_one_pair_of_phases_is_enough():
    names = [*spread(IDENTIFIERS[:1], ["ED", "ES"]), *spread(IDENTIFIERS[1:], ["ED"])]
    patients = groups(names)
    assert patients[0] == patients[1]
    assert len(set(patients)) == 6


def test_the_user_decides(tmp_path):
    names = spread(IDENTIFIERS[:2], ["ED", "ES"])
    assert groups(names, "none") == names
    file = tmp_path / "groups.csv"
    file.write_text("case,patient\nA0S9V9_ED,x\nA0S9V9_ES,y\nA1D0Q7_ED,x\n\nA1D0Q7_ES,x\n")
    assert groups(names, str(file)) == ["x", "y", "x", "x"]
    with pytest.raises(UsageError, match=r"groups\.csv: gives no group for 1 of 5 cases, the first is 'new'"):
        group_names([*names, "new"], str(file))
    file.write_text("A0S9V9_ED\n")
    with pytest.raises(InputError, match="line 1 is 'A0S9V9_ED'; expected case,group"):
        group_names(names, str(file))
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="not readable as CSV"):
        group_names(names, str(file))
