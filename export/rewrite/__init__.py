"""The exact rewrite of a Keras segmentation network into 2D layers: depth folded into the batch axis, or batch 1."""

from export.rewrite.fit import check_fit
from export.rewrite.graph import Form, RewriteError, rewrite
from export.rewrite.registry import rule

__all__ = ["Form", "RewriteError", "check_fit", "rewrite", "rule"]
