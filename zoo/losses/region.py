"""Losses of overlap between regions."""

import keras
from keras import ops

from zoo.losses.base import SegmentationLoss, require


class RegionLoss(SegmentationLoss):
    """A loss from the soft overlap of label and prediction, class by class.

    Args:
        include_background: let class 0 count as well.
        squared: square label and probability where they are summed on their own.
        batch: take the overlap over the whole batch instead of each sample.
        smooth: added above and below, so that an absent class that is not predicted costs nothing.
        soft_labels: measure the overlap as half of |label| + |prediction| - |label - prediction|, which is perfect for
            a prediction equal to a soft label (Wang et al., NeurIPS 2023, arXiv:2303.16296) and the same for hard ones.
        **options: ``class_weights``, ``ignore_class``, ``activation``, ``regions``, ``name`` and those of
            ``keras.losses.Loss``.
    """

    def __init__(self, include_background=False, squared=False, batch=False, smooth=1e-5, soft_labels=False, **options):
        super().__init__(include_background=include_background, **options)
        require(smooth >= 0, self.name, "smooth", smooth, "0 or more")
        require(not (soft_labels and squared), self.name, "soft_labels", soft_labels, "False where squared=True")
        self.soft_labels = soft_labels
        self.squared = squared
        self.batch = batch
        self.smooth = smooth

    def per_sample(self, targets):
        truth, guess = self.kept(targets.one_hot), self.kept(targets.probabilities)
        axes = (0, *targets.axes) if self.batch else targets.axes

        def total(values):
            return ops.sum(targets.counted(values), axis=axes)

        if self.squared:
            labelled, predicted = total(ops.square(truth)), total(ops.square(guess))
        else:
            labelled, predicted = total(truth), total(guess)
        if self.soft_labels:
            overlap = (labelled + predicted - total(ops.abs(truth - guess))) / 2
        else:
            overlap = total(truth * guess)
        loss = self.combine(overlap, labelled, predicted)
        return ops.broadcast_to(loss, (ops.shape(truth)[0],)) if self.batch else loss

    def combine(self, overlap, labelled, predicted):
        """The loss (batch,) or () from three sums per class, (batch, classes) or (classes,)."""
        return ops.mean(self.weighted(1 - self.score(overlap, labelled, predicted)), axis=-1)

    def score(self, overlap, labelled, predicted):
        """The coefficient of each class, 1 for perfect."""
        raise NotImplementedError

    def get_config(self):
        return {
            **super().get_config(),
            "squared": self.squared,
            "batch": self.batch,
            "smooth": self.smooth,
            "soft_labels": self.soft_labels,
        }


@keras.saving.register_keras_serializable(package="medseg", name="DiceLoss")
class Dice(RegionLoss):
    """Soft Dice: one minus twice the overlap over the sum of both, the mean over classes.

    Milletari et al., 3DV 2016, arXiv:1606.04797 (with ``squared=True``). Equal to MONAI's ``DiceLoss(softmax=True)``.
    Options: see ``RegionLoss``.

    Example:
        >>> loss = zoo.losses.Dice(include_background=False)
    """

    def __init__(self, include_background=False, squared=False, batch=False, smooth=1e-5, name="dice", **options):
        super().__init__(include_background, squared, batch, smooth, name=name, **options)

    def score(self, overlap, labelled, predicted):
        return (2 * overlap + self.smooth) / (labelled + predicted + self.smooth)


@keras.saving.register_keras_serializable(package="medseg", name="JaccardLoss")
class Jaccard(RegionLoss):
    """Soft Jaccard: one minus the overlap over the union, the mean over classes.

    Rahman and Wang, ISVC 2016. Equal to MONAI's ``DiceLoss(softmax=True, jaccard=True)``. Options: see ``RegionLoss``.
    """

    def __init__(self, include_background=False, squared=False, batch=False, smooth=1e-5, name="jaccard", **options):
        super().__init__(include_background, squared, batch, smooth, name=name, **options)

    def score(self, overlap, labelled, predicted):
        return (2 * overlap + self.smooth) / (2 * (labelled + predicted - overlap) + self.smooth)


