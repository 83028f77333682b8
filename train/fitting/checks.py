"""What of a plan cannot be trained, told before any work is done."""

from medseg.errors import UsageError
from train.hardware.precision import PRECISIONS
from train.planning.plan import Plan

OPTIMIZERS = ("adamw", "sgd")


def check(plan: Plan, dataset=None) -> None:
    """Raise what is wrong with a plan before any work is done.

    Args:
        plan: perhaps edited by hand.
        dataset: that it must fit, or None.

    Raises:
        UsageError: naming the field, what it holds and what is expected.
    """
    from train.fitting import quantization_aware
    from train.fitting.callbacks import SCHEDULES
    from train.fitting.compiling import check_loss
    from train.planning.plan_check import check_plan
    from zoo.building import option_names
    from zoo.quantization.scales import GRANULARITIES

    settings = plan.training
    for name, accepted in (
        ("precision", PRECISIONS),
        ("optimizer", OPTIMIZERS),
        ("schedule", tuple(SCHEDULES)),
        ("quantize", ("", *GRANULARITIES)),
    ):
        if getattr(settings, name) not in accepted:
            raise UsageError(f"training.{name} {getattr(settings, name)!r}: expected one of {', '.join(accepted)}")
    check_loss(plan)
    check_plan(plan, dataset)
    first = plan.first_plan()
    if first is not None:
        check(first)
    quantization_aware.check(plan)
    if settings.deep_supervision and "deep_supervision" not in option_names(plan.network.name):
        raise UsageError(f"training.deep_supervision: network {plan.network.name!r} has one output only; set it false")


def check_fold(plan: Plan, fold: int | None) -> None:
    """Require that cases are held back where the plan goes by them.

    Raises:
        UsageError: naming the field.
    """
    for name, lacks in (("patience", "have a validation loss"), ("validate_every", "be segmented")):
        if fold is None and getattr(plan.training, name):
            value = getattr(plan.training, name)
            raise UsageError(f"training.{name} {value}: without a fold no case is held back to {lacks}; set it 0")
