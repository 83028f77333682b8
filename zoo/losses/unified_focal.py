"""Unified focal loss."""

import keras
from keras import ops

from zoo.losses.base import SegmentationLoss, require


@keras.saving.register_keras_serializable(package="medseg", name="UnifiedFocalLoss")
class UnifiedFocal(SegmentationLoss):
    """Asymmetric unified focal loss: focal cross-entropy and focal Tversky with the same three settings.

    Yeung et al., Computerized Medical Imaging and Graphics 2022, arXiv:2102.04525. Equal to MONAI's
    ``AsymmetricUnifiedFocalLoss`` of the softmax for two classes, and the same sum over all foreground classes for
    more. The mean of the cross-entropy part is over classes as well, as in MONAI; the authors' code sums over them.

    Args:
        weight: share of the cross-entropy part, 0 to 1.
        gamma: suppresses the background in cross-entropy and enhances the foreground in Tversky, 0 to below 1.
        delta: weight of the foreground, and of false negatives.
        **options: those of ``SegmentationLoss``.
    """

    def __init__(self, weight=0.5, gamma=0.5, delta=0.7, name="unified_focal", **options):
        super().__init__(name=name, **options)
        require(0 <= weight <= 1, self.name, "weight", weight, "0 to 1")
        require(0 <= gamma < 1, self.name, "gamma", gamma, "0 to below 1")
        require(0 <= delta <= 1, self.name, "delta", delta, "0 to 1")
        require(self.reading.activation == "softmax", self.name, "activation", self.reading.activation, "softmax")
        require(self.include_background, self.name, "include_background", self.include_background, "True")
        self.weight = weight
        self.gamma = gamma
        self.delta = delta

    def per_sample(self, targets):
        epsilon = 1e-7
        guess = ops.clip(ops.softmax(targets.logits, axis=-1), epsilon, 1 - epsilon)
        return self.weight * self._focal(targets, guess) + (1 - self.weight) * self._tversky(targets, guess, epsilon)

    def _focal(self, targets, guess):
        background = (1 - self.delta) * (1 - guess[..., :1]) ** self.gamma
        factor = ops.concatenate([background, self.delta * ops.ones_like(guess[..., 1:])], axis=-1)
        loss = targets.counted(self.weighted(-factor * targets.one_hot * ops.log(guess)))
        counted = ops.ones_like(loss) if targets.mask is None else ops.ones_like(loss) * targets.mask
        return ops.sum(loss, axis=(*targets.axes, -1)) / ops.maximum(ops.sum(counted, axis=(*targets.axes, -1)), 1.0)

    def _tversky(self, targets, guess, epsilon):
        truth, guess = targets.one_hot, targets.masked(guess)
        overlap = ops.sum(targets.counted(truth * guess), axis=targets.axes)
        missed = ops.sum(targets.counted(truth), axis=targets.axes) - overlap
        wrong = ops.sum(targets.counted(guess), axis=targets.axes) - overlap
        score = (overlap + epsilon) / (overlap + self.delta * missed + (1 - self.delta) * wrong + epsilon)
        # The floor keeps the gradient of the power finite at a perfect class.
        foreground = ops.maximum(1 - score[:, 1:], epsilon) ** (1 - self.gamma)
        return ops.mean(self.weighted(ops.concatenate([1 - score[:, :1], foreground], axis=-1)), axis=-1)

    def get_config(self):
        config = {**super().get_config(), "weight": self.weight, "gamma": self.gamma, "delta": self.delta}
        del config["include_background"]
        return config
