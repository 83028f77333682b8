"""What is known of a network: committed figures, or counted ones."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from zoo.building import get
from zoo.registry import entry

_FIGURES = Path(__file__).with_name("figures.json")


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
