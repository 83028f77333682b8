"""Sizes of memory, read and spelled."""

import pytest

from medseg.byte_sizes import parse_size, spell_size
from medseg.errors import UsageError


@pytest.mark.parametrize(
    ("text", "size"),
    [("262144", 262144), ("256KB", 262144), ("256 kb", 262144), ("1.5MB", 1572864), ("2MiB", 2097152), ("1 GB", 2**30)],
)
def test_sizes(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "0", "-4", "4 TB", "many", "1e6", "0.1"])
def test_sizes_that_are_none(text):
    with pytest.raises(UsageError, match="expected bytes, or a number with KB or MB"):
        parse_size(text)


@pytest.mark.parametrize(
    ("size", "text"), [(1000, "1 KB"), (262144, "256 KB"), (1572864, "1.50 MB"), (5 * 2**29, "2.50 GB")]
)
def test_sizes_for_people(size, text):
    assert spell_size(size) == text
