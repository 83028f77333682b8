"""Segmentation without a network: thresholds, regions, graphs, clusters, contours and atlases, by one call.

>>> labels = imaging.classical.segment(scan, "otsu", smooth_mm=1.0)

Names are loaded when first used; the libraries behind a method when it runs.
"""

from medseg.packages.lazy import lazy_names

_NAMES = {
    "METHODS": "registry",
    "Method": "entry",
    "Parameter": "entry",
    "Seeds": "seeds.drawing",
    "Stroke": "seeds.strokes",
    "get": "registry",
    "names": "registry",
    "read_strokes": "seeds.strokes",
    "segment": "segmentation",
    "staple": "fusion",
    "strokes_from": "seeds.strokes",
}

__getattr__, __dir__, __all__ = lazy_names(__name__, _NAMES)
