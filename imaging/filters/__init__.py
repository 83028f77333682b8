"""Filters of scans, 2D and 3D, in millimetres: a file a family, one registry, and the steps of a recipe.

>>> smooth = imaging.filters.apply(scan, "gaussian", sigma_mm=1.5)
"""

from imaging.filters.registry import FILTERS, get, names
from imaging.filters.steps import FilterStep, apply, apply_steps, check_steps, parse_step

__all__ = ["FILTERS", "FilterStep", "apply", "apply_steps", "check_steps", "get", "names", "parse_step"]
