"""A card as a stranger may have written it: read, and checked before anything of it is used or printed."""

from medseg import record
from medseg.errors import InputError
from medseg.untrusted import file_name, read_json, shown
from zoo.errors import ZooError
from zoo.weights.card import Card
from zoo.weights.card_text import card_text, score_line


def read_card(path) -> Card:
    """Read a ``card.json``.

    Raises:
        ZooError: if it cannot be read, a field is unknown, missing or of another kind, a name of it is none of a file,
            or its text would steer a terminal.
    """
    try:
        data = read_json(path, "card of weights")
        try:
            card = record.from_dict(Card, data, "card")
        except InputError as error:
            raise InputError(
                f"{path}: not a card of weights ({error}); give a set that zoo weights pack wrote"
            ) from None
        _check_names(card, path)
    except InputError as error:
        raise ZooError(str(error)) from None
    _check_text(card, path)
    return card


def _check_names(card, path) -> None:
    """Require what becomes part of a path to stay in its folder."""
    names = {"entry": card.entry, "name": card.name}
    if card.artifact:
        names |= {f"artifact.{key}": card.artifact.get(key) for key in ("format", "file")}
    for key, name in names.items():
        file_name(name, f"{path}: {key}")


def _check_text(card, path) -> None:
    """Require that the card can be shown, as scores and the like have no types of their own, and steers no terminal."""
    try:
        text = f"{card_text(card)}\n{score_line(card)}"
    except Exception as error:  # of whatever type: a field inside holds something else
        raise ZooError(
            f"{path}: not a card of weights, what its scores, storage, plan or artifact hold is none of these "
            f"({type(error).__name__}); give a set that zoo weights pack wrote"
        ) from None
    for line in text.split("\n"):
        if not line.isprintable():
            raise ZooError(f"{path}: holds control characters, expected text ({shown(line)})")
