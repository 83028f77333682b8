"""What a rule knows of the rewrite that it is part of, and how a layer is emitted that needs no rule."""

from collections.abc import Callable
from dataclasses import dataclass, field

import keras
from keras import tree

from export.rewrite.blocks import choice
from export.rewrite.blocks.layout import Blocks
from export.rewrite.inline import inlined
from medseg.errors import InputError
from zoo.internals.keras import unlinked


class RewriteError(InputError):
    """A network has layers that no rule rewrites; the message lists all of them with the reason."""


@dataclass(frozen=True)
class Layout:
    """Which of several exact layouts the rules emit.

    Attributes:
        subpixel: a transposed convolution becomes a convolution and a depth-to-space step, for runtimes whose
            int8 transposed convolution is slow (LiteRT) or missing (ONNX Runtime); False keeps it as it is, for NPUs.
        fold: where a 3D network's third axis goes: "batch" (depth, the quickest on processors), "height" (depth) or
            "channels" (width), the last two with batch 1, as many accelerators want it.
        unit: of the runtime's int8 matrix product, for which convolutions of few channels make several slices of depth
            at once; None for slice by slice.
    """

    subpixel: bool = False
    fold: str = "batch"
    unit: choice.Unit | None = None


@dataclass
class Walk:
    """What one rewrite gathers on its way through a network.

    Attributes:
        layout: the layout asked for.
        emit: emits a functional model: (model, inputs, walk, path) to its outputs.
        shared: emitted layers by source layer, so that a shared layer is emitted once.
        names: taken by emitted layers and operations.
        problems: why layers could not be rewritten, each once.
        blocks: by the id of an emitted tensor: it, and the same with several slices side by side.
        budget: which convolutions make several voxels at once; None where none does.
    """

    layout: Layout
    emit: Callable
    shared: dict = field(default_factory=dict)
    names: set = field(default_factory=set)
    problems: list = field(default_factory=list)
    blocks: dict = field(default_factory=dict)
    budget: choice.Budget | None = None

    def problem(self, text: str) -> None:
        """Remember why a layer cannot be rewritten."""
        if text not in self.problems:
            self.problems.append(text)


@dataclass
class Emission:
    """What a rule may know beside its layer and inputs.

    Attributes:
        layout: the layout asked for.
        rank: largest rank of the layer's inputs in the source network (5 for a 3D feature map).
        batch_norm: the batch normalisation to fold into this layer, or None.
        walk: the rewrite that is going on.
        node: the layer's call in the source network.
        tensors: id of a source tensor to its emitted one.
        path: name of the layer, the nested models that it is in before it.
    """

    layout: Layout
    rank: int
    batch_norm: keras.Layer | None = None
    walk: Walk | None = None
    node: object = None
    tensors: dict = field(default_factory=dict)
    path: str = ""

    def once(self, key: tuple, make: Callable[[], keras.Layer]) -> keras.Layer:
        """The emitted layer for ``key``, made on its first use; a key begins with the source layer."""
        key = (*key, self.batch_norm)
        if key not in self.walk.shared:
            self.walk.shared[key] = make()
        return self.walk.shared[key]

    def blocks(self, tensor) -> Blocks | None:
        """A feature map with several slices side by side in the channels, if it is to be had so."""
        return self.walk.blocks.get(id(tensor), (None, None))[1]

    def axis(self, axis: int) -> int:
        """The axis of a folded tensor that ``axis`` of a source tensor of ``rank`` became.

        Raises:
            ValueError: for the batch axis of a 3D feature map, which is gone.
        """
        place = axis % self.rank - (self.rank == 5)
        if place < 0:
            raise ValueError("acts along the batch axis, which a single patch does not have")
        return place

    def unfolded(self) -> tuple[tuple, dict]:
        """The call arguments with every 3D feature map as (1, depth, height, width, channels)."""
        carried = {
            id(t): keras.ops.expand_dims(self.tensors[id(t)], 0) if len(t.shape) == 5 else self.tensors[id(t)]
            for t in self.node.input_tensors
        }
        return filled(self.node, carried)

    def folded(self, outputs):
        """Outputs in the source's layout, each of rank 5 without its batch axis."""
        return tree.map_structure(lambda t: keras.ops.squeeze(t, 0) if len(t.shape) == 5 else t, outputs)

    def inlined(self):
        """The layer's outputs by the rules of the layers and operations that its ``call`` is made of."""
        network = inlined(self.node, self.tensors)
        inputs = [self.tensors[id(t)] for t in self.node.input_tensors]
        return self.walk.emit(network, inputs, self.walk, f"{self.path}.")


def filled(node, tensors):
    """A call's arguments with emitted tensors for the source's, and arrays for the constants and weights among them.

    A converter would take a constant that is a tensor for one more input.
    """

    def plain(value):
        constant = keras.ops.is_tensor(value) or isinstance(value, keras.Variable)
        return keras.ops.convert_to_numpy(value) if constant else value

    return tree.map_structure(plain, node.arguments.fill_in(tensors))


def whole(operation, args, kwargs, emission):
    """Emit an operation on tensors of the source's own rank: exact for any that is not of two spatial axes."""
    args, kwargs = emission.unfolded()
    return emission.folded(unlinked(operation)(*args, **kwargs))


def keep(layer, args, kwargs, emission):
    """Emit a layer or operation as it is, with its own weights: for all that is the same on folded tensors."""
    if not isinstance(layer, keras.Layer):
        return unlinked(layer)(*args, **kwargs)
    kwargs = {key: value for key, value in kwargs.items() if key != "training" and value is not None}

    def make():
        config = layer.get_config()
        config["dtype"] = "float32"
        return type(layer).from_config(config)

    copy = emission.once((layer, "keep"), make)
    outputs = copy(*args, **kwargs)
    copy.set_weights(layer.get_weights())
    return outputs
