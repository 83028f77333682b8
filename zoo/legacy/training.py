"""How a Keras 2 model was compiled, in Keras 3's terms; what has no equal is told, never dropped in silence."""

import keras

_METRIC_FUNCTIONS = "MeanMetricWrapper"
# Names of losses and metrics that Keras 3 dropped, with those that it knows the same function by.
_RENAMED = {
    "logcosh": "log_cosh",
    "huber_loss": "huber",
    "kullback_leibler_divergence": "kl_divergence",
}
# Arguments of Keras 2 optimizers that Keras 3 does not take, with the values at which they change nothing (None: any).
_OPTIMIZER_WITHOUT_EFFECT = {
    "decay": (0.0, None),
    "jit_compile": None,
    "is_legacy_optimizer": None,
    "exclude_from_weight_decay": (None,),
    "is_multi_optimizer": None,
}


class _NoEqualError(Exception):
    """Something that Keras 3 has no equal for; the message names it."""


def compile_as(model, training: dict, custom_objects: dict) -> list[str]:
    """Compile ``model`` as its Keras 2 file says, with the losses and optimizers of tensorflow-addons mapped.

    The optimizer starts anew: its state is not restored.

    Args:
        model: the rebuilt Keras 3 model.
        training: the training configuration of the file.
        custom_objects: the user's classes and functions by name.

    Returns:
        One sentence for everything that was mapped or left out. If the loss or the optimizer has no equal the model is
        left uncompiled, and a sentence says so.
    """
    notes = []
    try:
        optimizer = _optimizer(training.get("optimizer_config") or training.get("optimizer"), notes)
        loss = _each(training.get("loss"), lambda entry: _loss(entry, notes, custom_objects))
    except _NoEqualError as error:
        return [*notes, f"{error}; the model is not compiled: call model.compile to train it on"]
    metrics = _each(training.get("metrics"), lambda entry: _metric(entry, notes))
    model.compile(optimizer, loss, metrics=metrics, loss_weights=training.get("loss_weights"))
    model.optimizer.build(model.trainable_variables)
    return notes


def _each(entries, convert):
    """``convert`` applied to every object in lists and in dictionaries by output."""
    if isinstance(entries, list):
        converted = [_each(entry, convert) for entry in entries]
        return converted[0] if len(converted) == 1 and isinstance(converted[0], list) else converted
    if isinstance(entries, dict) and "class_name" not in entries:
        return {key: _each(entry, convert) for key, entry in entries.items()}
    return entries if entries is None else convert(entries)


def _loss(entry, notes, custom_objects):
    kind, config = _kind(entry)
    custom = keras.saving.get_registered_object(kind, custom_objects)
    if custom is not None:
        return custom.from_config(config) if isinstance(custom, type) else custom
    if kind.rpartition(">")[2] in ("SigmoidFocalCrossEntropy", "sigmoid_focal_crossentropy"):
        arguments = {
            "alpha": config.get("alpha", 0.25),
            "gamma": config.get("gamma", 2.0),
            "from_logits": config.get("from_logits", False),
        }
        notes.append(
            f"the loss {kind} is keras.losses.BinaryFocalCrossentropy here, with {_shown(arguments)}: the same for one "
            "output channel, and for several the mean over them where tensorflow-addons took the sum"
        )
        return keras.losses.BinaryFocalCrossentropy(apply_class_balancing=bool(arguments["alpha"]), **arguments)
    loss = _by_name(keras.losses, kind)
    if loss is None:
        raise _NoEqualError(f"the loss {kind} is not known to Keras 3")
    if not isinstance(loss, type):
        return _RENAMED.get(kind, kind)
    if config.get("reduction") == "auto":
        config["reduction"] = "sum_over_batch_size"
    config.pop("fn", None)
    return loss(**config)


def _metric(entry, notes):
    kind, config = _kind(entry)
    if kind == _METRIC_FUNCTIONS and isinstance(config.get("fn"), str):
        kind, config = config["fn"], {}
    metric = kind if kind in ("accuracy", "acc") else _by_name(keras.metrics, kind) or _by_name(keras.losses, kind)
    if metric is None:
        notes.append(f"the metric {kind} is not known to Keras 3 and left out")
        return None
    if isinstance(metric, type):
        config.pop("fn", None)
        try:
            return metric(**config)
        except TypeError as error:
            notes.append(f"the metric {kind} is left out: {error}")
            return None
    return metric  # a function of keras.losses, which keras.metrics knows by no name


def _by_name(module, kind: str):
    """A class or function of ``keras.losses`` or ``keras.metrics`` by any name that Keras takes, such as "mse"."""
    kind = _RENAMED.get(kind, kind)
    member = getattr(module, kind, None)
    if member is not None:
        return member
    try:
        return module.get(kind)
    except ValueError:
        return None


def _optimizer(entry, notes):
    kind, config = _kind(entry)
    kind = kind.removeprefix("Custom>")
    if kind in ("Addons>Lookahead", "Addons>SWA", "Addons>MovingAverage"):
        instead = {
            "Addons>Lookahead": "zoo.averaging.Lookahead(sync_period={sync_period}, slow_step_size={slow_step_size})",
            "Addons>SWA": "zoo.averaging.SWA(start_averaging={start_averaging}, average_period={average_period})",
            "Addons>MovingAverage": "the optimizer's use_ema=True with ema_momentum={average_decay}",
        }[kind]
        notes.append(f"{kind} around the optimizer is not restored; use {instead.format(**config)}")
        return _optimizer(config["optimizer"], notes)
    if kind in ("Addons>AdamW", "Addons>SGDW"):
        rate = config.get("learning_rate")
        if not isinstance(rate, int | float) or not isinstance(config.get("weight_decay"), int | float):
            raise _NoEqualError(f"the optimizer {kind} with a schedule for its weight decay is not known to Keras 3")
        # Keras 3 multiplies the decay by the learning rate; tensorflow-addons did not.
        config["weight_decay"] = config["weight_decay"] / rate
        kind = {"Addons>AdamW": "AdamW", "Addons>SGDW": "SGD"}[kind]
        notes.append(
            f"the optimizer keras.optimizers.{kind} has weight_decay={config['weight_decay']:g}, which is that of "
            "tensorflow-addons divided by the learning rate, since Keras 3 multiplies by it"
        )
    optimizer = getattr(keras.optimizers, _by_lower_case(keras.optimizers, kind), None)
    if optimizer is None:
        raise _NoEqualError(f"the optimizer {kind} is not known to Keras 3")
    for key, harmless in _OPTIMIZER_WITHOUT_EFFECT.items():
        value = config.pop(key, None)
        if value is not None and harmless is not None and value not in harmless:
            raise _NoEqualError(f"the optimizer {kind} with {key}={value!r} is not known to Keras 3")
    rate = config.get("learning_rate")
    if isinstance(rate, dict):
        config["learning_rate"] = keras.optimizers.schedules.deserialize(rate)
    try:
        return optimizer(**config)
    except (TypeError, ValueError) as error:
        raise _NoEqualError(f"the optimizer {kind} cannot be built by Keras 3 ({error})") from None


def _kind(entry) -> tuple[str, dict]:
    if isinstance(entry, dict):
        return entry.get("registered_name") or entry["class_name"], dict(entry.get("config") or {})
    return str(entry), {}


def _by_lower_case(module, name: str) -> str:
    """The attribute of ``module`` that is ``name`` in any case: Keras 2 knew optimizers as "adam" too."""
    return next((member for member in dir(module) if member.lower() == name.lower()), name)


def _shown(arguments: dict) -> str:
    return ", ".join(f"{key}={value}" for key, value in arguments.items())
