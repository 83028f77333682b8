"""Names of emitted layers and operations, by the source layer that they stand for, so that reports can be read."""

import re

import keras
from keras import tree


def again(operation):
    """A fresh copy of a Keras operation: the same function, no place in a graph yet.

    Operations have no copy of their own, and one object may not stand in a graph under two names.
    """
    copy = object.__new__(type(operation))
    copy.__dict__.update(operation.__dict__)
    copy._inbound_nodes, copy._outbound_nodes = [], []
    return copy


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
        wanted = path if operation is main else f"{path}.{_snake(type(operation).__name__)}"
        operation.name = _free(wanted, taken)
        taken |= {operation.name, operation}


def _between(outputs, stop, taken):
    """Operations that lead to ``outputs`` and are not named yet, first ones first."""
    found, seen, waiting = [], set(stop), list(outputs)
    while waiting:
        tensor = waiting.pop()
        if id(tensor) in seen or not hasattr(tensor, "_keras_history"):
            continue
        seen.add(id(tensor))
        operation, index, _ = tensor._keras_history
        if operation not in taken and operation not in found:
            found.append(operation)
        waiting.extend(operation._inbound_nodes[index].input_tensors)
    return found[::-1]


def _free(wanted, taken):
    number, found = 1, wanted
    while found in taken:
        number += 1
        found = f"{wanted}_{number}"
    return found


def _snake(name):
    return re.sub(r"(?<=[a-z0-9D])(?=[A-Z][a-z])", "_", name).lower()
