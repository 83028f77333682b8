"""Messages get the name of what they are about, and keep their exit status."""

import pytest

from medseg.errors import InputError, UsageError, expected_one_of, naming


@pytest.mark.parametrize(("kind", "status"), [(InputError, 1), (UsageError, 2)])
def test_a_name_goes_before_the_message(kind, status):
    with pytest.raises(kind, match=r"^scan\.nii: is too large$") as caught, naming("scan.nii"):
        raise kind("is too large")
    assert type(caught.value) is kind
    assert caught.value.exit_status == status
    assert caught.value.__suppress_context__


def test_other_errors_pass_as_they_are():
    with pytest.raises(KeyError) as caught, naming("scan.nii"):
        raise KeyError("unit")
    assert caught.value.args == ("unit",)


def test_unknown_names_are_answered_by_the_nearest_and_all():
    known = {"otsu": 1, "watershed": 2}
    assert expected_one_of("otzu", known) == "did you mean otsu? expected one of otsu, watershed"
    assert expected_one_of("xyz", iter(known)) == "expected one of otsu, watershed"
    assert expected_one_of("q" * 10**6, known) == "expected one of otsu, watershed"
