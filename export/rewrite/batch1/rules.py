"""Every rule of the forms of batch 1: importing this module registers them."""

from export.rewrite.batch1 import combine, conv, pointwise, pool, reshape, transpose

__all__ = ["combine", "conv", "pointwise", "pool", "reshape", "transpose"]
