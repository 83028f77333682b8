"""Weights: the sets shipped with the package, files of the user's own, and their transfer to a network.

A set is a folder ``<entry>-<set>``: ``weights.npz`` (see ``zoo.weights.storage``), ``card.json`` (a ``Card``),
``CARD.md`` (the same for people) and the folder of its artifact for the device, ``tflite-int8``.
"""

import warnings
from pathlib import Path

from medseg import record
from medseg.atomic import replace_folder, temporary_folder
from zoo.errors import ZooError, unknown
from zoo.weights.card import FILE, Card, card_json
from zoo.weights.card_text import card_text
from zoo.weights.reading import read_card
from zoo.weights.storage import KINDS, read_arrays, write_arrays

__all__ = [
    "KINDS", "WEIGHTS", "Card", "artifact", "card_by_name", "find_card", "list_weights", "load_weights", "put_in_place",
    "read_arrays", "save_weights", "set_folder", "write_card", "write_set",
]  # fmt: skip

WEIGHTS = "weights.npz"
_FOLDER = Path(__file__).parent
_SUFFIXES = (".keras", ".weights.h5", ".npz")


def list_weights(entry: str | None = None, folder=None) -> list[Card]:
    """Cards of the shipped sets, of one entry or of all.

    Args:
        entry: registry entry, or None for all.
        folder: where the sets lie; the package's own if None.
    """
    cards = [read_card(path) for path in sorted(Path(folder or _FOLDER).glob(f"[!.]*/{FILE}"))]
    return [card for card in cards if entry in (None, card.entry)]


def artifact(entry: str, weights, folder=None) -> Path:
    """The artifact folder of a shipped set, for ``edge.load`` and ``zoo-edge predict``.

    Args:
        entry: registry entry.
        weights: name of the set, or its folder.
        folder: where the sets lie; the package's own if None.

    Raises:
        ZooError: for an unknown set or one without an artifact.
    """
    card = find_card(entry, weights, folder)
    place = None if card is None else set_folder(entry, weights, folder)
    if place is None or not card.artifact:
        raise ZooError(f"{weights}: has no artifact; give a shipped set of {entry}, or export its run with zoo export")
    return place / card.artifact["format"]


def save_weights(model, card: Card, folder=None, kind: str = "float16") -> Path:
    """Write a network's weights with their card as a set that ``zoo.get`` finds.

    Args:
        model: the network.
        card: what is known of it.
        folder: where the set's folder goes; the package's own if None.
        kind: "float16", or "int8" for kernels in int8.

    Returns:
        Path of the ``.npz`` file.
    """
    target = Path(folder or _FOLDER) / card.folder
    with temporary_folder(target) as temporary:
        write_set(temporary, model, card, kind)
        put_in_place(temporary, target)
    return target / WEIGHTS


def write_set(folder, model, card: Card, kind: str = "float16") -> None:
    """Write weights and card into a folder that is there already; for ``save_weights``, which sees to the rest."""
    folder = Path(folder)
    write_arrays(folder / WEIGHTS, _named(model), kind)
    write_card(folder, card)


def write_card(folder, card: Card) -> None:
    """Write ``card.json`` and ``CARD.md`` into a set's folder."""
    record.write_text(Path(folder) / FILE, card_json(card))
    record.write_text(Path(folder) / "CARD.md", card_text(card))


def put_in_place(temporary, target) -> None:
    """Move a finished set to its place; a set that is there already is replaced.

    Raises:
        ZooError: if what is there is no set.
    """
    temporary, target = Path(temporary), Path(target)
    temporary.chmod(0o755)
    if target.exists() and not (target / FILE).is_file():
        raise ZooError(f"{target}: exists and is no set of weights; give another folder")
    replace_folder(temporary, target)


def card_by_name(name: str, folder=None, prefer: str | None = None) -> Card:
    """The card of the set that a name means: ``unet3d-hippocampus``, or ``hippocampus`` where one network has it.

    Args:
        name: of the set, with or without its entry.
        folder: where the sets lie; the package's own if None.
        prefer: entry whose set is meant where several have one of this name.

    Raises:
        ZooError: if no set is called so, or several are; the message lists them.
    """
    cards = list_weights(folder=folder)
    fitting = [card for card in cards if card.folder == name] or [card for card in cards if card.name == name]
    fitting = [card for card in fitting if card.entry == prefer] or fitting
    if not fitting:
        raise unknown("set of weights", name, [card.folder for card in cards])
    if len(fitting) > 1:
        folders = [card.folder for card in fitting]
        raise ZooError(f"set of weights {name!r}: several are called so; give {' or '.join(folders)}")
    return fitting[0]


