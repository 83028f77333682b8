"""Losses of each voxel's class probabilities."""

import keras
from keras import ops

from zoo.losses.base import SegmentationLoss, require


class VoxelLoss(SegmentationLoss):
    """A mean over voxels.

    The mean is over all voxels of the batch that count, as in PyTorch: a sample with many ignored voxels weighs less.
    With ``reduction="none"`` the result is the loss of each voxel, (batch, *spatial). Weights of voxels multiply their
    losses and not the number of voxels, as in Keras, unless ``reduction="mean_with_sample_weight"``.
    """

    def per_voxel(self, targets):
        """Loss and weight of each voxel, (batch, *spatial) both; the loss has its weight in it."""
        raise NotImplementedError

    def each(self, targets):
        return self.counted(targets)[0]

    def counted(self, targets):
        """``per_voxel`` with the weights of voxels."""
        loss, weight = self.per_voxel(targets)
        if targets.weights is None:
            return loss, weight
        if self.reduction == "mean_with_sample_weight":
            weight = weight * targets.weights[..., 0]
        return loss * targets.weights[..., 0], weight

    def per_sample(self, targets):
        loss, weight = self.counted(targets)
        total = ops.sum(loss, axis=targets.axes)
        weight = ops.sum(weight, axis=targets.axes)
        # Scaled so that the mean over the batch is the sum of losses over the sum of weights.
        count = ops.cast(ops.shape(total)[0], total.dtype)
        whole = ops.sum(weight)
        return total * count / ops.where(whole > 0, whole, 1.0)


@keras.saving.register_keras_serializable(package="medseg", name="CrossEntropyLoss")
class CrossEntropy(VoxelLoss):
    """Cross-entropy of the softmax, or binary cross-entropy of each sigmoid channel.

    Equal to PyTorch's ``CrossEntropyLoss``: with class weights the mean is a weighted one. With
    ``activation="sigmoid"`` it is the mean over channels as well, equal to PyTorch's ``BCEWithLogitsLoss``.

    Args:
        include_background: let voxels of class 0 count as well.
        label_smoothing: share of the probability spread evenly over the classes (of a sigmoid: over yes and no).
            Szegedy et al., arXiv:1512.00567.
        positive_weights: with a sigmoid, factor of the voxels inside for each channel, such as the number of voxels
            outside over that of those inside; or None.
        **options: those of ``SegmentationLoss``.
    """

    def __init__(
        self, include_background=True, label_smoothing=0.0, positive_weights=None, name="cross_entropy", **options
    ):
        super().__init__(include_background=include_background, name=name, **options)
        softmax = self.reading.activation == "softmax"
        require(
            not softmax or positive_weights is None,
            self.name,
            "positive_weights",
            positive_weights,
            "None without activation='sigmoid'",
        )
        self.positive_weights = None if positive_weights is None else tuple(float(w) for w in positive_weights)
        require(0 <= label_smoothing < 1, "CrossEntropy", "label_smoothing", label_smoothing, "0 to below 1")
        self.label_smoothing = label_smoothing

    def per_voxel(self, targets):
        if targets.activation == "sigmoid":
            return self._binary(targets), _ones(targets)
        weights = self.weighted(self.kept(targets.one_hot))
        log_p = targets.log_probabilities
        loss = -ops.sum(weights * self.kept(log_p), axis=-1)
        weight = ops.sum(weights, axis=-1)
        if self.label_smoothing:
            counted = ops.sum(self.kept(targets.one_hot), axis=-1, keepdims=True)
            spread = -ops.sum(self.weighted(self.kept(log_p)) * counted, axis=-1) / targets.classes
            loss = (1 - self.label_smoothing) * loss + self.label_smoothing * spread
        return loss, weight

    def _binary(self, targets):
        factors = self.positive_weights or (1.0,) * targets.classes
        require(len(factors) == targets.classes, self.name, "positive_weights", factors, f"{targets.classes} numbers")
        truth = targets.one_hot * (1 - self.label_smoothing) + self.label_smoothing / 2
        inside = truth * targets.log_probabilities * ops.convert_to_tensor(factors, dtype="float32")
        outside = (1 - truth) * ops.log_sigmoid(-targets.logits)
        return ops.mean(self.weighted(targets.masked(-inside - outside)), axis=-1)

    def get_config(self):
        config = {"label_smoothing": self.label_smoothing, "positive_weights": self.positive_weights}
        return {**super().get_config(), **config}


