"""The fields of a record at every depth, by which a test sees that a file's format changed."""

import dataclasses
import typing


def fields_of(kind, where: str = "") -> list[str]:
    """Dotted names of a dataclass's fields and of those of the dataclasses in them, in order."""
    names = []
    hints = typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        names.append(where + field.name)
        for inner in (hints[field.name], *typing.get_args(hints[field.name])):
            if dataclasses.is_dataclass(inner):
                names += fields_of(inner, f"{where}{field.name}.")
    return names
