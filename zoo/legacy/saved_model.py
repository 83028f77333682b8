"""SavedModel folders of Keras 2: the network from ``keras_metadata.pb``, the weights from the checkpoint beside it."""

from pathlib import Path

from zoo.internals.tensorflow import object_graph
from zoo.legacy.errors import LoadError
from zoo.legacy.graph import Node, build
from zoo.legacy.layers import WEIGHT_NORMALIZATION
from zoo.legacy.saved_model_metadata import root_entry
from zoo.legacy.weights import Slot, assign, slots

_WEIGHT_NORMALIZATION_PATHS = {
    "g": ("g",),
    "kernel": ("v",),
    "bias": ("layer", "bias"),
    "initialized": ("_initialized",),
}
_FORMER_NAMES = {"kernel": ("depthwise_kernel",)}  # of depthwise convolutions


def read_saved_model(folder, custom_objects: dict) -> tuple[Node, dict | None]:
    """Rebuild the model in a SavedModel folder of Keras 2, with its weights; TensorFlow reads the checkpoint.

    Args:
        folder: the folder with ``saved_model.pb``.
        custom_objects: the user's classes by class name.

    Returns:
        The model's node and its training configuration, if it was saved compiled.

    Raises:
        LoadError: for a folder without the network's configuration, or whose weights do not fit it.
    """
    entry = root_entry(folder)
    root = build(entry, custom_objects)
    assign(list(_values(_Checkpoint(Path(folder) / "variables" / "variables"), root)))
    return root, entry.get("training_config")


class _Checkpoint:
    """A TensorFlow checkpoint, read by the attribute names of the objects that were saved."""

    def __init__(self, prefix: Path):
        try:
            import tensorflow as tf
        except ModuleNotFoundError:
            raise LoadError(
                'a SavedModel needs TensorFlow, to read its weights: pip install "medseg-zoo[workstation]"'
            ) from None

        try:
            self._reader = tf.train.load_checkpoint(str(prefix))
        except (ValueError, tf.errors.OpError) as error:
            raise LoadError(f"the weights in variables/ are not readable ({error}); is the folder whole?") from None
        graph = object_graph()
        graph.ParseFromString(self._reader.get_tensor("_CHECKPOINTABLE_OBJECT_GRAPH"))
        self._nodes = graph.nodes

    def child(self, index: int, name: str) -> int | None:
        """The object that object ``index`` (0 is the model) knows as ``name``."""
        return next((c.node_id for c in self._nodes[index].children if c.local_name == name), None)

    def value(self, index: int, names: tuple[str, ...]):
        """The array of the variable reached from object ``index`` by ``names``; None if there is none."""
        for name in names:
            index = self.child(index, name)
            if index is None:
                return None
        attributes = self._nodes[index].attributes
        return self._reader.get_tensor(attributes[0].checkpoint_key) if attributes else None


def _values(checkpoint: _Checkpoint, node: Node, index: int = 0):
    for position, child in enumerate(node.children):
        below = checkpoint.child(index, f"layer-{position}")
        if child.children:
            yield from _values(checkpoint, child, below)
            continue
        for slot in slots(child):
            yield from _slot_value(checkpoint, below, slot)


def _slot_value(checkpoint: _Checkpoint, index: int | None, slot: Slot):
    if slot.name.startswith("data_dep_init"):
        return
    if slot.node.folded and slot.node.kind == WEIGHT_NORMALIZATION:
        ways = [_WEIGHT_NORMALIZATION_PATHS[slot.name]]
    else:
        ways = [(*slot.path, name) for name in (slot.name, *_FORMER_NAMES.get(slot.name, ()))]
    values = [] if index is None else [checkpoint.value(index, way) for way in ways]
    value = next((value for value in values if value is not None), None)
    if value is None:
        raise LoadError(f"layer '{slot.node.name}' of class '{slot.node.kind}' has no {slot.name} in the checkpoint")
    yield slot, value
