"""Which rule makes a layer of blocks of slices."""

from collections.abc import Callable

from export.rewrite.registry import RULES

BLOCK_RULES: dict[type, Callable] = {}


def block_rule(*layer_types: type) -> Callable:
    """Register a function ``rule(layer, args, kwargs, emission) -> Blocks | None`` to be asked before the layer's rule.

    ``args`` are feature maps slice by slice; ``emission.blocks`` of one gives its blocks, if it is to be had so.
    """

    def register(function):
        BLOCK_RULES.update(dict.fromkeys(layer_types, function))
        return function

    return register


def on_blocks(operation, args, kwargs, emission):
    """The output of a layer by its rule on blocks of slices, slice by slice and remembered as blocks too, or None.

    What turns it into slices is left out of the network where every layer behind it takes the blocks.
    """
    own, rule = RULES.get(type(operation)), BLOCK_RULES.get(type(operation))
    if emission.rank != 5 or rule is None or not getattr(own, "__module__", "").startswith("export.rewrite."):
        return None  # a rule that a user registered comes first
    blocks = rule(operation, args, kwargs, emission)
    if blocks is None:
        return None
    plain = blocks.plain()
    if blocks.slices > 1:
        emission.walk.blocks[id(plain)] = plain, blocks
    return plain
