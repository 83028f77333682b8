"""Walks a Keras functional model and re-emits it layer by layer, by the rule registered for each layer type."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import keras
from keras import tree

from export.rewrite import naming
from export.rewrite.batch1 import volume
from export.rewrite.blocks import choice, layout
from export.rewrite.blocks.registry import on_blocks
from export.rewrite.folding import batch_norm_folds, nodes_in_order
from export.rewrite.inline import InlineError, inlined, placeholders
from export.rewrite.nested import graph, is_graph
from export.rewrite.registry import find_rule
from medseg.errors import InputError


class RewriteError(InputError):
    """A network has layers that no rule rewrites; the message lists all of them with the reason."""


@dataclass(frozen=True)
class Form:
    """Which of several exact forms the rules emit.

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
        form: the form asked for.
        shared: emitted layers by source layer, so that a shared layer is emitted once.
        names: taken by emitted layers and operations.
        problems: why layers could not be rewritten, each once.
        blocks: by the id of an emitted tensor: it, and the same with several slices side by side.
        budget: which convolutions make several voxels at once; None where none does.
    """

    form: Form
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
        form: the form asked for.
        rank: largest rank of the layer's inputs in the source network (5 for a 3D feature map).
        batch_norm: the batch normalisation to fold into this layer, or None.
        walk: the rewrite that is going on.
        node: the layer's call in the source network.
        tensors: id of a source tensor to its emitted one.
        path: name of the layer, the nested models that it is in before it.
    """

    form: Form
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

    def blocks(self, tensor) -> layout.Blocks | None:
        """A feature map with several slices side by side in the channels, if it is to be had so."""
        return self.walk.blocks.get(id(tensor), (None, None))[1]

    def axis(self, axis: int) -> int:
        """The axis of a folded tensor that ``axis`` of a source tensor of ``rank`` became.

        Raises:
            ValueError: for the batch axis of a 3D feature map, which is gone.
        """
        found = axis % self.rank - (self.rank == 5)
        if found < 0:
            raise ValueError("acts along the batch axis, which a single patch does not have")
        return found

    def unfolded(self) -> tuple[tuple, dict]:
        """The call arguments with every 3D feature map as (1, depth, height, width, channels)."""
        carried = {
            id(t): keras.ops.expand_dims(self.tensors[id(t)], 0) if len(t.shape) == 5 else self.tensors[id(t)]
            for t in self.node.input_tensors
        }
        return _filled(self.node, carried)

    def folded(self, outputs):
        """Outputs in the source's layout, each of rank 5 without its batch axis."""
        return tree.map_structure(lambda t: keras.ops.squeeze(t, 0) if len(t.shape) == 5 else t, outputs)

    def inlined(self):
        """The layer's outputs by the rules of the layers and operations that its ``call`` is made of."""
        network = inlined(self.node, self.tensors)
        inputs = [self.tensors[id(t)] for t in self.node.input_tensors]
        return _emit(network, inputs, self.walk, f"{self.path}.")


def rewrite(model: keras.Model, patch: Sequence[int], form: Form | None = None) -> keras.Model:
    """Rewrite a Keras model for inference on one patch; equal to it up to float rounding.

    Args:
        model: functional or sequential model with one input (batch, *spatial, channels), two or three spatial axes.
        patch: spatial size of the patch, voxels.
        form: which exact form to emit; default ``Form()``.

    Returns:
        A model with only 2D layers. A 3D network takes (depth, height, width, channels) and returns feature maps of
        that layout, or as ``batch1.volume.layout`` says of the form; a 2D network takes (1, height, width, channels).

    Raises:
        RewriteError: if the model is not functional, has other than one input, or holds layers that no rule rewrites.
    """
    import export.rewrite.rules  # noqa: F401  (registers the rules on first use)

    patch = tuple(int(n) for n in patch)
    if not is_graph(model):
        raise RewriteError(
            f"{model.name}: found a {type(model).__name__}; accepted is a functional keras.Model: with "
            "image = keras.Input((*patch, channels)) give keras.Model(image, model(image))"
        )
    network = graph(model)
    if len(network.inputs) != 1:
        raise RewriteError(f"{model.name}: found {len(network.inputs)} inputs; accepted is one image")
    source = network.inputs[0]
    if len(source.shape) != len(patch) + 2 or len(patch) not in (2, 3):
        raise RewriteError(
            f"{model.name}: its input has {len(source.shape) - 2} spatial axes, patch {patch} has {len(patch)}; "
            "accepted are 2 or 3, the same for both"
        )
    walk = Walk(form or Form(), names={"image"})
    if walk.form.unit and len(patch) == 3:
        room = choice.GAIN_PER_WEIGHT * model.count_params()
        walk.budget = choice.planned(network, patch, walk.form.unit, room)
    shape = (*patch, source.shape[-1])
    image = keras.Input(batch_shape=volume.layout(walk.form.fold, shape), name="image", dtype="float32")
    outputs = _emit(network, [volume.carried(image, walk.form.fold, shape)], walk, "")
    if walk.problems:
        what = "" if walk.form.fold == "batch" else f" in the form {walk.form.fold!r}"
        raise RewriteError(f"{model.name} cannot be rewritten{what}: " + "; ".join(walk.problems))
    outputs = tree.map_structure(lambda value: volume.laid_out(value, walk.form.fold), outputs)
    naming.name(outputs, [image], "output", walk.names)
    return keras.Model(image, outputs, name=f"{model.name}_rewritten")


