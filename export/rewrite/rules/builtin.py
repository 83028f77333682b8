"""Every built-in rule: importing this module registers them, so that ``find_rule`` from here knows them all."""

from export.rewrite.blocks import rules as blocks
from export.rewrite.registry import find_rule
from export.rewrite.rules import conv, conv_transpose, merge, norm, operations, pool, resize, zoo_layers

__all__ = [
    "blocks",
    "conv",
    "conv_transpose",
    "find_rule",
    "merge",
    "norm",
    "operations",
    "pool",
    "resize",
    "zoo_layers",
]
