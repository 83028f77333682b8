"""Walks a Keras functional model and re-emits it layer by layer, by the rule registered for each layer type."""

from collections.abc import Sequence

import keras
from keras import tree

from export.rewrite import naming
from export.rewrite.batch1 import volume
from export.rewrite.batch1.rules import rule_for
from export.rewrite.blocks import choice
from export.rewrite.blocks.registry import on_blocks
from export.rewrite.emission import Emission, Layout, RewriteError, Walk, filled, keep, whole
from export.rewrite.folding import batch_norm_folds, nodes_in_order
from export.rewrite.inline import InlineError, placeholders
from export.rewrite.rules.builtin import find_rule
from zoo.internals.keras import functional, is_functional, unlinked


def rewrite(model: keras.Model, patch: Sequence[int], layout: Layout | None = None) -> keras.Model:
    """Rewrite a Keras model for inference on one patch; equal to it up to float rounding.

    Args:
        model: functional or sequential model with one input (batch, *spatial, channels), two or three spatial axes.
        patch: spatial size of the patch, voxels.
        layout: which exact layout to emit; default ``Layout()``.

    Returns:
        A model with only 2D layers. A 3D network takes (depth, height, width, channels) and returns feature maps of
        that layout, or as ``batch1.volume.layout`` says; a 2D network takes (1, height, width, channels).

    Raises:
        RewriteError: if the model is not functional, has other than one input, or holds layers that no rule rewrites.
    """
    patch = tuple(int(n) for n in patch)
    if not is_functional(model):
        raise RewriteError(
            f"{model.name}: expected a functional keras.Model, got a {type(model).__name__}; with "
            "image = keras.Input((*patch, channels)) give keras.Model(image, model(image))"
        )
    network = functional(model)
    if len(network.inputs) != 1:
        raise RewriteError(
            f"{model.name}: expected one input, the image, got {len(network.inputs)}; give a model of one"
        )
    source = network.inputs[0]
    if len(source.shape) != len(patch) + 2 or len(patch) not in (2, 3):
        raise RewriteError(
            f"{model.name}: its input has {len(source.shape) - 2} spatial axes, patch {patch} has {len(patch)}; "
            "expected 2 or 3, the same for both"
        )
    walk = Walk(layout or Layout(), _emit, names={"image"})
    if walk.layout.unit and len(patch) == 3:
        room = choice.GAIN_PER_WEIGHT * model.count_params()
        walk.budget = choice.planned(network, patch, walk.layout.unit, room)
    shape = (*patch, source.shape[-1])
    image = keras.Input(batch_shape=volume.layout(walk.layout.fold, shape), name="image", dtype="float32")
    outputs = _emit(network, [volume.carried(image, walk.layout.fold, shape)], walk, "")
    if walk.problems:
        in_layout = "" if walk.layout.fold == "batch" else f" in the layout {walk.layout.fold!r}"
        raise RewriteError(f"{model.name} cannot be rewritten{in_layout}: " + "; ".join(walk.problems))
    outputs = tree.map_structure(lambda value: volume.laid_out(value, walk.layout.fold), outputs)
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
        elif is_functional(operation):
            given = [tensors[id(t)] for t in node.input_tensors]
            outputs = _emit(functional(operation), given, walk, f"{path}{operation.name}.")
        else:
            outputs = _emit_one(node, tensors, folds.get(id(node)), walk, f"{path}{operation.name}")
        for source, value in zip(node.outputs, tree.flatten(outputs), strict=True):
            tensors[id(source)] = value
    results = [tensors[id(t)] for t in model.outputs]
    return results[0] if len(results) == 1 else results


def _emit_one(node, tensors, batch_norm, walk, path):
    """Emit one layer or operation; what cannot be is noted, and its output stood in for to find the next."""
    rank = max((len(t.shape) for t in node.input_tensors), default=0)
    emission = Emission(walk.layout, rank, batch_norm, walk, node, tensors, path)
    operation = node.operation
    try:
        _check(operation)
        args, kwargs = filled(node, tensors)
        outputs = on_blocks(operation, args, kwargs, emission) if walk.layout.unit else None
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
    """The rule of the layout asked for; where no 3D feature map is touched, all layouts are the same."""
    touched = [*emission.node.input_tensors, *emission.node.outputs]
    if emission.layout.fold == "batch" or all(len(t.shape) < 5 for t in touched):
        return find_rule(operation) or _without_rule
    return rule_for(operation)


def _stand_in(node, tensors, walk):
    try:
        pairs = zip(placeholders(node, tensors), node.outputs, strict=True)
        return [volume.carried(t, walk.layout.fold, t.shape) if len(o.shape) == 5 else t for t, o in pairs]
    except InlineError:
        raise RewriteError("; ".join([*walk.problems, "and maybe more behind it"])) from None


def _check(operation):
    if getattr(operation, "data_format", None) == "channels_first":
        raise ValueError("its data format is channels_first; expected channels_last")
    if getattr(operation, "quantization_mode", None) is not None:
        raise ValueError("Keras has quantized it; give the float network")


def _without_rule(operation, args, kwargs, emission):
    """A layer or operation without a rule: by what it is made of, or as it is where no 3D feature map is touched."""
    volume = any(len(t.shape) >= 5 for t in [*emission.node.input_tensors, *emission.node.outputs])
    if not isinstance(operation, keras.Layer):
        return whole(operation, args, kwargs, emission) if volume else unlinked(operation)(*args, **kwargs)
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
