"""Every built-in rule: importing this module registers them."""

from export.rewrite import conv, conv_transpose, merge, norm, pool, resize

__all__ = ["conv", "conv_transpose", "merge", "norm", "pool", "resize"]
