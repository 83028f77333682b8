"""Builds the networks of the registry."""

import dataclasses
import importlib
import inspect
import re
from collections.abc import Callable

from zoo.entry import Entry
from zoo.errors import ZooError, unknown
from zoo.registry import entry, twin


def get(
    name: str,
    input_shape=None,
    *,
    classes: int | None = None,
    channels: int | None = None,
    weights=None,
    **options,
):
    """Build the network called ``name``.

    Args:
        name: an entry of ``zoo.list_models()``.
        input_shape: (*spatial, channels); sizes may be None. Default: every size None and ``channels`` channels.
        classes: number of classes, background included; by default 2, or those of a shipped set of weights. For a
            sigmoid (``zoo.losses`` with ``activation`` or ``regions``) the number of channels, which may be 1.
        channels: number of input channels if ``input_shape`` does not say; by default 1, or those of a shipped set.
        weights: None for fresh ones, the name of a shipped set (``zoo.weights.list_weights()``) or the path of a
            ``.keras``, ``.weights.h5`` or ``.npz`` file.
        **options: overrides of the builder's options, for example ``width=32``.

    Returns:
        A ``keras.Model`` from (batch, *spatial, channels) to float32 logits (batch, *spatial, classes).

    Raises:
        ZooError: for an unknown name or option, or a shape that does not fit.
    """
    network = entry(name)
    card = _card(name, weights)
    if card is not None:
        classes = len(card.classes) if classes is None else classes
        channels = len(card.channels) if channels is None and input_shape is None else channels
    classes = 2 if classes is None else classes
    shape = _input_shape(network, input_shape, channels)
    if not isinstance(classes, int) or classes < 1:
        raise ZooError(f"{name}: classes={classes!r}; expected 2 or more with the background, or 1 for a sigmoid")
    from zoo.internals.bfloat16 import keep_narrow_in_float32

    builder = _builder(network)
    _check_options(network, builder, options)
    trained_with = card.options if card is not None else {}
    model = builder(
        shape, classes=classes, **{**network.options, **trained_with, **options, "name": name.rpartition(":")[2]}
    )
    if not network.shipped:
        _check_built(name, model, shape, classes)
        model = _steadily_named(model)
    keep_narrow_in_float32(model)
    if weights is not None:
        from zoo.weights import load_weights

        load_weights(model, weights, entry=name, classes=classes)
    return model


def option_names(name: str) -> tuple[str, ...]:
    """Options that the builder of an entry takes (this imports Keras)."""
    return tuple(_accepted(_builder(entry(name))) or ())


def _check_built(name, model, shape, classes):
    """Require what a builder of the user's own makes to be a network from the shape to logits."""
    import keras

    if not isinstance(model, keras.Model):
        raise ZooError(f"{name}: expected a keras.Model, got {type(model).__name__}")
    expected, given = (None, *shape[:-1], classes), tuple(model.outputs[0].shape)
    if len(given) != len(expected) or any(None not in (e, g) and e != g for e, g in zip(expected, given, strict=True)):
        raise ZooError(f"{name}: expected logits of shape {expected} for input {shape}, got {given}")


def _steadily_named(model):
    """The same network with names of layers that are those of every build.

    Keras numbers the layers that got no name through the whole process: conv3d, conv3d_1, ... Weights are kept and
    found by these names.
    """
    import keras

    counts, names = {}, {}
    for layer in model.layers:
        stem = re.sub(r"_\d+$", "", layer.name)
        if stem.replace("_", "") == type(layer).__name__.lower():
            counts[stem] = counts.get(stem, 0) + 1
            names[layer.name] = f"{stem}_{counts[stem]}"
    given = {layer.name for layer in model.layers} - names.keys()
    if not names or given & set(names.values()) or not hasattr(model, "get_layer") or not model.inputs:
        return model

    def again(layer):
        return type(layer).from_config({**layer.get_config(), "name": names.get(layer.name, layer.name)})

    return keras.models.clone_model(model, clone_function=again)


def _card(name, weights):
    """The card of a shipped set, or None for no weights or a file."""
    if weights is None:
        return None
    from zoo.weights import find_card

    return find_card(name, weights)


def _builder(network: Entry) -> Callable:
    if callable(network.builder):
        return network.builder
    module, _, function = network.builder.partition(":")
    return getattr(importlib.import_module(module), function)


def _accepted(builder):
    """Keyword options of a builder, or None if it takes any."""
    parameters = inspect.signature(builder).parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return None
    return [p.name for p in parameters if p.name not in ("input_shape", "classes", "name")]


def _check_options(network, builder, options):
    accepted = _accepted(builder)
    for option in options:
        if accepted is not None and option not in accepted:
            raise unknown(f"option of {network.name}", option, accepted)


def _input_shape(network, input_shape, channels):
    if network.rank is None:
        if input_shape is None or len(input_shape) not in (3, 4):
            raise ZooError(f"{network.name}: input_shape {input_shape}; expected 2 or 3 spatial sizes and channels")
        network = dataclasses.replace(network, rank=len(input_shape) - 1)
    if input_shape is None:
        return (None,) * network.rank + (1 if channels is None else channels,)
    shape = tuple(input_shape)
    if len(shape) != network.rank + 1:
        alike = twin(network, len(shape) - 1)
        mend = f"; {alike!r} takes it" if alike else ""
        raise ZooError(
            f"{network.name}: input_shape {shape} has {len(shape) - 1} spatial sizes and channels; "
            f"expected {network.rank} spatial sizes and channels{mend}"
        )
    if channels is not None and shape[-1] != channels:
        raise ZooError(f"{network.name}: input_shape {shape} says {shape[-1]} channels, channels={channels}; give one")
    if not isinstance(shape[-1], int) or shape[-1] < 1:
        raise ZooError(f"{network.name}: input_shape {shape} has {shape[-1]!r} channels; expected 1 or more")
    return shape
