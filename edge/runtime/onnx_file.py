"""What an ONNX file refers to, read from its protocol buffers without the onnx package, which a device lacks."""

from collections.abc import Iterator

# The messages of onnx.proto that can hold a tensor: field number to the message that it holds.
_MESSAGES = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
_TENSOR_NAME, _EXTERNAL_DATA, _DATA_LOCATION = 8, 13, 14
_MAX_DEPTH = 64
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def external_tensor(model: bytes) -> str | None:
    """The name of a tensor of an ONNX model whose values lie in another file; None if there is none.

    Args:
        model: the content of the file.

    Raises:
        ValueError: if it is no protocol buffer.
    """
    waiting = [("model", memoryview(model), 0)]
    while waiting:
        kind, message, depth = waiting.pop()
        if depth > _MAX_DEPTH:
            raise ValueError(f"graphs nested more than {_MAX_DEPTH} deep")
        if kind == "tensor":
            name = _external_name(message)
            if name is not None:
                return name
            continue
        for number, value in _fields(message):
            below = _MESSAGES[kind].get(number)
            if below is not None and isinstance(value, memoryview):
                waiting.append((below, value, depth + 1))
    return None


def _external_name(tensor) -> str | None:
    name, external = "", False
    for number, value in _fields(tensor):
        if number == _TENSOR_NAME and isinstance(value, memoryview):
            name = bytes(value[:60]).decode("utf-8", "replace")
        external |= number == _EXTERNAL_DATA or (number == _DATA_LOCATION and value != 0)
    return name if external else None


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """The fields of a message: number, and its value (bytes as a view, fixed-size numbers as 0)."""
    position, end = 0, len(message)
    while position < end:
        tag, position = _varint(message, position)
        number, wire = tag >> 3, tag & 7
        value = 0
        if wire == _VARINT:
            value, position = _varint(message, position)
        elif wire == _BYTES:
            length, position = _varint(message, position)
            value = message[position : position + length]
            position += length
        elif wire in (_FIXED64, _FIXED32):
            position += 8 if wire == _FIXED64 else 4
        else:
            raise ValueError(f"field {number} of unknown kind {wire}")
        if position > end:
            raise ValueError("the file is truncated")
        yield number, value


def _varint(message, position) -> tuple[int, int]:
    value = 0
    for index in range(10):
        if position + index >= len(message):
            raise ValueError("the file is truncated")
        byte = message[position + index]
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value, position + index + 1
    raise ValueError("a number of more than ten bytes")