@keras.saving.register_keras_serializable(package="medseg", name="GeneralisedDiceLoss")
class GeneralisedDice(RegionLoss):
    """Dice over all classes at once, each weighted by the inverse of its size.

    Sudre et al., DLMIA 2017, arXiv:1707.03237. Equal to MONAI's ``GeneralizedDiceLoss(softmax=True)``; an absent class
    takes the largest weight of the others. Where all that count are absent each weighs 1, so that what is predicted
    there costs; in MONAI only with "uniform" weights, with the others such a sample costs nothing.

    Args:
        weighting: "square" (1 / size^2), "simple" (1 / size) or "uniform".
        **options: see ``RegionLoss``.
    """

    def __init__(
        self,
        weighting="square",
        include_background=True,
        squared=False,
        batch=False,
        smooth=1e-5,
        name="generalised_dice",
        **options,
    ):
        super().__init__(include_background, squared, batch, smooth, name=name, **options)
        known = ("square", "simple", "uniform")
        require(weighting in known, self.name, "weighting", weighting, ", ".join(known))
        self.weighting = weighting

    def combine(self, overlap, labelled, predicted):
        power = {"square": 2, "simple": 1, "uniform": 0}[self.weighting]
        present = labelled > 0
        weights = ops.where(present, 1.0 / ops.where(present, labelled, 1.0) ** power, 0.0)
        largest = ops.max(weights, axis=-1, keepdims=True)
        weights = ops.where(present, weights, ops.where(largest > 0, largest, 1.0))
        weights = self.weighted(ops.stop_gradient(weights))
        above = 2 * ops.sum(weights * overlap, axis=-1) + self.smooth
        return 1 - above / (ops.sum(weights * (labelled + predicted), axis=-1) + self.smooth)

    def get_config(self):
        return {**super().get_config(), "weighting": self.weighting}


@keras.saving.register_keras_serializable(package="medseg", name="TverskyLoss")
class Tversky(RegionLoss):
    """Overlap with separate prices for false positives and false negatives.

    Salehi et al., MLMI 2017, arXiv:1706.05721. Equal to MONAI's ``TverskyLoss(softmax=True)``.

    Args:
        alpha: price of a false positive; 0.5 and 0.5 is Dice.
        beta: price of a false negative; more than ``alpha`` finds small structures.
        include_background: let class 0 count as well.
        batch: take the overlap over the whole batch instead of each sample.
        smooth: added above and below.
        **options: see ``RegionLoss``.
    """

    def __init__(
        self, alpha=0.3, beta=0.7, include_background=False, batch=False, smooth=1e-5, name="tversky", **options
    ):
        super().__init__(include_background, False, batch, smooth, name=name, **options)
        require(alpha >= 0, self.name, "alpha", alpha, "0 or more")
        require(beta >= 0, self.name, "beta", beta, "0 or more")
        self.alpha = alpha
        self.beta = beta

    def score(self, overlap, labelled, predicted):
        wrong = self.alpha * (predicted - overlap) + self.beta * (labelled - overlap)
        return (overlap + self.smooth) / (overlap + wrong + self.smooth)

    def get_config(self):
        config = {**super().get_config(), "alpha": self.alpha, "beta": self.beta}
        del config["squared"]
        return config


@keras.saving.register_keras_serializable(package="medseg", name="FocalTverskyLoss")
class FocalTversky(Tversky):
    """Tversky loss to the power 1 / gamma, class by class: hard classes count more.

    Abraham and Khan, ISBI 2019, arXiv:1810.07842.

    Args:
        gamma: 1 for ``Tversky``, 4/3 in the paper.
        **options: see ``Tversky``.
    """

    def __init__(self, alpha=0.3, beta=0.7, gamma=4 / 3, name="focal_tversky", **options):
        super().__init__(alpha, beta, name=name, **options)
        require(gamma > 0, self.name, "gamma", gamma, "more than 0")
        self.gamma = gamma

    def combine(self, overlap, labelled, predicted):
        # The floor keeps the gradient of the root finite at a perfect class.
        missing = ops.maximum(1 - self.score(overlap, labelled, predicted), 1e-7)
        return ops.mean(self.weighted(missing ** (1 / self.gamma)), axis=-1)

    def get_config(self):
        return {**super().get_config(), "gamma": self.gamma}
