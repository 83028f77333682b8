"""Bootstrap and paired tests against SciPy, closed forms, and what they must hold for any numbers."""

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from imaging.measure.intervals import bootstrap_mean, compare_paired, holm
from medseg.errors import InputError


def test_of_single_cases_it_is_scipys_percentile_bootstrap():
    values = np.random.default_rng(0).beta(8, 2, 40)
    interval = bootstrap_mean(values, range(40), draws=20000)
    expected = scipy.stats.bootstrap((values,), np.mean, method="percentile", n_resamples=20000, rng=1)
    assert interval.mean == pytest.approx(values.mean())
    assert interval.low == pytest.approx(expected.confidence_interval.low, abs=2e-3)
    assert interval.high == pytest.approx(expected.confidence_interval.high, abs=2e-3)


def test_patients_bring_all_of_their_cases():
    """Ten copies of a patient's case are no more evidence than one."""
    values = np.random.default_rng(1).beta(8, 2, 12)
    once = bootstrap_mean(values, range(12))
    copied = bootstrap_mean(np.repeat(values, 10), np.repeat(range(12), 10))
    assert (copied.low, copied.high) == pytest.approx((once.low, once.high))
    alone = bootstrap_mean(np.repeat(values, 10), range(120))
    assert alone.high - alone.low < 0.5 * (copied.high - copied.low)


def test_the_same_seed_gives_the_same_interval_and_one_patient_none():
    assert bootstrap_mean([0.1, 0.5, 0.9], "abc") == bootstrap_mean([0.1, 0.5, 0.9], "abc")
    assert bootstrap_mean([0.1, 0.5], "aa").low is None
    assert str(bootstrap_mean([0.5], "a")) == "0.5000"
    with pytest.raises(InputError, match="0 values"):
        bootstrap_mean([], [])


def test_an_infinite_distance_makes_no_nan():
    interval = bootstrap_mean([1.0, 2.0, 3.0, math.inf], "abcd")
    assert (interval.mean, interval.high) == (math.inf, math.inf)
    assert 1 <= interval.low < math.inf


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.floats(-1e3, 1e3), st.integers(0, 5)), min_size=1, max_size=30))
def test_the_ends_lie_about_the_median_of_the_draws_and_within_the_values(pairs):
    values, groups = zip(*pairs, strict=True)
    interval = bootstrap_mean(values, groups, draws=200)
    if interval.low is not None:
        slack = 1e-9 * max(1, *map(abs, values))
        assert min(values) - slack <= interval.low <= interval.high <= max(values) + slack


def test_pairs():
    first = np.random.default_rng(2).beta(8, 2, 30)
    second = first + np.random.default_rng(3).normal(0.02, 0.02, 30)
    comparison = compare_paired([*first, 3.0], [*second, math.inf], range(31))
    assert comparison.p == pytest.approx(scipy.stats.wilcoxon(second - first).pvalue)
    assert comparison.difference.mean == pytest.approx((second - first).mean())
    assert comparison.difference.low < comparison.difference.mean < comparison.difference.high
    assert (comparison.better, comparison.worse) == ((second > first).sum(), (second < first).sum())
    assert (comparison.pairs, comparison.left_out) == (30, 1)
    same = compare_paired(first, first, range(30))
    assert (same.p, same.difference.mean, same.better) == (1.0, 0.0, 0)
    with pytest.raises(InputError, match="none of them finite"):
        compare_paired([math.inf], [1.0], "a")


def test_holm():
    """The example of R's p.adjust(c(0.01, 0.02, 0.03, 0.04), "holm")."""
    assert holm([0.01, 0.02, 0.03, 0.04]) == pytest.approx([0.04, 0.06, 0.06, 0.06])
    assert holm([0.04, 0.01]) == pytest.approx([0.04, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
