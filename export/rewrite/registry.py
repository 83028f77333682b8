"""Which rule rewrites which layer."""

from collections.abc import Callable

RULES: dict[type, Callable] = {}
VOLUME_RULES: dict[type, Callable] = {}
FOLDABLE: set[type] = set()
POINTWISE: set[type] = set()


def rule(*layer_types: type, folds_batch_norm: bool = False, pointwise: bool = False) -> Callable:
    """Register a function ``rule(layer, args, kwargs, emission) -> tensor`` for layer types.

    ``args`` and ``kwargs`` are the layer's call arguments with every source tensor replaced by its emitted one. A 3D
    feature map (1, depth, height, width, channels) arrives as (depth, height, width, channels), and must be returned
    so; every other tensor keeps its axes, with batch 1. A sub-class uses its parent's rule only if it has none itself
    and does not override ``call``.

    Args:
        layer_types: Keras layer or operation classes.
        folds_batch_norm: the rule multiplies ``emission.batch_norm`` into the layer's weights.
        pointwise: the rule treats all voxels alike, so that it serves the layouts of batch 1 too, where a feature map
            arrives as (1, depth × height, width, channels).

    Example:
        >>> @export.rule(Swish3D, pointwise=True)
        ... def swish(layer, args, kwargs, emission):
        ...     return keras.ops.silu(args[0])
    """

    def register(function):
        for layer_type in layer_types:
            RULES[layer_type] = function
            if folds_batch_norm:
                FOLDABLE.add(layer_type)
            if pointwise:
                POINTWISE.add(layer_type)
        return function

    return register


def volume_rule(*layer_types: type, folds_batch_norm: bool = False) -> Callable:
    """Register a rule for 3D feature maps in the layouts of batch 1, which take and return ``batch1.volume.Volume``s.

    Arguments as for ``rule``.
    """

    def register(function):
        VOLUME_RULES.update(dict.fromkeys(layer_types, function))
        FOLDABLE.update(layer_types if folds_batch_norm else ())
        return function

    return register


def find_rule(operation, rules: dict[type, Callable] = RULES) -> Callable | None:
    """The rule for a layer or operation among ``rules``, or None."""
    for kind in type(operation).__mro__:
        if kind in rules:
            return rules[kind] if kind.call is type(operation).call else None
    return None
