import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medseg.columns import aligned

words = st.text(st.characters(categories=["L", "N"], include_characters=".±-"), min_size=1, max_size=40)


@given(st.integers(1, 5).flatmap(lambda count: st.lists(st.lists(words, min_size=count, max_size=count), max_size=6)))
def test_cells_can_be_told_apart_however_wide(rows):
    lines = aligned(rows)
    assert [re.split(" {2,}", line.strip()) for line in lines] == rows


def test_names_begin_and_numbers_end_under_each_other():
    rows = [("case", "label", "mm"), ("a", "left ventricle", "104.2500 ± 131.0000"), ("bc", "x", "")]
    assert aligned(rows, names=2) == [
        "case  label                            mm",
        "a     left ventricle  104.2500 ± 131.0000",
        "bc    x",
    ]
    assert aligned([]) == []


def test_rows_of_different_length_are_refused():
    with pytest.raises(ValueError, match="shorter"):
        aligned([("a", "b"), ("c",)])
