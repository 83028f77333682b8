"""Every built-in rule: importing this module registers them."""

import export.rewrite.blocks.rules  # noqa: F401
from export.rewrite import conv, conv_transpose, merge, norm, operations, pool, resize, zoo_layers

__all__ = ["conv", "conv_transpose", "merge", "norm", "operations", "pool", "resize", "zoo_layers"]
