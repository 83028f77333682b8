"""Every rule of the layouts of batch 1: importing this module registers them."""

import keras

from export.rewrite.batch1 import combine, conv, pointwise, pool, reshape, transpose
from export.rewrite.inline import InlineError
from export.rewrite.registry import POINTWISE, VOLUME_RULES, find_rule

__all__ = ["combine", "conv", "pointwise", "pool", "reshape", "rule_for", "transpose"]


def rule_for(operation):
    """The rule for a layer or operation that takes or gives a 3D feature map."""
    if type(operation) in POINTWISE:
        return pointwise.on_image
    return find_rule(operation, VOLUME_RULES) or _without_rule


def _without_rule(operation, args, kwargs, emission):
    """A layer without a rule: by what it is made of."""
    reason = f"has no rule in the layout {emission.layout.fold!r}; the layout 'batch' takes it"
    if isinstance(operation, keras.Layer) and find_rule(operation) is None:
        try:
            return emission.inlined()
        except InlineError as error:
            reason = f"has no rule, and its call cannot be followed ({error}); register one with export.rule"
    raise ValueError(reason)
