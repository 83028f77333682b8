"""The exact rewrite of a Keras segmentation network into 2D layers: depth folded into the batch axis, or batch 1."""

from export.rewrite.emission import Form, RewriteError
from export.rewrite.fit import check_fit
from export.rewrite.registry import rule
from export.rewrite.walk import rewrite

__all__ = ["Form", "RewriteError", "check_fit", "rewrite", "rule"]
