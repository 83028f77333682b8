"""Named sets of augmentation settings that mimic scanners and microscopes, for networks that must work elsewhere too.

They change intensities and resolution; rotation, scale and flips stay as they are. "robust" stacks all changes that no
modality rules out, stronger and oftener than nnU-Net's, after Zhang et al., Generalizing Deep Learning for Medical
Image Segmentation to Unseen Domains via Deep Stacked Transformation, IEEE TMI 2020, arXiv:1906.03347.
"""

import dataclasses

from medseg.errors import UsageError, expected_one_of
from train.planning.plan import Augmentation

PRESETS: dict[str, dict] = {
    "nnunet": {},  # the defaults of every setting
    "mr": {
        "bias_field_chance": 0.3,
        "offset_chance": 0.3,
        "contrast_chance": 0.3,
        "contrast": (0.65, 1.5),
        "gamma_chance": 0.4,
        "gamma": (0.6, 1.7),
        "noise_chance": 0.0,
        "rician_chance": 0.2,
        "low_resolution_chance": 0.3,
        "low_resolution": (0.4, 1.0),
    },
    "ct": {
        "noise_chance": 0.3,
        "noise": 0.4,
        "window_chance": 0.3,
        "sharpen_chance": 0.2,
        "blur_chance": 0.3,
        "blur": (0.5, 1.5),
        "gamma_inverted_chance": 0.0,
        "low_resolution_chance": 0.3,
    },
    "ultrasound": {
        "noise_chance": 0.0,
        "speckle_chance": 0.3,
        "gain_chance": 0.3,
        "attenuation_chance": 0.3,
        "gamma_chance": 0.4,
        "blur_chance": 0.3,
        "low_resolution_chance": 0.3,
        "low_resolution": (0.4, 1.0),
    },
    "microscopy": {
        "negative_chance": 0.3,
        "tint_chance": 0.4,
        "brightness_chance": 0.3,
        "brightness": (0.6, 1.4),
        "contrast_chance": 0.3,
        "contrast": (0.6, 1.4),
        "gamma_chance": 0.4,
        "gamma": (0.6, 1.7),
        "noise_chance": 0.2,
        "noise": 0.08,
        "blur_chance": 0.3,
        "blur": (0.5, 1.5),
        "low_resolution_chance": 0.25,
    },
    "robust": {
        "bias_field_chance": 0.2,
        "offset_chance": 0.3,
        "noise_chance": 0.3,
        "noise": 0.4,
        "blur_chance": 0.3,
        "blur": (0.5, 1.5),
        "sharpen_chance": 0.2,
        "brightness_chance": 0.3,
        "brightness": (0.6, 1.5),
        "contrast_chance": 0.3,
        "contrast": (0.6, 1.6),
        "gamma_chance": 0.4,
        "gamma": (0.5, 2.0),
        "low_resolution_chance": 0.4,
        "low_resolution": (0.35, 1.0),
        "window_chance": 0.1,
        "cutout_chance": 0.1,
    },
}


def with_preset(settings: Augmentation, name: str) -> Augmentation:
    """``settings`` with what a preset sets, and its name; what another preset had set is as without one.

    Raises:
        UsageError: if there is none of this name.
    """
    check_preset(name)
    earlier = {field: getattr(Augmentation(), field) for field in PRESETS.get(settings.preset, ())}
    return dataclasses.replace(settings, **(earlier | PRESETS[name]), preset=name)


def check_preset(name: str) -> None:
    """Require a preset of this name.

    Raises:
        UsageError: listing them.
    """
    if name not in PRESETS:
        raise UsageError(f"augmentation preset {name!r}: {expected_one_of(name, PRESETS)}")
