"""How large a mask is."""

import math

import numpy as np

from imaging.measure.overlap import as_masks


def volume_ml(mask: np.ndarray, spacing) -> float:
    """Volume of a 3D mask in millilitres.

    Args:
        mask: bool, 3 axes.
        spacing: voxel size in mm per axis.
    """
    return float(np.count_nonzero(mask) * math.prod(spacing) / 1000)


def area_mm2(mask: np.ndarray, spacing) -> float:
    """Area of a 2D mask in square millimetres; ``spacing`` in mm per axis."""
    return float(np.count_nonzero(mask) * math.prod(spacing))


def volume_difference(prediction: np.ndarray, reference: np.ndarray) -> float:
    """Relative volume difference (|P| - |R|) / |R|: negative where too little was found.

    Args:
        prediction: bool mask of any shape.
        reference: bool mask of the same shape.

    Returns:
        0 if both are empty, infinity if only the reference is.

    Raises:
        InputError: if the shapes differ.
    """
    predicted, referred = (int(np.count_nonzero(m)) for m in as_masks(prediction, reference))
    if not referred:
        return math.inf if predicted else 0.0
    return (predicted - referred) / referred
