"""The order of the worklist, by the formula that its docstring gives."""

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from review.store.cases import STATES, Case
from review.store.presence import FORGOTTEN_S, Presence
from review.worklist import need, ordered

NOW = datetime.datetime(2026, 6, 1, tzinfo=datetime.UTC)


def case(name="a", state="segmented", low=None, flags=0, days=0.0):
    added = (NOW - datetime.timedelta(days=days)).isoformat()
    quality = None if low is None else {"dice": low, "low": low, "high": low}
    return Case(name, ("f",), state, added, added, 0, 1, quality, ("flag",) * flags, {}, {}, None, None, "")


@pytest.mark.parametrize(
    ("given_case", "value"),
    [
        (case(state="failed"), 1.0),
        (case(state="accepted", low=0.1, flags=3), 0.0),
        (case(low=0.9), 0.06),
        (case(), 0.3),
        (case(low=0.5, flags=3, days=7), 0.7),
        (case(low=0.0, flags=9, days=70), 1.0),
        (case(state="waiting"), 0.02),
    ],
)
def test_need(given_case, value):
    assert need(given_case, NOW) == pytest.approx(value, abs=1e-3)


@given(st.floats(0, 1), st.integers(0, 5), st.floats(0, 30), st.sampled_from(STATES))
def test_need_is_a_share_and_rises(low, flags, days, state):
    value = need(case(state=state, low=low, flags=flags, days=days), NOW)
    assert 0 <= value <= 1
    assert need(case(state=state, low=low, flags=flags + 1, days=days), NOW) >= value
    assert need(case(state=state, low=low / 2, flags=flags, days=days), NOW) >= value


def test_order():
    cases = [case("b", low=0.9), case("a", low=0.9), case("c", state="failed"), case("d", state="rejected")]
    assert [each.id for each in ordered(cases)] == ["c", "a", "b", "d"]
    assert [each.id for each in ordered(cases, "name")] == ["a", "b", "c", "d"]


def test_presence_is_forgotten():
    clock = [0.0]
    presence = Presence(lambda: clock[0])
    assert presence.enter("a", "Anna")
    assert not presence.enter("a", "Anna")
    assert list(presence.others("a", "Ben")) == ["Anna"]
    assert presence.others("a", "Anna") == {}
    clock[0] = FORGOTTEN_S + 1
    assert presence.others("a", "Ben") == {}
    assert presence.enter("a", "Anna")
    presence.leave("a", "Anna")
    assert presence.others("a") == {}
