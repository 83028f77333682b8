"""Augmentations by preset, name and chance, as ``zoo train --augment mr,cutout=0.3`` gives them."""

import dataclasses

from medseg.errors import UsageError
from train.input.augmentation_presets import PRESETS, check_preset, with_preset
from train.planning.plan import Augmentation

_SUFFIX = "_chance"
NAMES = tuple(f.name.removesuffix(_SUFFIX) for f in dataclasses.fields(Augmentation) if f.name.endswith(_SUFFIX))
"""The augmentations that have a chance."""


def augmented(settings: Augmentation, text: str) -> Augmentation:
    """``settings`` with what a text says: a preset, chances, or a preset and then chances.

    Raises:
        UsageError: for an unknown preset or augmentation, or no number from 0 to 1.
    """
    first, _, rest = text.partition(",")
    if "=" in first:
        return with_chances(settings, **parse_chances(text))
    if first.strip() in NAMES:
        raise UsageError(f"augmentation {first!r}: expected its chance too, such as {first.strip()}=0.2")
    check_preset(first.strip())
    settings = with_preset(settings, first.strip())
    return with_chances(settings, **parse_chances(rest)) if rest.strip() else settings


def parse_chances(text: str) -> dict[str, float]:
    """The chances in a text such as "bias_field=0.2,mixup=0.5".

    Raises:
        UsageError: for what is no augmentation's name or no number from 0 to 1.
    """
    chances = {}
    for part in text.split(","):
        name, _, value = part.partition("=")
        try:
            chances[name.strip()] = float(value)
        except ValueError:
            raise UsageError(
                f"augmentation {part!r}: expected a name and its chance, such as bias_field=0.2; names are "
                f"{', '.join(NAMES)}; presets, which come first, {', '.join(PRESETS)}"
            ) from None
    with_chances(Augmentation(), **chances)
    return chances


def with_chances(settings: Augmentation, **chances: float) -> Augmentation:
    """``settings`` with other chances, for example ``with_chances(settings, bias_field=0.2, mixup=0.5)``.

    Raises:
        UsageError: for a name that is no augmentation's, or a chance that is not from 0 to 1.
    """
    for name, chance in chances.items():
        if name not in NAMES:
            raise UsageError(f"augmentation {name!r}: there is none of this name; expected one of {', '.join(NAMES)}")
        if not 0 <= chance <= 1:
            raise UsageError(f"augmentation {name}={chance:g}: expected a chance from 0 to 1")
    return dataclasses.replace(settings, **{name + _SUFFIX: chance for name, chance in chances.items()})