def _emit(model, inputs, walk, path):
    """Emit a functional model; its outputs, flat, or the only one."""
    tensors = {id(t): value for t, value in zip(model.inputs, inputs, strict=True)}
    folds, folded_nodes = batch_norm_folds(model)
    for node in nodes_in_order(model):
        operation = node.operation
        if id(node) in folded_nodes:
            outputs = tensors[id(node.input_tensors[0])]
        elif is_graph(operation):
            given = [tensors[id(t)] for t in node.input_tensors]
            outputs = _emit(graph(operation), given, walk, f"{path}{operation.name}.")
        else:
            outputs = _emit_one(node, tensors, folds.get(id(node)), walk, f"{path}{operation.name}")
        for source, value in zip(node.outputs, tree.flatten(outputs), strict=True):
            tensors[id(source)] = value
    results = [tensors[id(t)] for t in model.outputs]
    return results[0] if len(results) == 1 else results


def _emit_one(node, tensors, batch_norm, walk, path):
    """Emit one layer or operation; what cannot be is noted, and its output stood in for to find the next."""
    rank = max((len(t.shape) for t in node.input_tensors), default=0)
    emission = Emission(walk.form, rank, batch_norm, walk, node, tensors, path)
    operation = node.operation
    try:
        _check(operation)
        args, kwargs = _filled(node, tensors)
        outputs = on_blocks(operation, args, kwargs, emission) if walk.form.unit else None
        if outputs is None:
            outputs = _rule_for(operation, emission)(operation, args, kwargs, emission)
    except (ValueError, TypeError, InlineError) as error:
        reason = str(error).strip().splitlines()[0]
        walk.problem(reason if isinstance(error, RewriteError) else f"{naming.describe(operation, path)}: {reason}")
        return _stand_in(node, tensors, walk)
    before = volume.tensors_of([tensors[id(t)] for t in node.input_tensors])
    naming.name(volume.tensors_of(outputs), before, path, walk.names)
    return outputs


def _rule_for(operation, emission):
    """The rule of the form asked for; where no 3D feature map is touched, all forms are the same."""
    touched = [*emission.node.input_tensors, *emission.node.outputs]
    if emission.form.fold == "batch" or all(len(t.shape) < 5 for t in touched):
        return find_rule(operation) or _without_rule
    from export.rewrite.batch1.rules import rule_for  # registers the rules on first use

    return rule_for(operation)


def _filled(node, tensors):
    """A call's arguments with emitted tensors for the source's, and arrays for the constants and weights among them.

    A converter would take a constant that is a tensor for one more input.
    """

    def plain(value):
        constant = keras.ops.is_tensor(value) or isinstance(value, keras.Variable)
        return keras.ops.convert_to_numpy(value) if constant else value

    return tree.map_structure(plain, node.arguments.fill_in(tensors))


def _stand_in(node, tensors, walk):
    try:
        found = zip(placeholders(node, tensors), node.outputs, strict=True)
        return [volume.carried(t, walk.form.fold, t.shape) if len(o.shape) == 5 else t for t, o in found]
    except InlineError:
        raise RewriteError("; ".join([*walk.problems, "and maybe more behind it"])) from None


def _check(operation):
    if getattr(operation, "data_format", None) == "channels_first":
        raise ValueError("its data format is channels_first; accepted is channels_last")
    if getattr(operation, "quantization_mode", None) is not None:
        raise ValueError("Keras has quantized it; give the float network")


def _without_rule(operation, args, kwargs, emission):
    """A layer or operation without a rule: by what it is made of, or as it is where no 3D feature map is touched."""
    volume = any(len(t.shape) >= 5 for t in [*emission.node.input_tensors, *emission.node.outputs])
    if not isinstance(operation, keras.Layer):
        return whole(operation, args, kwargs, emission) if volume else naming.again(operation)(*args, **kwargs)
    if not volume and type(operation).__module__.startswith("keras."):
        return keep(operation, args, kwargs, emission)
    try:
        return emission.inlined()
    except InlineError as error:
        if not volume:
            return keep(operation, args, kwargs, emission)
        raise ValueError(
            f"has no rule, and its call cannot be followed ({error}); register one with export.rule"
        ) from None


def whole(operation, args, kwargs, emission):
    """Emit an operation on tensors of the source's own rank: exact for any that is not of two spatial axes."""
    args, kwargs = emission.unfolded()
    return emission.folded(naming.again(operation)(*args, **kwargs))


def keep(layer, args, kwargs, emission):
    """Emit a layer or operation as it is, with its own weights: for all that is the same on folded tensors."""
    if not isinstance(layer, keras.Layer):
        return naming.again(layer)(*args, **kwargs)
    kwargs = {key: value for key, value in kwargs.items() if key != "training" and value is not None}

    def make():
        config = layer.get_config()
        config["dtype"] = "float32"
        return type(layer).from_config(config)

    copy = emission.once((layer, "keep"), make)
    outputs = copy(*args, **kwargs)
    copy.set_weights(layer.get_weights())
    return outputs
