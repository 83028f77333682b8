"""Segmentation without a network: thresholds, regions, graphs, clusters, contours and atlases, by one call.

>>> labels = imaging.classical.segment(scan, "otsu", smooth_mm=1.0)

Names are loaded when first used; the libraries behind a method when it runs.
"""

import importlib

_NAMES = {
    "METHODS": "registry",
    "Method": "entry",
    "Parameter": "entry",
    "Seeds": "seeds.strokes",
    "Stroke": "seeds.strokes",
    "get": "registry",
    "names": "registry",
    "read_strokes": "seeds.strokes",
    "segment": "segmentation",
    "staple": "fusion",
    "strokes_from": "seeds.strokes",
}

__all__ = sorted(_NAMES)


def __getattr__(name):
    if name in _NAMES:
        return getattr(importlib.import_module(f"imaging.classical.{_NAMES[name]}"), name)
    raise AttributeError(f"module 'imaging.classical' has no attribute {name!r}")


def __dir__():
    return __all__
