"""Automatic precision: by timing steps, with a clock of the test's own."""

import pytest

from imaging.recipe import Recipe
from train.hardware.precision import SECONDS, STEPS, Precision, choose, is_worth_timing, timed
from train.planning.plan import Network, Plan, Training

LONG = {"epochs": 100, "steps_per_epoch": 50}


def plan(precision="auto", **training):
    settings = Training(precision=precision, **(LONG | training))
    return Plan("x", (), ("a",), Recipe(3), Network("unet3d"), (8, 8, 8), 0.5, settings, ())


def stopwatch(**milliseconds):
    """Steps that take so long in each precision."""
    return lambda plan, precision: lambda: milliseconds[precision] / 1e3


def never(plan, precision):
    raise AssertionError("timed")


@pytest.mark.parametrize(
    ("float32", "bfloat16", "chosen"),
    [(43.5, 26.8, "mixed_bfloat16"), (40.0, 39.5, "float32"), (40.0, 400.0, "float32")],
)
def test_the_quicker_is_chosen_where_it_gains_more_than_a_twentieth(float32, bfloat16, chosen):
    choice = choose(plan(), stopwatch(float32=float32, mixed_bfloat16=bfloat16))
    assert choice == Precision(chosen, {"float32": float32, "mixed_bfloat16": bfloat16})
    assert f"precision {chosen}: a step takes float32 {float32:.0f} ms" in str(choice)


def test_bfloat16_that_cannot_be_computed_is_not_taken():
    def opened(plan, precision):
        def step():
            if precision == "mixed_bfloat16":
                raise RuntimeError("could not create a primitive descriptor")
            return 0.1

        return step

    choice = choose(plan(), opened)
    assert choice == Precision("float32", refused="RuntimeError")
    assert str(choice) == "precision float32: mixed_bfloat16 cannot be computed here (RuntimeError)"


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_what_is_asked_for_is_not_timed(precision):
    assert choose(plan(precision), never) == Precision(precision)


@pytest.mark.parametrize("card", [False, True])
def test_what_is_not_worth_it_or_shared_is_not_timed(card):
    unmeasured = Precision("mixed_bfloat16" if card else "float32")
    assert choose(plan(epochs=3), never, card) == unmeasured
    assert choose(plan(minutes=1.0), never, card) == unmeasured
    assert choose(plan(), never, card, several=True) == unmeasured
    assert choose(plan(quantize="per-channel"), never, card) == Precision("float32")
    assert is_worth_timing(plan(minutes=20.0))


def test_steps_take_turns_and_the_first_does_not_count():
    calls, first = [], {"a": 100.0, "b": 100.0}

    def step(name, seconds):
        def run():
            calls.append(name)
            return first.pop(name, seconds)

        return run

    assert timed({"a": step("a", SECONDS / 8), "b": step("b", 9.0)}) == {"a": SECONDS / 8, "b": 9.0}
    assert calls[:4] == ["a", "b", "a", "b"]
    assert calls.count("a") == calls.count("b") == 9  # the first, and eight that fill half a second
    del calls[:]
    timed({"a": step("a", 60.0)})
    assert len(calls) == 1 + STEPS


def test_other_work_on_the_machine_does_not_decide():
    """One step of the quick one was held up."""
    held_up = iter([0.1, 9.0, 0.1, 0.1, 0.1, 0.1, 0.1])
    seconds = timed({"quick": lambda: next(held_up), "slow": lambda: 0.2})
    assert seconds == {"quick": 0.1, "slow": 0.2}
