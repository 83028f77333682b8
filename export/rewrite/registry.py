"""Which rule rewrites which layer."""

from collections.abc import Callable

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

    Example:
        >>> @export.rule(Swish3D)
        ... def swish(layer, args, kwargs, emission):
        ...     return keras.ops.silu(args[0])
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
