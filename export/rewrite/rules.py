"""Every built-in rule: importing this module registers them."""

from export.rewrite import conv, conv_transpose, merge, norm, operations, pool, resize, zoo_layers

__all__ = ["conv", "conv_transpose", "merge", "norm", "operations", "pool", "resize", "zoo_layers"]
