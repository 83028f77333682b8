"""The schema number of a JSON format: older files open, a newer one says which version of medseg-zoo reads it."""

import re
from dataclasses import dataclass
from pathlib import Path

from medseg import record
from medseg.errors import InputError
from medseg.untrusted import read_json, shown


@dataclass(frozen=True)
class Schema:
    """A JSON format through its versions.

    A file carries its number as ``schema`` and, as ``needs``, the oldest version of medseg-zoo that reads it, so that
    an older one can say which to install. Whoever adds, removes or renames a field, at whatever depth, appends to
    ``versions``; a new field has a default, which is what older files mean unless
    its metadata hold another value as ``absent``.

    Attributes:
        name: what a file of it is called in messages: "manifest".
        versions: the version of medseg-zoo that brought schema 1, 2, 3, ...
        remake: how to get a file that this version reads: "export it again".
    """

    name: str
    versions: tuple[str, ...]
    remake: str

    @property
    def newest(self) -> int:
        """The number that this version writes."""
        return len(self.versions)

    @property
    def needs(self) -> str:
        """The oldest version of medseg-zoo that reads what this version writes."""
        return self.versions[-1]


# ``plan.json``, which train writes and export reads. 1: the first. 2: "needs". 3: the recipe's "filters" and "nan".
# 4: "instances". 5: augmentation that mimics scanners, and "step_ms" of run.json.
# 6: "configuration" and the recipe's "slices". 7: augmentation by negatives and tints. 8: "quantize_format" and
# "quantize_bits" of a fine-tuning. 9: augmentation by offsets. 10: "first" and the recipe's "prior".
# 11: "average_flips".
PLAN = Schema("plan", ("0.1.0", *("0.2.0",) * 10), "plan again")


def load(path, kind, schema: Schema, checksum: str | None = None):
    """Read dataclass ``kind``, which has fields ``schema`` and ``needs``, from a file of any schema up to the newest.

    Args:
        path: of the JSON file.
        kind: the dataclass.
        schema: its format.
        checksum: SHA-256 that the file must have, where that is known.

    Returns:
        The record, with the newest schema's number whatever the file's was.

    Raises:
        InputError: if the file is missing, altered, is not JSON, has a schema that this version does not read, or does
            not fit ``kind``; the message names the file.
    """
    path = Path(path)
    data = read_json(path, kind.__name__.lower(), checksum)
    check_number(path, data, schema)
    try:
        return record.from_dict(kind, data | {"schema": schema.newest, "needs": schema.needs})
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def check_number(path, data, schema: Schema) -> None:
    """Require a schema that this version reads.

    First of all: a file of a newer one has other fields, and naming those would not help.

    Args:
        path: of the file, for the message.
        data: the plain JSON types in it.
        schema: its format.

    Raises:
        InputError: if it has none or a newer one.
    """
    number = data.get("schema") if isinstance(data, dict) else None
    expected = "1" if schema.newest == 1 else f"1 to {schema.newest}"
    if type(number) is not int or number < 1:
        raise InputError(f"{path}: {schema.name} schema {shown(number)}, expected {expected}; {schema.remake}")
    if number > schema.newest:
        needs = data.get("needs")
        version = isinstance(needs, str) and re.fullmatch(r"[\w.]{1,20}", needs)
        newer = f"medseg-zoo {needs} or newer" if version else "a newer medseg-zoo"
        raise InputError(
            f"{path}: {schema.name} schema {number}, expected {expected}; it needs {newer}: "
            f"pip install -U medseg-zoo, or {schema.remake} with this version"
        )
