"""Sums of a region loss and a voxel loss."""

import keras

from zoo.losses.base import SegmentationLoss
from zoo.losses.distribution import CrossEntropy, Focal
from zoo.losses.region import Dice


@keras.saving.register_keras_serializable(package="medseg", name="DiceCELoss")
class DiceCE(SegmentationLoss):
    """Dice plus cross-entropy, the loss of nnU-Net. Isensee et al., Nature Methods 2021, arXiv:1809.10486.

    With ``activation="sigmoid"`` or ``regions`` it is Dice plus binary cross-entropy, nnU-Net's loss of regions.

    Cross-entropy always counts the background, or nothing would be pushed away from the foreground.

    Args:
        include_background: let class 0 count in Dice as well.
        dice_weight: factor of Dice.
        ce_weight: factor of cross-entropy.
        squared: see ``Dice``.
        batch: see ``Dice``.
        smooth: see ``Dice``.
        label_smoothing: see ``CrossEntropy``.
        positive_weights: see ``CrossEntropy``.
        **options: those of ``SegmentationLoss``.

    Example:
        >>> model.compile("adamw", loss=zoo.losses.DiceCE(), metrics=[zoo.metrics.Dice(3)])
    """

    def __init__(
        self,
        include_background=False,
        dice_weight=1.0,
        ce_weight=1.0,
        squared=False,
        batch=False,
        smooth=1e-5,
        label_smoothing=0.0,
        positive_weights=None,
        name="dice_ce",
        **options,
    ):
        super().__init__(include_background=include_background, name=name, **options)
        self.dice_weight = dice_weight
        self.ce_weight = ce_weight
        shared = self.shared()
        self.dice = Dice(include_background, squared, batch, smooth, **shared)
        self.ce = CrossEntropy(label_smoothing=label_smoothing, positive_weights=positive_weights, **shared)

    def per_sample(self, targets):
        return self.dice_weight * self.dice.per_sample(targets) + self.ce_weight * self.ce.per_sample(targets)

    def get_config(self):
        return {
            **super().get_config(),
            "dice_weight": self.dice_weight,
            "ce_weight": self.ce_weight,
            "squared": self.dice.squared,
            "batch": self.dice.batch,
            "smooth": self.dice.smooth,
            "label_smoothing": self.ce.label_smoothing,
            "positive_weights": self.ce.positive_weights,
        }


@keras.saving.register_keras_serializable(package="medseg", name="DiceFocalLoss")
class DiceFocal(SegmentationLoss):
    """Dice plus focal loss. Zhu et al., Medical Physics 2019, arXiv:1808.05238 (AnatomyNet).

    The focal loss always counts the background, or nothing would be pushed away from the foreground.

    Args:
        include_background: let class 0 count in Dice as well.
        dice_weight: factor of Dice.
        focal_weight: factor of the focal loss.
        squared: see ``Dice``.
        batch: see ``Dice``.
        smooth: see ``Dice``.
        gamma: see ``Focal``.
        alpha: see ``Focal``.
        **options: those of ``SegmentationLoss``.
    """

    def __init__(
        self,
        include_background=False,
        dice_weight=1.0,
        focal_weight=1.0,
        squared=False,
        batch=False,
        smooth=1e-5,
        gamma=2.0,
        alpha=None,
        name="dice_focal",
        **options,
    ):
        super().__init__(include_background=include_background, name=name, **options)
        self.dice_weight = dice_weight
        self.focal_weight = focal_weight
        shared = self.shared()
        self.dice = Dice(include_background, squared, batch, smooth, **shared)
        self.focal = Focal(gamma, alpha, **shared)

    def per_sample(self, targets):
        return self.dice_weight * self.dice.per_sample(targets) + self.focal_weight * self.focal.per_sample(targets)

    def get_config(self):
        return {
            **super().get_config(),
            "dice_weight": self.dice_weight,
            "focal_weight": self.focal_weight,
            "squared": self.dice.squared,
            "batch": self.dice.batch,
            "smooth": self.dice.smooth,
            "gamma": self.focal.gamma,
            "alpha": self.focal.alpha,
        }
