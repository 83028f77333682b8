"""Saved values into the layers of a rebuilt network; weight normalisation is folded into the kernel on the way."""

from dataclasses import dataclass

import numpy as np

from zoo.legacy.errors import LoadError
from zoo.legacy.graph import Node, leaves


@dataclass(frozen=True)
class Slot:
    """A place for one saved array: the layer it belongs to and the name that Keras 2 gave it there."""

    node: Node
    name: str


def slots(node: Node) -> list[Slot]:
    """What Keras 2 saved for a layer or a nested model, in its order: trainable weights first, then the others."""
    found = [(_trainable(leaf), _frozen(leaf)) for leaf in leaves(node)]
    return [slot for first, _ in found for slot in first] + [slot for _, second in found for slot in second]


def assign(values: list[tuple[Slot, np.ndarray]]) -> None:
    """Put saved arrays into the layers.

    Args:
        values: an array for every slot of a layer, layers in any order.

    Raises:
        LoadError: if a shape does not fit, or a weight normalisation was saved before its scale was known.
    """
    grouped = {}
    for slot, value in values:
        grouped.setdefault(id(slot.node), (slot.node, []))[1].append((slot.name, np.asarray(value)))
    for node, named in grouped.values():
        arrays = _folded(node, dict(named)) if node.weight_normalised else [value for _, value in named]
        expected = [tuple(variable.shape) for variable in _variables(node)]
        if [array.shape for array in arrays] != expected:
            raise LoadError(
                f"layer '{node.name}' of class '{node.kind}' has weights of shapes {[a.shape for a in arrays]} in the "
                f"file; its configuration asks for {expected}"
            )
        for variable, array in zip(_variables(node), arrays, strict=True):
            variable.assign(array)


def _variables(node: Node) -> list:
    return [*node.layer.trainable_weights, *node.layer.non_trainable_weights]


def _trainable(node: Node) -> list[Slot]:
    if not node.weight_normalised:
        return [Slot(node, variable.name) for variable in node.layer.trainable_weights]
    if not node.layer.trainable:
        return []
    return [Slot(node, name) for name in ("g", *_own(node))]


def _frozen(node: Node) -> list[Slot]:
    if not node.weight_normalised:
        return [Slot(node, variable.name) for variable in node.layer.non_trainable_weights]
    own = _own(node)
    clone = [f"data_dep_init/{name}" for name in own] if node.data_init else []
    names = ["initialized", *clone] if node.layer.trainable else ["g", "kernel", "initialized", *own[1:], *clone]
    return [Slot(node, name) for name in names]


def _own(node: Node) -> list[str]:
    return ["kernel", "bias"] if node.layer.use_bias else ["kernel"]


def _folded(node: Node, values: dict) -> list[np.ndarray]:
    """Kernel and bias of a weight-normalised layer: kernel = g v / |v|, the norm over all axes but the last.

    Salimans and Kingma, "Weight normalization", arXiv:1602.07868, equation 2, as tensorflow-addons computes it.
    """
    v = values["kernel"].astype("float32")
    if values["initialized"]:
        norm = np.sqrt(np.maximum(np.square(v, dtype="float64").sum(axis=tuple(range(v.ndim - 1))), 1e-12))
        kernel = (v * (values["g"] / norm)).astype("float32")
    elif node.data_init:
        raise LoadError(
            f"layer '{node.name}' is weight-normalised and was saved before its first batch, which sets its scale; "
            "call the model once on data in the environment that made it and save it again"
        )
    else:
        kernel = v  # the first call would set g = |v|
    return [kernel, *([values["bias"]] if "bias" in values else [])]
