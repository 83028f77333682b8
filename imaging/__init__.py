"""A scan and what one does to it: read, write, reorient, resample, prepare, tile, clean up, measure. No TensorFlow.

Names are loaded when first used, so that ``import imaging`` costs next to nothing.
"""

from medseg.packages.lazy import lazy_names
from medseg.packages.shadowing import guard

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

__getattr__, __dir__, __all__ = lazy_names(__name__, _NAMES, _MODULES)
