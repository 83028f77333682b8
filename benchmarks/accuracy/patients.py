"""Dice of a patient whose slices are cases of their own: of all of them together, which is that of the volume."""

from collections.abc import Iterable


def patient_dice(slices: Iterable[tuple[str, float, float]]) -> dict[str, float]:
    """Dice by patient.

    Args:
        slices: (patient, Dice, area found plus area of the reference) of each slice; a slice without either counts
            nothing, whatever its Dice.
    """
    both, sizes = {}, {}
    for patient, dice, size in slices:
        both[patient] = both.get(patient, 0.0) + dice * size
        sizes[patient] = sizes.get(patient, 0.0) + size
    return {patient: both[patient] / sizes[patient] for patient in both if sizes[patient]}
