"""The exact rewrite of a Keras segmentation network into 2D layers: depth folded into the batch axis, or batch 1.

Names are loaded when first used: what a layout may be called is checked without Keras.
"""

from medseg.packages.lazy import lazy_names

_NAMES = {
    "Layout": "emission",
    "RewriteError": "emission",
    "check_fit": "fit",
    "check_weights": "fit",
    "rewrite": "walk",
    "rule": "registry",
}

__getattr__, __dir__, __all__ = lazy_names(__name__, _NAMES)