def find_card(entry: str, weights, folder=None) -> Card | None:
    """The card of the set called ``weights`` or lying there, or None if ``weights`` is the path of a file.

    A set is called by its name or by its entry and its name: ``hippocampus`` or ``unet3d-hippocampus``.

    Raises:
        ZooError: if it is neither, or a set of another entry.
    """
    if str(weights).endswith(_SUFFIXES):
        return None
    if (Path(weights) / FILE).is_file():
        card = read_card(Path(weights) / FILE)
        if card.entry != entry:
            raise ZooError(f"{weights}: holds weights of {card.entry}, not of {entry}; ask for {card.entry!r}")
        return card
    cards = {card.name: card for card in list_weights(entry, folder)}
    name = str(weights).removeprefix(f"{entry}-")
    if name not in cards:
        others = [card for card in list_weights(folder=folder) if weights in (card.name, card.folder)]
        if others:
            owners = ", ".join(card.entry for card in others)
            raise ZooError(f"weights {weights!r} are shipped for {owners}, not for {entry}")
        raise unknown(f"weights of {entry}", weights, [*cards, *(f"a path ending in {s}" for s in _SUFFIXES)])
    return cards[name]


def set_folder(entry: str, weights, folder=None) -> Path:
    """Where the set called ``weights`` lies."""
    if (Path(weights) / FILE).is_file():
        return Path(weights)
    return Path(folder or _FOLDER) / f"{entry}-{str(weights).removeprefix(f'{entry}-')}"


def load_weights(model, weights, *, entry: str, classes: int, folder=None) -> None:
    """Put weights into ``model``; those of the head stay fresh, with a warning, if the classes differ.

    Args:
        model: the network, changed in place.
        weights: name of a shipped set, folder of a set, or path of a ``.keras``, ``.weights.h5`` or ``.npz`` file.
        entry: registry entry of ``model``.
        classes: classes of ``model``.
        folder: where the shipped sets lie; the package's own if None.

    Raises:
        ZooError: for an unknown set, a file that cannot be read, or weights that do not fit.
    """
    card = find_card(entry, weights, folder)
    if card is None:
        path = Path(weights)
    else:
        _check_channels(card, model)
        path = set_folder(entry, weights, folder) / WEIGHTS
    if not path.is_file():
        raise ZooError(f"{path}: no such file; expected weights as {', '.join(_SUFFIXES)}")
    if path.name.endswith(".weights.h5"):
        _load_h5(model, path)
    else:
        _transfer(model, _stored(path), path, classes, card)


def _transfer(model, stored, path, classes, card):
    own = _named(model)
    head = {name for name in own if name.split("/")[0].startswith("logits")}
    differing = {name for name in own if name in stored and tuple(stored[name].shape) != tuple(own[name].shape)}
    misfits = (differing - head) | (set(own) ^ set(stored))
    if misfits:
        wrong = next(name for name in (*own, *stored) if name in misfits)
        shape = tuple(stored[wrong].shape) if wrong in stored else "nothing"
        own_shape = tuple(own[wrong].shape) if wrong in own else "nothing"
        raise ZooError(
            f"{path}: weights do not fit {model.name}: {wrong} has shape {shape} there and {own_shape} here; "
            "use the entry, channels and options that they were trained with"
        )
    for name, variable in own.items():
        if name not in differing:
            variable.assign(stored[name].astype("float32"))
    if differing:
        trained = f" ({len(card.classes)}: {', '.join(card.classes)})" if card is not None else ""
        source = path.name if card is None else card.folder
        warnings.warn(
            f"{source}: all weights loaded but the head{trained}, which is fresh for {classes} classes", stacklevel=4
        )


def _stored(path):
    import numpy as np

    if path.suffix == ".npz":
        return read_arrays(path)
    from zoo.legacy import load

    return {name: np.asarray(w) for name, w in _named(load(path, compile=False)).items()}


def _load_h5(model, path):
    from zoo.legacy.contents import check_file

    check_file(path)
    try:
        model.load_weights(path)
    except Exception as error:
        raise ZooError(f"{path}: weights do not fit {model.name} ({type(error).__name__}: {error})") from None


def _named(model):
    """Weights by layer and name; random generator states are left out, they are no part of the function."""
    return {w.path: w for w in model.weights if "seed_generator" not in w.path}


def _check_channels(card, model):
    channels = model.input_shape[-1]
    if channels != len(card.channels):
        raise ZooError(
            f"weights {card.name!r} of {card.entry}: expected {len(card.channels)} channels "
            f"({', '.join(card.channels)}), got {channels}; use channels={len(card.channels)}"
        )
