"""Losses of each voxel's class probabilities."""

import keras
from keras import ops

from zoo.losses.base import SegmentationLoss, require


class VoxelLoss(SegmentationLoss):
    """A mean over voxels.

    The mean is over all voxels of the batch that count, as in PyTorch: a sample with many ignored voxels weighs less.
    """

    def per_voxel(self, targets):
        """Loss and weight of each voxel, (batch, *spatial) both; the loss has its weight in it."""
        raise NotImplementedError

    def per_sample(self, targets):
        loss, weight = self.per_voxel(targets)
        total = ops.sum(loss, axis=targets.axes)
        weight = ops.sum(weight, axis=targets.axes)
        # Scaled so that the mean over the batch is the sum of losses over the sum of weights.
        count = ops.cast(ops.shape(total)[0], total.dtype)
        whole = ops.sum(weight)
        return total * count / ops.where(whole > 0, whole, 1.0)


@keras.saving.register_keras_serializable(package="medseg", name="CrossEntropyLoss")
class CrossEntropy(VoxelLoss):
    """Cross-entropy of the softmax.

    Equal to PyTorch's ``CrossEntropyLoss``: with class weights the mean is a weighted one.

    Args:
        include_background: let voxels of class 0 count as well.
        label_smoothing: share of the probability spread evenly over the classes. Szegedy et al., arXiv:1512.00567.
        **options: ``class_weights``, ``ignore_label`` and those of ``keras.losses.Loss``.
    """

    def __init__(self, include_background=True, label_smoothing=0.0, name="cross_entropy", **options):
        super().__init__(include_background=include_background, name=name, **options)
        require(0 <= label_smoothing < 1, "CrossEntropy", "label_smoothing", label_smoothing, "0 to below 1")
        self.label_smoothing = label_smoothing

    def per_voxel(self, targets):
        weights = self.weighted(self.kept(targets.one_hot))
        log_p = targets.log_probabilities
        loss = -ops.sum(weights * self.kept(log_p), axis=-1)
        weight = ops.sum(weights, axis=-1)
        if self.label_smoothing:
            counted = ops.sum(self.kept(targets.one_hot), axis=-1, keepdims=True)
            spread = -ops.sum(self.weighted(self.kept(log_p)) * counted, axis=-1) / targets.classes
            loss = (1 - self.label_smoothing) * loss + self.label_smoothing * spread
        return loss, weight

    def get_config(self):
        return {**super().get_config(), "label_smoothing": self.label_smoothing}


@keras.saving.register_keras_serializable(package="medseg", name="FocalLoss")
class Focal(VoxelLoss):
    """Cross-entropy that counts well-classified voxels less: (1 - p)^gamma times it.

    Lin et al., ICCV 2017, arXiv:1708.02002. It is the sum over classes and the mean over voxels; MONAI's
    ``FocalLoss(use_softmax=True)`` takes the mean over classes too, so it is smaller by the number of them.

    Args:
        gamma: how much less, 0 for cross-entropy.
        alpha: weight of the foreground classes, 1 - alpha that of the background; None for 1 and 1.
        include_background: let voxels of class 0 count as well.
        **options: ``class_weights``, ``ignore_label`` and those of ``keras.losses.Loss``.
    """

    def __init__(self, gamma=2.0, alpha=None, include_background=True, name="focal", **options):
        super().__init__(include_background=include_background, name=name, **options)
        require(gamma >= 0, "Focal", "gamma", gamma, "0 or more")
        require(alpha is None or 0 <= alpha <= 1, "Focal", "alpha", alpha, "None or 0 to 1")
        self.gamma = gamma
        self.alpha = alpha

    def per_voxel(self, targets):
        log_p = targets.log_probabilities
        # The floor keeps the gradient of the power finite where p is 1 and gamma below 1.
        missing = ops.maximum(-ops.expm1(log_p), 1e-7)
        loss = -(missing**self.gamma) * log_p * targets.one_hot
        if self.alpha is not None:
            balance = [1 - self.alpha] + [self.alpha] * (targets.classes - 1)
            loss = loss * ops.convert_to_tensor(balance, dtype=loss.dtype)
        loss = ops.sum(self.weighted(self.kept(loss)), axis=-1)
        weight = ops.ones_like(loss) if targets.mask is None else targets.mask[..., 0]
        return loss, weight

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

    def per_sample(self, targets):
        loss, _ = self.per_voxel(targets)
        loss = ops.reshape(loss, (ops.shape(loss)[0], -1))
        hardest = ops.flip(ops.sort(loss, axis=-1), axis=-1)
        size = ops.cast(ops.shape(loss)[1], "float32")
        count = ops.maximum(ops.floor(size * self.share + 1e-3), 1.0)
        taken = ops.cast(ops.arange(ops.shape(loss)[1], dtype="float32") < count, loss.dtype)
        return ops.sum(hardest * taken, axis=-1) / count

    def get_config(self):
        return {**super().get_config(), "share": self.share}