@keras.saving.register_keras_serializable(package="medseg", name="FocalLoss")
class Focal(VoxelLoss):
    """Cross-entropy that counts well-classified voxels less: (1 - p)^gamma times it.

    Lin et al., ICCV 2017, arXiv:1708.02002. It is the sum over classes and the mean over voxels; MONAI's
    ``FocalLoss(use_softmax=True)`` takes the mean over classes too, so it is smaller by the number of them. With
    ``activation="sigmoid"`` it is the mean over channels, equal to MONAI's ``FocalLoss()``.

    Args:
        gamma: how much less, 0 for cross-entropy.
        alpha: weight of the foreground classes (of a sigmoid: of voxels inside), 1 - alpha that of the background
            (outside); None for 1 and 1.
        include_background: let voxels of class 0 count as well.
        **options: those of ``SegmentationLoss``.
    """

    def __init__(self, gamma=2.0, alpha=None, include_background=True, name="focal", **options):
        super().__init__(include_background=include_background, name=name, **options)
        require(gamma >= 0, "Focal", "gamma", gamma, "0 or more")
        require(alpha is None or 0 <= alpha <= 1, "Focal", "alpha", alpha, "None or 0 to 1")
        self.gamma = gamma
        self.alpha = alpha

    def per_voxel(self, targets):
        if targets.activation == "sigmoid":
            return self._binary(targets), _ones(targets)
        log_p = targets.log_probabilities
        # The floor keeps the gradient of the power finite where p is 1 and gamma below 1.
        missing = ops.maximum(-ops.expm1(log_p), 1e-7)
        loss = -(missing**self.gamma) * log_p * targets.one_hot
        if self.alpha is not None:
            balance = [1 - self.alpha] + [self.alpha] * (targets.classes - 1)
            loss = loss * ops.convert_to_tensor(balance, dtype=loss.dtype)
        loss = ops.sum(self.weighted(self.kept(loss)), axis=-1)
        return loss, _ones(targets)

    def _binary(self, targets):
        truth = targets.one_hot
        entropy = -truth * targets.log_probabilities - (1 - truth) * ops.log_sigmoid(-targets.logits)
        # The probability of the wrong answer, to the power gamma.
        loss = ops.exp(self.gamma * ops.log_sigmoid(-targets.logits * (2 * truth - 1))) * entropy
        if self.alpha is not None:
            loss = loss * (self.alpha * truth + (1 - self.alpha) * (1 - truth))
        return ops.mean(self.weighted(targets.masked(loss)), axis=-1)

    def get_config(self):
        return {**super().get_config(), "gamma": self.gamma, "alpha": self.alpha}


@keras.saving.register_keras_serializable(package="medseg", name="TopKCrossEntropyLoss")
class TopKCrossEntropy(CrossEntropy):
    """Cross-entropy of the hardest voxels of each sample.

    Wu et al. 2016, arXiv:1605.06885; as nnU-Net's ``TopKLoss``, which takes them over the batch.

    Args:
        share: of the voxels, above 0 to 1.
        **options: see ``CrossEntropy``.
    """

    def __init__(self, share=0.1, name="top_k_cross_entropy", **options):
        super().__init__(name=name, **options)
        require(0 < share <= 1, self.name, "share", share, "above 0 to 1")
        self.share = share

    def each(self, targets):
        return self.per_sample(targets)

    def per_sample(self, targets):
        loss, _ = self.counted(targets)
        loss = ops.reshape(loss, (ops.shape(loss)[0], -1))
        hardest = ops.flip(ops.sort(loss, axis=-1), axis=-1)
        size = ops.cast(ops.shape(loss)[1], "float32")
        count = ops.maximum(ops.floor(size * self.share + 1e-3), 1.0)
        taken = ops.cast(ops.arange(ops.shape(loss)[1], dtype="float32") < count, loss.dtype)
        return ops.sum(hardest * taken, axis=-1) / count

    def get_config(self):
        return {**super().get_config(), "share": self.share}


def _ones(targets):
    """(batch, *spatial), 1 where a voxel counts."""
    return ops.ones_like(targets.logits[..., 0]) if targets.mask is None else targets.mask[..., 0]
