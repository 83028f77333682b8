"""Labels from few strokes: segmentation from points, boxes and scribbles, refinement, and filling between slices.

Functions without state, quick enough to answer while a person draws: a page or a viewer calls them with the scan and
all strokes so far. Names are loaded when first used.
"""

from medseg.packages.lazy import lazy_names

_NAMES = {
    "Annotation": "annotation",
    "annotate": "annotation",
    "fill_between": "slices",
    "refine": "refinement",
    "refine_labels": "refinement",
    "simulated_clicks": "clicks",
}

__getattr__, __dir__, __all__ = lazy_names(__name__, _NAMES)
