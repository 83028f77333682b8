"""Models of Keras 2.12 to 2.15 in the ``.keras`` format: a zip of configuration and weights, in their own order."""

import io
import json
import re
import zipfile

import h5py

from zoo.legacy.errors import LoadError
from zoo.legacy.graph import Node, build
from zoo.legacy.layers import WEIGHT_NORMALIZATION
from zoo.legacy.weights import Slot, assign, slots


def read_archive(path, custom_objects: dict) -> tuple[Node, dict | None]:
    """Rebuild the model in a ``.keras`` file of Keras 2, with its weights.

    Args:
        path: the file.
        custom_objects: the user's classes by class name.

    Returns:
        The model's node and its training configuration, if it was saved compiled.

    Raises:
        LoadError: if the weights in the file do not fit the network.
    """
    with zipfile.ZipFile(path) as archive:
        entry = json.loads(archive.read("config.json"))
        root = build(entry, custom_objects)
        with h5py.File(io.BytesIO(archive.read("model.weights.h5")), "r") as file:
            assign(list(_values(file, root)))
    return root, entry.get("compile_config")


def _values(group, node: Node):
    """Every layer's weights lie under its class name in snake case, numbered when there are several."""
    seen = {}
    layers = next((group[key] for key in ("layers", "_layer_checkpoint_dependencies") if key in group), {})
    for child in node.children:
        base = _snake_case(child.kind.rpartition(">")[2])
        count = seen[base] = seen.get(base, -1) + 1
        key = f"{base}_{count}" if count else base
        if child.children:
            yield from _values(layers[key], child)
        elif slots(child):
            yield from _layer_values(layers, key, child)


def _layer_values(layers, key, node: Node):
    places = slots(node)
    if node.folded and node.kind == WEIGHT_NORMALIZATION:  # the wrapper's own first; its layer keeps the bias alone
        places = [Slot(node, name) for name in ("g", "kernel", "initialized")]
        places += [Slot(node, "bias", ("layer",))] if node.layer.use_bias else []
    counts = {}
    for slot in places:
        where = "/".join([key, *slot.path, "vars"])
        index = counts[where] = counts.get(where, -1) + 1
        if where not in layers or str(index) not in layers[where]:
            raise LoadError(f"layer '{node.name}' of class '{node.kind}' has no {slot.name} in the file")
        yield slot, layers[where][str(index)][()]


def _snake_case(name: str) -> str:
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()
