"""The registry: what networks there are, as data that imports no framework."""

import fnmatch
from collections.abc import Callable, Mapping, Sequence

from zoo.code_names import names_code, not_run
from zoo.entries import ENTRIES
from zoo.entry import Entry
from zoo.errors import ZooError, unknown

_entries: dict[str, Entry] = {entry.name: entry for entry in ENTRIES}


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


def twin(network: Entry, rank: int) -> str | None:
    """The name of the entry that builds the same network with ``rank`` spatial axes, or None."""
    twins = (name for name, e in _entries.items() if e.builder == network.builder and e.rank == rank)
    return next(twins, None)
