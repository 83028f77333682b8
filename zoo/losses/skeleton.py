"""Losses of centre lines, for vessels and other tubes."""

import keras
from keras import ops

from zoo.losses.base import SegmentationLoss, require
from zoo.losses.region import Dice


@keras.saving.register_keras_serializable(package="medseg", name="ClDiceLoss")
class ClDice(SegmentationLoss):
    """Soft centre-line Dice: are the skeletons inside the other mask?

    Shit et al., CVPR 2021, arXiv:2003.07311. Equal to MONAI's ``SoftclDiceLoss(softmax=True)``.

    Args:
        iterations: of soft thinning; at least the radius of the thickest tube, in voxels.
        smooth: added above and below each share.
        include_background: let class 0 count as well.
        **options: those of ``SegmentationLoss``.
    """

    def __init__(self, iterations=3, smooth=1.0, include_background=False, name="cl_dice", **options):
        super().__init__(include_background=include_background, name=name, **options)
        require(isinstance(iterations, int) and iterations >= 0, self.name, "iterations", iterations, "0, 1, 2, ...")
        require(smooth >= 0, self.name, "smooth", smooth, "0 or more")
        self.iterations = iterations
        self.smooth = smooth

    def per_sample(self, targets):
        truth, guess = self.kept(targets.one_hot), self.kept(targets.probabilities)
        precision = self._share(soft_skeleton(guess, self.iterations), truth, targets)
        sensitivity = self._share(soft_skeleton(truth, self.iterations), guess, targets)
        return 1 - 2 * precision * sensitivity / (precision + sensitivity + 1e-4)

    def _share(self, skeleton, mask, targets):
        """How much of a skeleton lies in a mask, all classes together, (batch,)."""

        def total(values):
            return ops.sum(self.weighted(ops.sum(targets.counted(values), axis=targets.axes)), axis=-1)

        return (total(skeleton * mask) + self.smooth) / (total(skeleton) + self.smooth)

    def get_config(self):
        return {**super().get_config(), "iterations": self.iterations, "smooth": self.smooth}


@keras.saving.register_keras_serializable(package="medseg", name="DiceClDiceLoss")
class DiceClDice(SegmentationLoss):
    """(1 - alpha) Dice + alpha centre-line Dice, as trained with in the paper of ``ClDice``.

    Equal to MONAI's ``SoftDiceclDiceLoss(softmax=True)``.

    Args:
        alpha: share of the centre-line part, 0 to 1.
        iterations: see ``ClDice``.
        smooth: of both parts.
        include_background: let class 0 count as well.
        **options: those of ``SegmentationLoss``.
    """

    def __init__(self, alpha=0.5, iterations=3, smooth=1.0, include_background=False, name="dice_cl_dice", **options):
        super().__init__(include_background=include_background, name=name, **options)
        require(0 <= alpha <= 1, self.name, "alpha", alpha, "0 to 1")
        self.alpha = alpha
        shared = self.shared()
        self.dice = Dice(include_background, smooth=smooth, **shared)
        self.cl_dice = ClDice(iterations, smooth, include_background, **shared)

    def per_sample(self, targets):
        return (1 - self.alpha) * self.dice.per_sample(targets) + self.alpha * self.cl_dice.per_sample(targets)

    def get_config(self):
        shared = {"iterations": self.cl_dice.iterations, "smooth": self.cl_dice.smooth}
        return {**super().get_config(), "alpha": self.alpha, **shared}


def soft_skeleton(mask, iterations: int):
    """Centre lines of soft masks, by erosion and opening.

    Args:
        mask: (batch, *spatial, channels), 0 to 1.
        iterations: of erosion.

    Returns:
        (batch, *spatial, channels), 0 to 1.
    """
    skeleton = ops.relu(mask - _dilate(_erode(mask)))
    for _ in range(iterations):
        mask = _erode(mask)
        rest = ops.relu(mask - _dilate(_erode(mask)))
        skeleton = skeleton + ops.relu(rest - skeleton * rest)
    return skeleton


def _erode(mask):
    """Minimum over the neighbours along each axis."""
    result = -_largest(-mask, 1)
    for axis in range(2, len(mask.shape) - 1):
        result = ops.minimum(result, -_largest(-mask, axis))
    return result


def _dilate(mask):
    """Maximum over the neighbourhood, diagonals included."""
    for axis in range(1, len(mask.shape) - 1):
        mask = _largest(mask, axis)
    return mask


def _largest(mask, axis: int):
    """Maximum over a voxel and its two neighbours along an axis.

    Not by pooling: without oneDNN, as on most processors, TensorFlow 2.21 computes a wrong gradient of 3D max pooling
    whose windows overlap, and so it does everywhere where it runs eagerly.
    """

    def cut(*ends):
        return mask[(*(slice(None),) * axis, slice(*ends))]

    before = ops.concatenate([cut(None, 1), cut(None, -1)], axis)
    after = ops.concatenate([cut(1, None), cut(-1, None)], axis)
    return ops.maximum(mask, ops.maximum(before, after))
