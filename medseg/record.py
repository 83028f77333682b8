"""Frozen dataclasses to JSON and back: plan, recipe, manifest. Unknown and missing fields are errors, never dropped."""

import dataclasses
import json
import math
import types
import typing

from medseg.atomic import write_bytes
from medseg.errors import InputError
from medseg.untrusted import read_json, shown


def to_dict(record) -> dict:
    """A (nested) dataclass as plain JSON types."""
    return dataclasses.asdict(record)


def from_dict(kind, data, where: str = ""):
    """Build dataclass ``kind`` from the plain JSON types in ``data``.

    Args:
        kind: the dataclass (or, in recursion, any annotated type made of dataclasses, tuples, dicts and scalars).
        data: what ``json.load`` returned.
        where: name of the field, for messages.

    Raises:
        InputError: for an unknown field, a missing one, a value of the wrong type or a number that is not finite where
            a number belongs; the message names the field.
    """
    here = where or getattr(kind, "__name__", str(kind))
    if dataclasses.is_dataclass(kind):
        return _dataclass_from(kind, data, here)
    origin = typing.get_origin(kind)
    if origin in (types.UnionType, typing.Union):
        if data is None and type(None) in typing.get_args(kind):
            return None
        (inner,) = [a for a in typing.get_args(kind) if a is not type(None)]
        return from_dict(inner, data, here)
    if origin is tuple:
        if not isinstance(data, list | tuple):
            raise InputError(f"{here}: expected a list, got {shown(data)}")
        inner = typing.get_args(kind)[0]
        return tuple(from_dict(inner, value, f"{here}[{i}]") for i, value in enumerate(data))
    if origin is dict or kind is dict:
        if not isinstance(data, dict):
            raise InputError(f"{here}: expected an object, got {shown(data)}")
        if origin is None:
            return dict(data)
        inner = typing.get_args(kind)[1]
        return {key: from_dict(inner, value, f"{here}.{_named(key)}") for key, value in data.items()}
    if kind is float and isinstance(data, int | float) and not isinstance(data, bool):
        return _finite(data, here)
    if kind in (int, float, str, bool) and (
        not isinstance(data, kind) or (isinstance(data, bool) and kind is not bool)
    ):
        raise InputError(f"{here}: expected {kind.__name__}, got {shown(data)}")
    return data


def _finite(number, here) -> float:
    """JSON of Python has NaN and Infinity, and whole numbers of any size."""
    try:
        value = float(number)
    except OverflowError:
        value = math.inf
    if not math.isfinite(value):
        raise InputError(f"{here}: expected a finite number, got {shown(value)}")
    return value


def _dataclass_from(kind, data, here):
    if not isinstance(data, dict):
        raise InputError(f"{here}: expected an object, got {shown(data)}")
    hints = typing.get_type_hints(kind)
    fields = {f.name: f for f in dataclasses.fields(kind)}
    unknown = sorted(set(data) - set(fields))
    if unknown:
        raise InputError(f"{here}: unknown field {_listed(unknown)}; expected one of {', '.join(fields)}")
    missing = [
        name
        for name, f in fields.items()
        if name not in data and f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise InputError(f"{here}: field {', '.join(missing)} is missing")
    # What a file means that was written before a field was there, if that is not the field's default.
    older = {name: f.metadata["absent"] for name, f in fields.items() if name not in data and "absent" in f.metadata}
    return kind(**{name: from_dict(hints[name], value, f"{here}.{name}") for name, value in data.items()}, **older)


def _listed(names) -> str:
    """Names from a stranger, cut where they are many or long."""
    return ", ".join(map(_named, names[:8])) + ", ..." * (len(names) > 8)


def _named(name) -> str:
    """A name from a stranger, which cannot begin a line of its own in a message."""
    return shown(name, 42)[1:].removesuffix("'").removesuffix('"')


def save(path, record) -> None:
    """Write a dataclass as JSON to ``path``, by a temporary name and a rename."""
    write_text(path, json.dumps(to_dict(record), indent=1) + "\n")


def load(path, kind):
    """Read dataclass ``kind`` from the JSON file ``path``.

    Raises:
        InputError: if the file is missing, is no JSON that ``medseg.untrusted.read_json`` reads, or does not fit
            ``kind``.
    """
    data = read_json(path, kind.__name__.lower())
    try:
        return from_dict(kind, data)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def write_text(path, text: str) -> None:
    """Write ``text`` to ``path`` whole or not at all.

    Raises:
        InputError: if the place cannot be written.
    """
    write_bytes(path, text.encode("utf-8"))
