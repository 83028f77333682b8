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
    "align": "grid",
    "axis_codes": "orientation",
    "onto": "resampling",
    "prepare": "recipe",
    "prepare_labels": "recipe",
    "read": "files",
    "read_labels": "files",
    "reorient": "orientation",
    "resample": "resampling",
    "restore": "recipe",
    "restore_classes": "recipe",
    "score_case": "scoring",
    "write": "files",
}
_MODULES = (
    "affine",
    "calibration",
    "cleaning",
    "cases",
    "components",
    "detection",
    "files",
    "grid",
    "image",
    "intensity",
    "interpolation",
    "jpeg",
    "labels",
    "masks",
    "nifti",
    "opencv",
    "orientation",
    "overlap",
    "picture",
    "png",
    "recipe",
    "regions",
    "resampling",
    "scan",
    "scoring",
    "surface",
    "tiff",
    "tiff_segments",
    "tiling",
    "volume",
)

__all__ = sorted([*_NAMES, *_MODULES])


def __getattr__(name):
    if name in _NAMES:
        module = _NAMES[name] if "." in _NAMES[name] else f"imaging.{_NAMES[name]}"
        return getattr(importlib.import_module(module), name)
    if name in _MODULES:
        return importlib.import_module(f"imaging.{name}")
    raise AttributeError(f"module 'imaging' has no attribute {name!r}")


def __dir__():
    return __all__
