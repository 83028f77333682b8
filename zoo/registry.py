"""The registry: what networks there are, as data that imports no framework, and how to get one."""

import dataclasses
import fnmatch
import importlib
import inspect
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from zoo.code_names import names_code, not_run
from zoo.entries import ENTRIES
from zoo.entry import Entry
from zoo.errors import ZooError, unknown

_FIGURES = Path(__file__).with_name("figures.json")
_entries: dict[str, Entry] = {entry.name: entry for entry in ENTRIES}


@dataclass(frozen=True)
class Info:
    """What is known of an entry.

    Attributes:
        name: the entry.
        rank: spatial axes, 2 or 3.
        tags: see ``zoo.list_models``.
        summary: one line for people.
        paper: citation.
        edge: "int8" (every multiplication runs in int8 on the device), "partial" (convolutions only) or "float".
        options: the entry's own values for options of its builder.
        input_shape: (*spatial, channels) that the figures below are for.
        classes: number of classes that they are for.
        multiple: what each spatial size divides by; other fixed sizes are padded inside the network.
        parameters: number of trainable weights; the moving statistics of batch normalisation are not among them.
        macs: multiply-accumulate operations of one pass.
        peak_activation_bytes: largest sum of float32 activations alive at once, batch of one, nothing done in place.
    """

    name: str
    rank: int
    tags: tuple[str, ...]
    summary: str
    paper: str
    edge: str
    options: Mapping = field(default_factory=dict)
    input_shape: tuple[int, ...] | None = None
    classes: int | None = None
    multiple: tuple[int, ...] | None = None
    parameters: int | None = None
    macs: int | None = None
    peak_activation_bytes: int | None = None


def list_models(pattern: str = "*", tag=None) -> list[str]:
    """Names of the entries.

    Args:
        pattern: wildcard on the name, for example ``"*3d*"``.
        tag: one tag or several that an entry must carry, for example ``"edge"``; see ``Entry.tags``.

    Returns:
        Sorted names; empty if none fits.
    """
    tags = {tag} if isinstance(tag, str) else set(tag or ())
    known = {t for entry in _entries.values() for t in entry.tags}
    for name in sorted(tags - known):
        raise unknown("tag", name, sorted(known))
    return sorted(n for n, e in _entries.items() if fnmatch.fnmatchcase(n, pattern) and tags <= set(e.tags))


def entry(name: str) -> Entry:
    """The entry called ``name``.

    Raises:
        ZooError: if there is none; the message names the nearest.
    """
    if name not in _entries and names_code(name):
        raise not_run(name, "model")
    if name not in _entries:
        raise unknown("model", name, sorted(_entries))
    return _entries[name]


def put(new: Entry) -> None:
    """Add an entry, or put it in the place of one of the user's own."""
    _entries[new.name] = new


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
    builder = _builder(network)
    _check_options(network, builder, options)
    trained_with = card.options if card is not None else {}
    model = builder(
        shape, classes=classes, **{**network.options, **trained_with, **options, "name": name.rpartition(":")[2]}
    )
    if not network.shipped:
        _check_built(name, model, shape, classes)
        model = _steadily_named(model)
    if weights is not None:
        from zoo.weights import load_weights

        load_weights(model, weights, entry=name, classes=classes)
    return model


def info(name: str, input_shape=None, *, classes: int = 2, **options) -> Info:
    """What is known of an entry.

    With only a name the answer is committed data and imports no framework; with a shape or options the network is
    built and counted.

    Args:
        name: an entry of ``zoo.list_models()``.
        input_shape: (*spatial, channels), all sizes given, or None for the entry's reference input.
        classes: number of classes, background included.
        **options: as for ``zoo.get``.

    Returns:
        An ``Info``; its figures are None for a registered entry of the user's own asked for by name only.
    """
    network = entry(name)
    facts = {
        "name": name,
        "rank": network.rank,
        "tags": network.tags,
        "summary": network.summary,
        "paper": network.paper,
        "edge": network.edge,
        "options": dict(network.options),
    }
    if input_shape is None and not options and classes == 2:
        figures = json.loads(_FIGURES.read_text(encoding="utf-8")).get(name, {}) if network.shipped else {}
        return Info(**facts, **{k: tuple(v) if isinstance(v, list) else v for k, v in figures.items()})
    from zoo.cost import count

    shape = input_shape or reference_shape(network.rank)
    figures = count(get(name, shape, classes=classes, **options))
    facts["options"] = {**network.options, **options}
    return Info(**facts, input_shape=tuple(shape), classes=classes, **dataclasses.asdict(figures))


