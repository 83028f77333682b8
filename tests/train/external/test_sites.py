"""Where cases are from, by a CSV file."""

import pytest

from medseg.errors import InputError
from train.external.sites import read_sites


def written(tmp_path, text):
    path = tmp_path / "sites.csv"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_columns_and_patients(tmp_path, separator):
    text = "\ufeffCase,site,Patient,scanner\na,north,p1,X\nb,south,p1,Y\n\nc,north,p2,X\nd,west,p3,Z\n"
    sites = read_sites(written(tmp_path, text.replace(",", separator)), ["a", "b", "c"])
    assert sites.columns == {
        "site": {"a": "north", "b": "south", "c": "north"},
        "scanner": {"a": "X", "b": "Y", "c": "X"},
    }
    assert sites.patients == {"a": "p1", "b": "p1", "c": "p2"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "the first line is ''"),
        ("a,north\nb,south\n", "the first line is 'a,north'"),
        ("case\na\n", "the first line is 'case'"),
        ("case,site,Site\na,x,y\n", "expected different headings"),
        ("case,site\na,x,y\n", "line 2 has 3 cells, expected 2"),
        ("case,site\na,x\na,y\n", "line 3 gives case 'a' a second time"),
        ("case,site\na,x\n", "not all, of 1 of 2 cases, the first is 'b'"),
        ("case,site\na,x\nb,\n", "the first is 'b'"),
        ("case," + ",".join(f"c{n}" for n in range(30)) + "\n", "31 columns"),
        ('case,site\na,"x\n', "not readable as CSV"),
    ],
)
def test_bad_files_end_in_a_line(tmp_path, text, says):
    with pytest.raises(InputError) as raised:
        read_sites(written(tmp_path, text), ["a", "b"])
    assert says in str(raised.value)
    assert "\n" not in str(raised.value)


def test_files_that_are_none(tmp_path):
    with pytest.raises(InputError, match="not readable as CSV"):
        read_sites(tmp_path / "missing.csv", ["a"])
    (tmp_path / "sites.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not readable as CSV"):
        read_sites(tmp_path / "sites.csv", ["a"])
