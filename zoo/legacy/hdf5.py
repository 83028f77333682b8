"""Models of Keras 2 in one ``.h5`` file."""

import json

import h5py

from zoo.legacy.errors import LoadError
from zoo.legacy.graph import Node, build
from zoo.legacy.weights import assign, slots


def read_hdf5(path, custom_objects: dict) -> tuple[Node, dict | None]:
    """Rebuild the model in an ``.h5`` file of Keras 2, with its weights.

    Args:
        path: the file.
        custom_objects: the user's classes by class name.

    Returns:
        The model's node and its training configuration, if it was saved compiled.

    Raises:
        LoadError: for a file whose weights do not fit its network.
    """
    with h5py.File(path, "r") as file:
        root = build(json.loads(file.attrs["model_config"]), custom_objects)
        assign(list(_values(file["model_weights"], root)))
        training = file.attrs.get("training_config")
        return root, json.loads(training) if training is not None else None


def _values(group, root: Node):
    for node in root.children:
        if node.layer is None or node.name not in group:
            continue
        names = _attribute(group[node.name], "weight_names")
        places = slots(node) if names else []
        if len(places) != len(names):
            raise LoadError(
                f"layer '{node.name}' of class '{node.kind}' has {len(names)} weights in the file, "
                f"its configuration asks for {len(places)}"
            )
        for slot, name in zip(places, names, strict=True):
            yield slot, group[node.name][name][()]


def _attribute(group, name: str) -> list:
    """A list of names; Keras split those that are too long for an HDF5 header into ``name0``, ``name1``, ..."""
    if name in group.attrs:
        return list(group.attrs[name])
    values = []
    while f"{name}{len(values)}" in group.attrs:
        values.append(list(group.attrs[f"{name}{len(values)}"]))
    return [item for chunk in values for item in chunk]
