"""Walks a Keras functional model and re-emits it layer by layer, one registered rule a layer type."""

from collections.abc import Callable
from dataclasses import dataclass, field

import keras
from keras import tree

from imaging.errors import InputError


class RewriteError(InputError):
    """A network has layers that no rule rewrites; the message lists all of them with the reason."""


@dataclass(frozen=True)
class Form:
    """Which of several exact forms the rules emit.

    Attributes:
        subpixel: a transposed convolution becomes a convolution and a depth-to-space step, for runtimes without an
            int8 transposed convolution (ONNX Runtime); False keeps it a transposed convolution.
    """

    subpixel: bool = False


@dataclass
class Emission:
    """What a rule may know beside its layer and inputs.

    Attributes:
        form: the form asked for.
        rank: rank of the layer's first input in the source network (5 for a 3D feature map).
        batch_norm: the batch normalisation to fold into this layer, or None.
        shared: layers already emitted, by source layer, so that a shared layer is emitted with shared weights.
    """

    form: Form
    rank: int
    batch_norm: keras.Layer | None = None
    shared: dict = field(default_factory=dict)

    def once(self, key, make: Callable[[], keras.Layer]) -> keras.Layer:
        """The emitted layer for ``key``, made on its first use."""
        key = (*key, id(self.batch_norm))
        if key not in self.shared:
            self.shared[key] = make()
        return self.shared[key]


RULES: dict[type, Callable] = {}
FOLDABLE: set[type] = set()


def rule(*layer_types: type, folds_batch_norm: bool = False) -> Callable:
    """Register a function ``rule(layer, args, kwargs, emission) -> tensor`` for layer types.

    ``args`` and ``kwargs`` are the layer's call arguments with every source tensor replaced by its emitted one. A 3D
    feature map (1, depth, height, width, channels) arrives as (depth, height, width, channels), and must be returned
    so; every other tensor keeps its axes, with batch 1. A sub-class uses its parent's rule only if it has none itself
    and does not override ``call``.

    Args:
        layer_types: Keras layer or operation classes.
        folds_batch_norm: the rule multiplies ``emission.batch_norm`` into the layer's weights.
    """

    def register(function):
        for layer_type in layer_types:
            RULES[layer_type] = function
            if folds_batch_norm:
                FOLDABLE.add(layer_type)
        return function

    return register


def find_rule(operation) -> Callable | None:
    """The rule for a layer or operation, or None."""
    for kind in type(operation).__mro__:
        if kind in RULES:
            return RULES[kind] if kind.call is type(operation).call else None
    return None


def rewrite(model: keras.Model, patch: tuple[int, ...], form: Form | None = None) -> keras.Model:
    """Rewrite a functional Keras model for inference on one patch; equal to it up to float rounding.

    Args:
        model: functional model with one input (batch, *spatial, channels), two or three spatial axes.
        patch: spatial size of the patch, voxels.
        form: which exact form to emit; default ``Form()``.

    Returns:
        A model with only 2D layers. A 3D network takes (depth, height, width, channels) and returns feature maps of
        that layout; a 2D network takes (1, height, width, channels).

    Raises:
        RewriteError: if the model is not functional, has other than one input, or holds layers without a rule.
    """
    import export.rewrite.rules  # noqa: F401  (registers the rules on first use)

    form = form or Form()
    if not isinstance(model, keras.src.models.functional.Functional):
        raise RewriteError(f"{model.name}: found a {type(model).__name__}; accepted is a functional keras.Model")
    if len(model.inputs) != 1:
        raise RewriteError(f"{model.name}: found {len(model.inputs)} inputs; accepted is one image")
    source = model.inputs[0]
    if len(source.shape) != len(patch) + 2:
        raise RewriteError(
            f"{model.name}: its input has {len(source.shape) - 2} spatial axes, patch {tuple(patch)} has {len(patch)}"
        )
    problems = list(_unsupported(model))
    if problems:
        raise RewriteError(f"{model.name} cannot be rewritten: " + "; ".join(problems))

    channels = source.shape[-1]
    folded = len(patch) == 3
    batch_shape = (*patch, channels) if folded else (1, *patch, channels)
    image = keras.Input(batch_shape=batch_shape, name="image", dtype="float32")
    outputs = _emit(model, [image], form, {})
    return keras.Model(image, outputs, name=f"{model.name}_rewritten")


