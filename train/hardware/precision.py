"""Which arithmetic a training uses on this machine, by timing the plan's own step in each."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field

from medseg.errors import UsageError
from train.planning.plan import Plan

PRECISIONS = ("auto", "float32", "mixed_bfloat16", "mixed_float16")
# bfloat16 has float32's range, so it needs no scaling of the loss; mixed_float16 is for who asks for it.
CANDIDATES = ("float32", "mixed_bfloat16")
GAIN = 0.95  # of the time in float32; what gains less is not worth fewer bits
SECONDS = 0.5
STEPS = 2  # at least, of each
# Below these a training is over before the choice, which builds two networks, would pay.
WORTH_STEPS = 200
WORTH_MINUTES = 3.0


@dataclass(frozen=True)
class Precision:
    """What "auto" became.

    Attributes:
        chosen: Keras' dtype policy.
        milliseconds: of the quickest step in each that was timed; {} where none was.
        refused: the kind of error that a step in mixed_bfloat16 ended with; "" where it did not.
    """

    chosen: str
    milliseconds: dict[str, float] = field(default_factory=dict)
    refused: str = ""

    def __str__(self):
        if self.refused:
            return f"precision {self.chosen}: mixed_bfloat16 cannot be computed here ({self.refused})"
        if not self.milliseconds:
            return f"precision {self.chosen}, not timed"
        times = ", ".join(f"{name} {spent:.0f} ms" for name, spent in self.milliseconds.items())
        return f"precision {self.chosen}: a step takes {times}"


def choose(
    plan: Plan,
    open_step: Callable[[Plan, str], Callable[[], float]],
    graphics_card: bool = False,
    several: bool = False,
) -> Precision:
    """The precision that a plan is trained in.

    Args:
        plan: its precision counts unless it is "auto".
        open_step: from a plan and a precision to a function that does one step and returns its seconds.
        graphics_card: whether the machine has one; those in use multiply bfloat16, so it is taken unmeasured where
            timing does not pay.
        several: the step is shared by devices or processes, which must agree without timing each by itself.
    """
    settings = plan.training
    if settings.precision != "auto":
        return Precision(settings.precision)
    if several or settings.quantize or not is_worth_timing(plan):
        return Precision("mixed_bfloat16" if graphics_card and not settings.quantize else "float32")
    steps = {name: open_step(plan, name) for name in CANDIDATES}
    try:
        steps["mixed_bfloat16"]()
    except Exception as error:  # of the backend's own kinds, as where ONEDNN_MAX_CPU_ISA takes its kernels away
        return Precision("float32", refused=type(error).__name__)
    spent = timed(steps)
    quickest = min(CANDIDATES, key=spent.get)
    chosen = quickest if spent[quickest] <= GAIN * spent["float32"] else "float32"
    return Precision(chosen, {name: round(1e3 * seconds, 3) for name, seconds in spent.items()})


def check_computable(precision: str, step: Callable[[], float]) -> None:
    """Require that this machine computes a precision that was asked for.

    Args:
        precision: Keras' dtype policy.
        step: does a step of a network in it.

    Raises:
        UsageError: if the step ends in an error.
    """
    try:
        step()
    except Exception as error:  # of the backend's own kinds
        raise UsageError(
            f"training.precision {precision!r}: cannot be computed on this machine ({type(error).__name__}); expected "
            "float32, or auto, which takes what can; a run that was begun in it is resumed where it was begun"
        ) from None


def is_worth_timing(plan: Plan) -> bool:
    """Whether a training lasts long enough for the choice to pay."""
    settings = plan.training
    if settings.minutes is not None:
        return settings.minutes >= WORTH_MINUTES
    return settings.epochs * settings.steps_per_epoch >= WORTH_STEPS


def timed(steps: dict[str, Callable[[], float]], seconds: float = SECONDS) -> dict[str, float]:
    """Seconds of the quickest run of each step, run in turn so that other work on the machine slows all alike.

    Args:
        steps: does a step and returns its seconds; the first call of each, which compiles, does not count.
        seconds: that each is run for, at least ``STEPS`` times.
    """
    for step in steps.values():
        step()
    spent: dict[str, list[float]] = {name: [] for name in steps}
    while any(len(times) < STEPS or sum(times) < seconds for times in spent.values()):
        for name, step in steps.items():
            spent[name].append(step())
    return {name: min(times) for name, times in spent.items()}


def with_precision(plan: Plan, precision: str) -> Plan:
    """The plan in another precision."""
    return dataclasses.replace(plan, training=dataclasses.replace(plan.training, precision=precision))
