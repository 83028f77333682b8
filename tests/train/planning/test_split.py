import dataclasses
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medseg.errors import InputError, UsageError
from train.data.dataset import Case
from train.planning.split import given_folds, split


def cases(groups):
    return [Case(f"case{i:03d}", (Path("i"),), Path("l"), group) for i, group in enumerate(groups)]


@settings(max_examples=60)
@given(st.lists(st.integers(0, 11), min_size=12, max_size=60), st.integers(2, 5), st.integers(0, 3))
def test_folds_partition_the_cases_by_group_and_are_balanced(labels, folds, seed):
    listed = cases([f"g{label}" for label in [*range(12), *labels]])
    parts = split(listed, folds, seed)
    assert sorted(name for part in parts for name in part) == [case.name for case in listed]
    group_of = {case.name: case.group for case in listed}
    held = [{group_of[name] for name in part} for part in parts]
    assert sum(len(groups) for groups in held) == len(set(group_of.values()))
    largest = max(Counter(group_of.values()).values())
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= largest


def test_the_seed_decides_and_nothing_else():
    listed = cases([f"g{i}" for i in range(20)])
    assert split(listed, 5, 1) == split(list(reversed(listed)), 5, 1)
    assert split(listed, 5, 1) != split(listed, 5, 2)


def test_cases_without_label_are_left_out():
    listed = [*cases(["a", "b"]), Case("unlabelled", (Path("i"),), None, "c")]
    assert split(listed, 2) == (("case000",), ("case001",)) or split(listed, 2) == (("case001",), ("case000",))


def test_too_few_groups_say_what_would_do():
    with pytest.raises(InputError, match=r"6 labelled cases in 3 groups cannot make 5 folds; ask for --folds 3"):
        split(cases(["a", "a", "b", "b", "c", "c"]), 5)
    with pytest.raises(InputError, match="in 1 groups cannot make 2 folds; add cases"):
        split(cases(["a", "a"]), 2)
    with pytest.raises(UsageError, match="folds 1"):
        split(cases(["a", "b"]), 1)


def test_folds_of_the_datasets_author():
    listed = cases(["a", "a", "b", "c"])
    numbered = [dataclasses.replace(case, fold=fold) for case, fold in zip(listed, (0, 0, 1, 1), strict=True)]
    assert given_folds(numbered, 2) == (("case000", "case001"), ("case002", "case003"))
    assert given_folds(numbered, 5) is None  # others are asked for
    assert given_folds(listed, 2) is None  # there are none
    assert given_folds([*numbered[:3], listed[3]], 2) is None  # a case has none
    parted = [dataclasses.replace(case, fold=fold) for case, fold in zip(listed, (0, 1, 1, 1), strict=True)]
    assert given_folds(parted, 2) is None  # a patient in two
