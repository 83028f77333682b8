"""Functional and sequential models, also within others, as graphs of layers."""

import keras


def is_graph(operation) -> bool:
    """Whether a model or layer is a graph of layers."""
    return isinstance(operation, keras.src.models.functional.Functional) or (
        isinstance(operation, keras.Sequential) and operation._functional is not None
    )


def graph(operation):
    """The functional model of a functional or sequential one."""
    return operation._functional if isinstance(operation, keras.Sequential) else operation
