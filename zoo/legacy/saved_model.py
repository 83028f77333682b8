"""SavedModel folders of Keras 2: the network from ``keras_metadata.pb``, the weights from the checkpoint beside it."""

import json
from pathlib import Path

from zoo.legacy.errors import LoadError
from zoo.legacy.graph import Node, build
from zoo.legacy.layers import WEIGHT_NORMALIZATION
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
    metadata = Path(folder) / "keras_metadata.pb"
    if not metadata.is_file():
        raise LoadError(
            "a SavedModel without keras_metadata.pb holds a graph but no network that could be rebuilt; save the model "
            "as .h5 or .keras in the environment that made it"
        )
    entry = _root_entry(metadata.read_bytes())
    root = build(entry, custom_objects)
    assign(list(_values(_Checkpoint(Path(folder) / "variables" / "variables"), root)))
    return root, entry.get("training_config")


class _Checkpoint:
    """A TensorFlow checkpoint, read by the attribute names of the objects that were saved."""

    def __init__(self, prefix: Path):
        try:
            import tensorflow as tf
            from tensorflow.core.protobuf import trackable_object_graph_pb2
        except ModuleNotFoundError:
            raise LoadError(
                'a SavedModel needs TensorFlow, to read its weights: pip install "medseg-zoo[workstation]"'
            ) from None

        try:
            self._reader = tf.train.load_checkpoint(str(prefix))
        except (ValueError, tf.errors.OpError) as error:
            raise LoadError(f"the weights in variables/ are not readable ({error}); is the folder whole?") from None
        graph = trackable_object_graph_pb2.TrackableObjectGraph()
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


def _root_entry(data: bytes) -> dict:
    """The configuration of the model itself from the bytes of ``keras_metadata.pb``.

    The file is a list of records (field 1); of each, field 3 is the object's path and field 5 its metadata as JSON.
    """
    for number, record in _fields(data):
        fields = dict(_fields(record)) if number == 1 else {}
        if fields.get(3) == b"root":
            try:
                metadata = json.loads(fields[5])
            except (KeyError, json.JSONDecodeError):
                break
            if "class_name" not in metadata or not metadata.get("config"):
                raise LoadError(
                    "the model was written as Python code, so that its SavedModel holds no network that could be "
                    "rebuilt; build it in Keras 3 and load its weights"
                )
            return metadata
    raise LoadError("keras_metadata.pb holds no readable model; is the folder whole?")


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
