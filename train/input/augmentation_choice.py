"""Which augmentation a plan takes, by what its scans show."""

from train.input.augmentation_presets import with_preset
from train.input.modality import is_mr
from train.planning.plan import Augmentation

# Objects have no up and down, and scans of them differ in magnification; noise is of intensities from 0 to 1.
OBJECTS = Augmentation(
    rotation_chance=0.4,
    scale_chance=0.4,
    scale=(0.6, 1.6),
    noise=0.08,
    brightness=(0.7, 1.3),
    contrast=(0.7, 1.3),
    gamma_chance=0.4,
    gamma=(0.6, 1.7),
)
# Brightest over darkest place of a scan's smooth field: 2.9 in cardiac MR, where the preset paid, and 1.7 in boxes cut
# around the hippocampus, where it cost a little.
UNEVEN = 2.0


def plan_augmentation(measured: dict, instances: bool, reasons: dict[str, str]) -> Augmentation:
    """The augmentation of a dataset's scans.

    Args:
        measured: the fingerprint, of which ``channels`` and ``quality`` count.
        instances: whether labels are objects, each with a value of its own.
        reasons: gets the reason, where there is one.

    Returns:
        The settings: those of objects; the preset "mr" for MR of uneven brightness; nnU-Net's otherwise.
    """
    if instances:
        reasons["augmentation"] = "objects: turned and magnified more, less noise"
        return OBJECTS
    channels, bias = measured["channels"], measured.get("quality", {}).get("bias", 1.0)
    if is_mr(channels):
        if bias >= UNEVEN:
            reasons["augmentation"] = (
                f"preset mr: the median scan is {bias:.1f} times as bright in one place as in another, at least "
                f"{UNEVEN:g}: the level of a tissue differs from scan to scan"
            )
            return with_preset(Augmentation(), "mr")
        reasons["augmentation"] = (
            f"as nnU-Net: the median scan is {bias:.1f} times as bright in one place as in another, below {UNEVEN:g}"
        )
    return Augmentation()
