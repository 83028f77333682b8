"""Losses from logits, for sparse or one-hot labels, in 2D and 3D, registered with Keras for saving."""

from zoo.errors import unknown
from zoo.losses.compound import DiceCE, DiceFocal
from zoo.losses.distribution import CrossEntropy, Focal
from zoo.losses.region import Dice

_BY_NAME = {
    "dice": Dice,
    "cross_entropy": CrossEntropy,
    "focal": Focal,
    "dice_ce": DiceCE,
    "dice_focal": DiceFocal,
}

__all__ = [*(kind.__name__ for kind in _BY_NAME.values()), "get", "list_losses"]


def list_losses() -> list[str]:
    """Names that ``get`` accepts."""
    return sorted(_BY_NAME)


def get(name: str, **options):
    """A loss by its name in snake case, for example ``get("dice_ce", ignore_label=255)``.

    Raises:
        ZooError: for an unknown name.
    """
    if name not in _BY_NAME:
        raise unknown("loss", name, sorted(_BY_NAME))
    return _BY_NAME[name](**options)
