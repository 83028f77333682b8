"""What a plan compiles its network with: optimizer and losses."""

from medseg.errors import UsageError
from train.planning.plan import Plan


def optimizer(plan: Plan, copies: int = 1):
    """The plan's optimizer; the learning rate is set before every step by the schedule.

    Args:
        plan: holds its settings.
        copies: of the network that TensorFlow keeps, one on each device.
    """
    import keras

    settings = plan.training
    kinds = {"sgd": keras.optimizers.SGD, "adamw": keras.optimizers.AdamW}
    if copies > 1:
        from train.hardware.mirrored import GatheredAdamW, GatheredSGD

        kinds = {"sgd": GatheredSGD, "adamw": GatheredAdamW}
    common = {
        "learning_rate": settings.learning_rate,
        "global_clipnorm": settings.clip_norm / copies or None,
        "gradient_accumulation_steps": settings.accumulate if settings.accumulate > 1 else None,
    }
    if settings.ema:
        # The average must forget the first weights: a short training gets a shorter memory.
        steps = settings.epochs * settings.steps_per_epoch
        decay = settings.ema if settings.minutes else min(settings.ema, max(0.5, 1 - 10 / steps))
        common |= {"use_ema": True, "ema_momentum": decay}
    if settings.optimizer == "sgd":
        return kinds["sgd"](momentum=0.99, nesterov=True, weight_decay=settings.weight_decay, **common)
    chosen = kinds["adamw"](weight_decay=settings.weight_decay, **common)
    chosen.exclude_from_weight_decay(var_names=["bias", "gamma", "beta", "alpha"])
    return chosen


def check_loss(plan: Plan) -> None:
    """Require the plan's loss to be there and to take what the plan asks of it.

    Raises:
        UsageError: naming the field.
    """
    from zoo import losses
    from zoo.errors import ZooError
    from zoo.losses.others import is_other

    name = plan.training.loss
    if not is_other(name) and name not in losses.list_losses():
        known = ", ".join((*losses.list_losses(), "keras:Name", "my_losses.py:name"))
        raise UsageError(f"training.loss {name!r}: expected one of {known}")
    try:
        _loss(plan)
    except ZooError as error:
        raise UsageError(f"training.loss {name!r}: {error}") from None
    if is_other(name) and plan.training.deep_supervision:
        raise UsageError(f"training.loss {name!r}: deep supervision takes a loss of zoo.losses; set it false")


def objective(plan: Plan, outputs: int) -> dict:
    """The losses of a network's outputs and their weights, as ``compile`` takes them."""
    from train.hardware.fused import compiled
    from zoo import losses
    from zoo.losses.others import is_other

    loss = _loss(plan)
    if is_other(plan.training.loss):
        return {"loss": loss}  # XLA knows every operation of ours; of others who can say
    if outputs == 1:
        return {"loss": compiled(loss)}
    supervised = losses.deep_supervision(loss, outputs)
    return supervised | {"loss": [compiled(each) for each in supervised["loss"]]}


def _loss(plan):
    from zoo import losses

    weights = plan.training.class_weights
    options = {"class_weights": weights} if weights else {}
    if plan.ignore_class is not None:
        options["ignore_class"] = plan.ignore_class
    if plan.regions and plan.instances is None:
        options["regions"] = plan.region_classes
    if plan.instances is not None:
        return losses.Instances(losses.get(plan.training.loss, activation="sigmoid", **options))
    return losses.get(plan.training.loss, **options)