def nodes_in_order(model) -> list:
    """The graph nodes of a functional model, inputs first."""
    depths = sorted(model._nodes_by_depth, reverse=True)
    return [node for depth in depths for node in model._nodes_by_depth[depth] if not node.is_input]


def _is_model(operation) -> bool:
    return isinstance(operation, keras.src.models.functional.Functional) or (
        isinstance(operation, keras.Sequential) and operation._functional is not None
    )


def _inner(operation):
    return operation._functional if isinstance(operation, keras.Sequential) else operation


def _unsupported(model):
    for node in nodes_in_order(model):
        operation = node.operation
        if _is_model(operation):
            yield from _unsupported(_inner(operation))
        elif find_rule(operation) is None and _touches_volume(node):
            yield f"layer {operation.name} ({type(operation).__name__}) has no rule; register one with export.rule"


def _touches_volume(node) -> bool:
    tensors = [*node.input_tensors, *node.outputs]
    return any(len(t.shape) >= 5 for t in tensors)


def _emit(model, inputs, form, shared):
    tensors = {id(t): value for t, value in zip(model.inputs, inputs, strict=True)}
    folds, folded_nodes = _batch_norm_folds(model)
    for node in nodes_in_order(model):
        operation = node.operation
        args, kwargs = node.arguments.fill_in(tensors)
        if _is_model(operation):
            flat = tree.flatten(args[0] if len(args) == 1 else args)
            outputs = _emit(_inner(operation), flat, form, shared)
        elif id(node) in folded_nodes:
            outputs = args[0]
        else:
            rank = max((len(t.shape) for t in node.input_tensors), default=0)
            emission = Emission(form, rank, folds.get(id(node)), shared)
            emit = find_rule(operation) or keep
            outputs = emit(operation, args, kwargs, emission)
        for source, value in zip(node.outputs, tree.flatten(outputs), strict=True):
            tensors[id(source)] = value
    results = [tensors[id(t)] for t in model.outputs]
    return results[0] if len(results) == 1 else results


def _batch_norm_folds(model) -> tuple[dict, set]:
    """Convolutions whose only consumer is a batch normalisation: {convolution node: layer}, and the nodes left out."""
    consumers: dict[int, list] = {}
    for node in nodes_in_order(model):
        for tensor in node.input_tensors:
            consumers.setdefault(id(tensor), []).append(node)
    results = {id(t) for t in model.outputs}
    folds, dropped = {}, set()
    for node in nodes_in_order(model):
        layer = node.operation
        if type(layer) not in FOLDABLE or getattr(layer, "activation", None) not in (None, keras.activations.linear):
            continue
        output = node.outputs[0]
        users = consumers.get(id(output), [])
        if id(output) in results or len(users) != 1:
            continue
        follower = users[0].operation
        if type(follower) is keras.layers.BatchNormalization and follower.axis in (-1, len(output.shape) - 1):
            folds[id(node)] = follower
            dropped.add(id(users[0]))
    return folds, dropped


def keep(layer, args, kwargs, emission):
    """Emit a layer or operation as it is, with its own weights: for all that is the same on folded tensors."""
    if not isinstance(layer, keras.Layer):
        return layer(*args, **kwargs)
    kwargs = {key: value for key, value in kwargs.items() if key not in ("training", "mask")}

    def make():
        config = layer.get_config()
        config["dtype"] = "float32"
        return type(layer).from_config(config)

    copy = emission.once((id(layer), "keep"), make)
    outputs = copy(*args, **kwargs)
    copy.set_weights(layer.get_weights())
    return outputs
