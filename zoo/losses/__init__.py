"""Losses from logits, for sparse or one-hot labels, in 2D and 3D, registered with Keras for saving."""

from zoo.errors import unknown
from zoo.losses.boundary import Boundary, Hausdorff
from zoo.losses.compound import DiceCE, DiceFocal
from zoo.losses.distribution import CrossEntropy, Focal, TopKCrossEntropy
from zoo.losses.instances import Instances
from zoo.losses.others import is_other, other_loss
from zoo.losses.region import Dice, FocalTversky, GeneralisedDice, Jaccard, Tversky
from zoo.losses.skeleton import ClDice, DiceClDice
from zoo.losses.supervision import DeepSupervision, deep_supervision
from zoo.losses.unified_focal import UnifiedFocal

_BY_NAME = {
    "dice": Dice,
    "generalised_dice": GeneralisedDice,
    "jaccard": Jaccard,
    "tversky": Tversky,
    "focal_tversky": FocalTversky,
    "cross_entropy": CrossEntropy,
    "focal": Focal,
    "top_k_cross_entropy": TopKCrossEntropy,
    "dice_ce": DiceCE,
    "dice_focal": DiceFocal,
    "unified_focal": UnifiedFocal,
    "boundary": Boundary,
    "hausdorff": Hausdorff,
    "cl_dice": ClDice,
    "dice_cl_dice": DiceClDice,
}

__all__ = [
    *(kind.__name__ for kind in _BY_NAME.values()),
    "DeepSupervision",
    "Instances",
    "deep_supervision",
    "get",
    "list_losses",
]


def list_losses() -> list[str]:
    """Names that ``get`` accepts."""
    return sorted(_BY_NAME)


def get(name: str, **options):
    """A loss by its name in snake case, for example ``get("dice_ce", ignore_class=255)``.

    Args:
        name: one of ``list_losses()``; or ``"keras:Name"`` for a class of ``keras.losses``; or ``"my_losses.py:name"``
            of a file that ``zoo.user_code.use_loss`` has run.
        **options: of the loss.

    Raises:
        ZooError: for an unknown name, or options that the loss does not take.
    """
    if is_other(name):
        return other_loss(name, **options)
    if name not in _BY_NAME:
        raise unknown("loss", name, [*sorted(_BY_NAME), "keras:Name", "my_losses.py:name"])
    return _BY_NAME[name](**options)
