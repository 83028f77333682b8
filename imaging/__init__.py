"""A scan and what one does to it: read, write, reorient, resample, prepare, tile, clean up, measure. No TensorFlow.

Names are loaded when first used, so that ``import imaging`` costs next to nothing.
"""

import importlib

from medseg.shadowing import guard

guard("imaging")

_NAMES = {
    "Clip": "recipe",
    "InputError": "medseg.errors",
    "Label": "labels",
    "Normalise": "recipe",
    "Recipe": "recipe",
    "Region": "labels",
    "Scan": "scan",
    "UsageError": "medseg.errors",
    "align": "geometry.grid",
    "axis_codes": "geometry.orientation",
    "onto": "geometry.resampling",
    "prepare": "recipe",
    "prepare_labels": "restoring",
    "read": "io.files",
    "read_labels": "io.files",
    "reorient": "geometry.orientation",
    "resample": "geometry.resampling",
    "restore": "restoring",
    "restore_classes": "restoring",
    "restore_objects": "restoring",
    "score_case": "measure.scoring",
    "score_objects": "measure.detection",
    "write": "io.files",
}
_MODULES = (
    "annotate",
    "classical",
    "filters",
    "geometry",
    "instances",
    "intensity",
    "io",
    "labels",
    "measure",
    "recipe",
    "scan",
    "tiling",
)

__all__ = sorted([*_NAMES, *_MODULES])


def __getattr__(name):
    if name in _NAMES:
        module = _NAMES[name] if _NAMES[name].startswith("medseg.") else f"imaging.{_NAMES[name]}"
        return getattr(importlib.import_module(module), name)
    if name in _MODULES:
        return importlib.import_module(f"imaging.{name}")
    raise AttributeError(f"module 'imaging' has no attribute {name!r}")


def __dir__():
    return __all__
