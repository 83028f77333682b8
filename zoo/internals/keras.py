"""What Keras keeps to itself: the graph of a functional model, and the classes behind ``keras.ops``.

Nothing else in the project touches these interfaces. ``setup.cfg`` holds Keras below the first version that was not
tried; tests/zoo/internals/test_keras.py names the interface that is missing in a newer one.
"""

import keras
from keras.src.models.functional import Functional
from keras.src.ops import core, math, nn, numpy

__all__ = [
    "core", "flat_layers", "functional", "input_name", "is_functional", "math", "nn", "nodes_by_depth", "numpy",
    "producer", "run_graph", "unlinked", "uses",
]  # fmt: skip


def is_functional(operation) -> bool:
    """Whether a model or layer is a graph of layers: functional, or sequential and built."""
    return isinstance(operation, Functional) or (
        isinstance(operation, keras.Sequential) and operation._functional is not None
    )


def functional(operation):
    """The functional model of a functional or sequential one."""
    return operation._functional if isinstance(operation, keras.Sequential) else operation


def nodes_by_depth(model) -> list:
    """The nodes of a functional model's graph, inputs first; a node is one call of an operation."""
    depths = sorted(model._nodes_by_depth, reverse=True)
    return [node for depth in depths for node in model._nodes_by_depth[depth]]


def run_graph(model, *inputs, operation_fn):
    """Walk through the graph of a functional or sequential model.

    Args:
        model: functional or sequential.
        *inputs: tensors or ``KerasTensor``.
        operation_fn: operation to the callable that takes its place.

    Returns:
        What the model returns.
    """
    return functional(model)._run_through_graph(*inputs, operation_fn=operation_fn)


def flat_layers(model, include_self: bool = True) -> list:
    """All layers of a model, those within other layers and models too."""
    return list(model._flatten_layers(include_self=include_self))


def producer(tensor):
    """The node whose call made a symbolic tensor, or None for a tensor of no graph."""
    history = getattr(tensor, "_keras_history", None)
    if history is None or not history.operation._inbound_nodes:
        return None
    return history.operation._inbound_nodes[history.node_index]


def input_name(tensor) -> str:
    """The name of the input layer behind a model's input."""
    return tensor._keras_history.operation.name


def uses(layer) -> tuple[list, list]:
    """The nodes in which a layer is called, and the nodes that take its results."""
    return layer._inbound_nodes, layer._outbound_nodes


def unlinked(operation):
    """A copy of an operation without a place in a graph; operations have no copy of their own."""
    copy = object.__new__(type(operation))
    copy.__dict__.update(operation.__dict__)
    copy._inbound_nodes, copy._outbound_nodes = [], []
    return copy
