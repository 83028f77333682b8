"""Weights: the sets shipped with the package, files of the user's own, and their transfer to a network.

A shipped set is two files here: ``<entry>-<set>.npz`` (half precision, one array a weight, named by its path) and
``<entry>-<set>.json`` (its card).
"""

import json
import os
import warnings
from dataclasses import asdict, dataclass, field
from pathlib import Path

from zoo.errors import ZooError, unknown

_FOLDER = Path(__file__).parent
_SUFFIXES = (".keras", ".weights.h5", ".npz")


@dataclass(frozen=True)
class Card:
    """What is known of a set of weights.

    Attributes:
        entry: registry entry.
        name: of the set, what ``zoo.get(entry, weights=name)`` takes.
        classes: names of the classes in order, background first.
        channels: names of the input channels.
        options: overrides of the entry's options that it was trained with.
        data: what it was trained on.
        licence: of the data, as far as it binds the weights.
        split: which cases were trained on, which scored.
        scores: by cross-validation, name to value.
        seed: of the training.
        command: that trained it.
        use: intended use.
        limits: what it must not be used for, and where it fails.
    """

    entry: str
    name: str
    classes: tuple[str, ...]
    channels: tuple[str, ...]
    options: dict = field(default_factory=dict)
    data: str = ""
    licence: str = ""
    split: str = ""
    scores: dict = field(default_factory=dict)
    seed: int = 0
    command: str = ""
    use: str = ""
    limits: str = ""


def list_weights(entry: str | None = None, folder=None) -> list[Card]:
    """Cards of the shipped sets, of one entry or of all.

    Args:
        entry: registry entry, or None for all.
        folder: where the sets lie; the package's own if None.
    """
    cards = [_read_card(path) for path in sorted(Path(folder or _FOLDER).glob("*.json"))]
    return [card for card in cards if entry in (None, card.entry)]


def save_weights(model, card: Card, folder=None) -> Path:
    """Write a network's weights in half precision, with their card, as a set that ``zoo.get`` finds.

    Args:
        model: the network.
        card: what is known of it.
        folder: where to; the package's own folder if None.

    Returns:
        Path of the ``.npz`` file.
    """
    import numpy as np

    folder = Path(folder or _FOLDER)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{card.entry}-{card.name}.npz"
    temporary = folder / f".{path.name}.{os.getpid()}.tmp"
    try:
        with temporary.open("wb") as file:
            np.savez_compressed(file, **{name: _half(w) for name, w in _named(model).items()})
        os.replace(temporary, path)
        temporary.write_text(json.dumps(asdict(card), indent=1) + "\n", encoding="utf-8")
        os.replace(temporary, path.with_suffix(".json"))
    finally:
        temporary.unlink(missing_ok=True)
    return path


def find_card(entry: str, weights, folder=None) -> Card | None:
    """The card of the shipped set called ``weights``, or None if ``weights`` is the path of a file.

    Raises:
        ZooError: if it is neither.
    """
    if str(weights).endswith(_SUFFIXES):
        return None
    cards = {card.name: card for card in list_weights(entry, folder)}
    if weights not in cards:
        raise unknown(f"weights of {entry}", weights, [*cards, *(f"a path ending in {s}" for s in _SUFFIXES)])
    return cards[weights]


def load_weights(model, weights, *, entry: str, classes: int, folder=None) -> None:
    """Put weights into ``model``; those of the head stay fresh, with a warning, if the classes differ.

    Args:
        model: the network, changed in place.
        weights: name of a shipped set, or path of a ``.keras``, ``.weights.h5`` or ``.npz`` file.
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
        path = Path(folder or _FOLDER) / f"{entry}-{weights}.npz"
    if not path.is_file():
        raise ZooError(f"{path}: no such file; weights as {', '.join(_SUFFIXES)} are accepted")
    if path.name.endswith(".weights.h5"):
        _load_h5(model, path)
    else:
        _transfer(model, _stored(path), path, classes)


def _transfer(model, stored, path, classes):
    own = _named(model)
    head = {name for name in own if name.split("/")[0].startswith("logits")}
    differing = {name for name in own if name in stored and tuple(stored[name].shape) != tuple(own[name].shape)}
    misfits = (differing - head) | (set(own) ^ set(stored))
    if misfits:
        wrong = next(name for name in (*own, *stored) if name in misfits)
        found = tuple(stored[wrong].shape) if wrong in stored else "nothing"
        wanted = tuple(own[wrong].shape) if wrong in own else "nothing"
        raise ZooError(
            f"{path}: weights do not fit {model.name}: {wrong} has shape {found} there and {wanted} here; "
            "use the entry, channels and options that they were trained with"
        )
    for name, variable in own.items():
        if name not in differing:
            variable.assign(stored[name].astype("float32"))
    if differing:
        warnings.warn(
            f"{path.name}: all weights loaded but the head, which is fresh for {classes} classes", stacklevel=4
        )


def _stored(path):
    import numpy as np

    try:
        if path.suffix == ".npz":
            with np.load(path) as archive:
                return {name: archive[name] for name in archive.files}
        import keras

        return {name: np.asarray(w) for name, w in _named(keras.saving.load_model(path, compile=False)).items()}
    except Exception as error:
        raise ZooError(f"{path}: cannot be read as weights ({type(error).__name__}: {error})") from None


def _load_h5(model, path):
    try:
        model.load_weights(path)
    except Exception as error:
        raise ZooError(f"{path}: weights do not fit {model.name} ({type(error).__name__}: {error})") from None


def _named(model):
    """Weights by layer and name; random generator states are left out, they are no part of the function."""
    return {w.path: w for w in model.weights if "seed_generator" not in w.path}


def _half(variable):
    import numpy as np

    values = np.asarray(variable, dtype="float32")
    if np.abs(values).max(initial=0) > np.finfo("float16").max:
        raise ZooError(f"{variable.path}: values up to {np.abs(values).max():.3g} do not fit half precision")
    return values.astype("float16")


def _check_channels(card, model):
    channels = model.input_shape[-1]
    if channels != len(card.channels):
        raise ZooError(
            f"weights {card.name!r} of {card.entry} are for {len(card.channels)} channels "
            f"({', '.join(card.channels)}); found {channels}; use channels={len(card.channels)}"
        )


def _read_card(path):
    data = json.loads(path.read_text(encoding="utf-8"))
    return Card(**{key: tuple(v) if isinstance(v, list) else v for key, v in data.items()})