def reference_shape(rank: int) -> tuple[int, ...]:
    """The (*spatial, channels) that figures are given for: 256x256 or 64x64x64, one channel."""
    return (256, 256, 1) if rank == 2 else (64, 64, 64, 1)


def register(
    name: str,
    builder: str | Callable,
    *,
    rank: int,
    options: Mapping | None = None,
    replace: bool = False,
    edge: str = "float",
    tags: Sequence[str] = (),
    **described: str,
) -> Entry:
    """Add a builder of your own to the registry.

    From then on ``zoo.get``, plans and ``train.fit`` know it in this process. On the command line the file that calls
    this is named: ``zoo train DATASET --model my_nets.py:tiny --out RUN``, see ``zoo.user_code``. The run keeps a copy
    of the file.

    Args:
        name: what it is called from now on.
        builder: ``builder(input_shape, classes=..., name=..., **options) -> keras.Model`` giving logits, or
            "module:function" to be imported when first used.
        rank: spatial axes, 2 or 3.
        options: values for options of the builder.
        replace: an entry of that name, where there is one.
        edge: "int8", "partial" or "float", see ``Info``.
        tags: for ``zoo.list_models(tag=...)``; "2d" or "3d" is added.
        described: ``summary``, one line for people, and ``paper``, its citation.

    Returns:
        The new entry.

    Raises:
        ZooError: if the name is taken or the rank is not 2 or 3.

    Example:
        >>> def tiny(input_shape, classes, *, width=8, name="tiny"):
        ...     image = keras.Input(input_shape)
        ...     features = keras.layers.Conv3D(width, 3, padding="same", activation="relu")(image)
        ...     return keras.Model(image, keras.layers.Conv3D(classes, 1)(features), name=name)
        >>> zoo.register("tiny", tiny, rank=3)
        >>> model = zoo.get("tiny", (32, 32, 32, 1), classes=3)
    """
    if name in _entries and not replace:
        raise ZooError(f"model {name!r} is registered already; choose another name or pass replace=True")
    if rank not in (2, 3):
        raise ZooError(f"model {name!r}: rank {rank!r}; expected 2 or 3")
    if edge not in ("int8", "partial", "float"):
        raise unknown("edge readiness", edge, ("int8", "partial", "float"))
    strange = [key for key in described if key not in ("summary", "paper")]
    if strange:
        raise unknown("argument of zoo.register", strange[0], ("summary", "paper"))
    tags = tuple(dict.fromkeys([f"{rank}d", *tags]))
    text = {"summary": "", "paper": "", **described}
    _entries[name] = Entry(name, builder, rank, tags, edge=edge, options=dict(options or {}), shipped=False, **text)
    return _entries[name]


def unregister(name: str) -> None:
    """Take an entry of the user's own out again.

    Raises:
        ZooError: if there is none of that name or it is one of the zoo's.
    """
    if entry(name).shipped:
        raise ZooError(f"model {name!r} belongs to the zoo and stays; only registered ones can be taken out")
    del _entries[name]


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
        twin = next((n for n, e in _entries.items() if e.builder == network.builder and e.rank == len(shape) - 1), None)
        mend = f"; {twin!r} takes it" if twin else ""
        raise ZooError(
            f"{network.name}: input_shape {shape} has {len(shape) - 1} spatial sizes and channels; "
            f"expected {network.rank} spatial sizes and channels{mend}"
        )
    if channels is not None and shape[-1] != channels:
        raise ZooError(f"{network.name}: input_shape {shape} says {shape[-1]} channels, channels={channels}; give one")
    if not isinstance(shape[-1], int) or shape[-1] < 1:
        raise ZooError(f"{network.name}: input_shape {shape} has {shape[-1]!r} channels; expected 1 or more")
    return shape
