"""Labels from few strokes: segmentation from points, boxes and scribbles, refinement, and filling between slices.

Functions without state, quick enough to answer while a person draws: a page or a viewer calls them with the scan and
all strokes so far. Names are loaded when first used.
"""

import importlib

_NAMES = {
    "Annotation": "annotation",
    "annotate": "annotation",
    "fill_between": "slices",
    "refine": "refinement",
    "refine_labels": "refinement",
    "simulated_clicks": "clicks",
}

__all__ = sorted(_NAMES)


def __getattr__(name):
    if name in _NAMES:
        return getattr(importlib.import_module(f"imaging.annotate.{_NAMES[name]}"), name)
    raise AttributeError(f"module 'imaging.annotate' has no attribute {name!r}")


def __dir__():
    return __all__
