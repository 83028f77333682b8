"""Losses of overlap between regions."""

import keras
from keras import ops

from zoo.losses.base import SegmentationLoss, require


@keras.saving.register_keras_serializable(package="medseg", name="DiceLoss")
class Dice(SegmentationLoss):
    """Soft Dice: one minus twice the overlap over the sum of both, the mean over classes.

    Milletari et al., 3DV 2016, arXiv:1606.04797. Equal to MONAI's ``DiceLoss(softmax=True)``.

    Args:
        include_background: let class 0 count as well.
        squared: square the terms of the denominator, as in the paper.
        batch: take the overlap over the whole batch instead of each sample.
        smooth: added above and below, so that an absent class that is not predicted costs nothing.
        **options: ``class_weights``, ``ignore_label`` and those of ``keras.losses.Loss``.

    Example:
        >>> loss = zoo.losses.Dice(include_background=False)
    """

    def __init__(self, include_background=False, squared=False, batch=False, smooth=1e-5, name="dice", **options):
        super().__init__(include_background=include_background, name=name, **options)
        require(smooth >= 0, "Dice", "smooth", smooth, "0 or more")
        self.squared = squared
        self.batch = batch
        self.smooth = smooth

    def per_sample(self, targets):
        truth, guess = self.kept(targets.one_hot), self.kept(targets.probabilities)
        axes = (0, *targets.axes) if self.batch else targets.axes
        overlap = ops.sum(truth * guess, axis=axes)
        power = ops.square if self.squared else (lambda x: x)
        total = ops.sum(power(truth), axis=axes) + ops.sum(power(guess), axis=axes)
        per_class = 1 - self.score(overlap, total)
        loss = ops.mean(self.weighted(per_class), axis=-1)
        return ops.broadcast_to(loss, (ops.shape(truth)[0],)) if self.batch else loss

    def score(self, overlap, total):
        """The coefficient from overlap and sum of both, each (batch, classes)."""
        return (2 * overlap + self.smooth) / (total + self.smooth)

    def get_config(self):
        return {**super().get_config(), "squared": self.squared, "batch": self.batch, "smooth": self.smooth}
