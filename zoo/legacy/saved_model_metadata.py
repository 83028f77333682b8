"""The configuration of a Keras 2 model in a SavedModel folder; neither Keras nor TensorFlow is needed to read it."""

from pathlib import Path

from medseg.errors import InputError
from medseg.untrusted import MAX_JSON_BYTES, parse_json, read_limited
from zoo.legacy.errors import LoadError

METADATA = "keras_metadata.pb"


def root_entry(folder) -> dict:
    """The configuration of the model itself from ``keras_metadata.pb``.

    The file is a list of records (field 1); of each, field 3 is the object's path and field 5 its metadata as JSON.

    Raises:
        LoadError: if the file is missing or damaged, or the model was written as Python code.
    """
    path = Path(folder) / METADATA
    if not path.exists():
        raise LoadError(
            f"a SavedModel without {METADATA} holds a graph but no network that could be rebuilt; save the model "
            "as .h5 or .keras in the environment that made it"
        )
    for number, record in _fields(read_limited(path, 4 * MAX_JSON_BYTES, "a network's configuration")):
        fields = dict(_fields(record)) if number == 1 and isinstance(record, bytes) else {}
        if fields.get(3) == b"root":
            return _entry(fields.get(5))
    raise LoadError(f"{METADATA} holds no readable model; is the folder whole?")


def _entry(metadata) -> dict:
    try:
        entry = parse_json(metadata, METADATA) if isinstance(metadata, bytes) else None
    except InputError:
        entry = None
    if not isinstance(entry, dict):
        raise LoadError(f"{METADATA} holds no readable model; is the folder whole?")
    if "class_name" not in entry or not entry.get("config"):
        raise LoadError(
            "the model was written as Python code, so that its SavedModel holds no network that could be "
            "rebuilt; build it in Keras 3 and load its weights"
        )
    return entry


def _fields(data: bytes):
    """The fields of a protocol-buffer message, as (number, bytes or int)."""
    position = 0

    def varint():
        nonlocal position
        shift = value = 0
        while True:
            byte = data[position]
            position += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    try:
        while position < len(data):
            tag = varint()
            if tag & 7 == 0:
                yield tag >> 3, varint()
            elif tag & 7 == 2:
                length = varint()
                position += length
                yield tag >> 3, data[position - length : position]
            else:
                raise LoadError("keras_metadata.pb is not readable; is the folder whole?")
    except IndexError:
        raise LoadError("keras_metadata.pb is not readable; is the folder whole?") from None
