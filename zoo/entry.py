"""An entry of the registry."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Entry:
    """A network that the registry knows, as data.

    Attributes:
        name: what it is called.
        builder: "module:function", imported when first used, or the function itself.
        rank: spatial axes, 2 or 3; None where the builder takes either.
        tags: "2d" or "3d"; "cnn" or "transformer"; "edge" (int8 on the device); "light" (few operations); "residual";
            "transfer" (pretrained encoder); "fixed_size" (every spatial size as a number).
        summary: one line for people.
        paper: citation.
        edge: "int8", "partial" or "float", see ``zoo.Info``.
        options: values for options of the builder.
        shipped: one of the zoo's own, with committed figures.
    """

    name: str
    builder: str | Callable
    rank: int | None
    tags: tuple[str, ...]
    summary: str
    paper: str
    edge: str = "int8"
    options: Mapping = field(default_factory=dict)
    shipped: bool = True
