"""The exact rewrite of a Keras segmentation network into 2D layers: depth folded into the batch axis, or batch 1.

Names are loaded when first used: what a layout may be called is checked without Keras.
"""

import importlib

_NAMES = {
    "Layout": "emission",
    "RewriteError": "emission",
    "check_fit": "fit",
    "check_weights": "fit",
    "rewrite": "walk",
    "rule": "registry",
}

__all__ = sorted(_NAMES)


def __getattr__(name):
    if name in _NAMES:
        return getattr(importlib.import_module(f"export.rewrite.{_NAMES[name]}"), name)
    raise AttributeError(f"module 'export.rewrite' has no attribute {name!r}")


def __dir__():
    return __all__
