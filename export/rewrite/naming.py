"""Names of emitted layers and operations, by the source layer that they stand for, so that reports can be read."""

import re

import keras
from keras import tree

from zoo.internals.keras import producer


def describe(operation, path: str = "") -> str:
    """A layer in words, for messages: its name and type."""
    kind = "layer" if isinstance(operation, keras.Layer) else "operation"
    return f"{kind} {path or operation.name} ({type(operation).__name__})"


def name(outputs, inputs, path: str, taken: set) -> None:
    """Name the operations between ``inputs`` and ``outputs`` after ``path``: the one with weights gets it as it is.

    Args:
        outputs: emitted tensors.
        inputs: the tensors that they were emitted from.
        path: of the source layer.
        taken: names in use, and the operations named so far; both are added to.
    """
    fresh = _between(tree.flatten(outputs), {id(t) for t in inputs}, taken)
    weighted = [operation for operation in fresh if getattr(operation, "weights", None)]
    main = weighted[0] if len(weighted) == 1 else fresh[0] if len(fresh) == 1 else None
    for operation in fresh:
        full_name = path if operation is main else f"{path}.{_snake(type(operation).__name__)}"
        operation.name = _free(full_name, taken)
        taken |= {operation.name, operation}


def _between(outputs, stop, taken):
    """Operations that lead to ``outputs`` and are not named yet, first ones first."""
    unnamed, seen, waiting = [], set(stop), list(outputs)
    while waiting:
        tensor = waiting.pop()
        node = producer(tensor)
        if id(tensor) in seen or node is None:
            continue
        seen.add(id(tensor))
        if node.operation not in taken and node.operation not in unnamed:
            unnamed.append(node.operation)
        waiting.extend(node.input_tensors)
    return unnamed[::-1]


def _free(base, taken):
    number, candidate = 1, base
    while candidate in taken:
        number += 1
        candidate = f"{base}_{number}"
    return candidate


def _snake(name):
    return re.sub(r"(?<=[a-z0-9D])(?=[A-Z][a-z])", "_", name).lower()
