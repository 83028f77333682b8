"""Losses of distance to the boundary."""

import keras
from keras import ops

from zoo.errors import ZooError
from zoo.losses.base import SegmentationLoss, require
from zoo.losses.distance import boundary_distance


class DistanceLoss(SegmentationLoss):
    """A mean over voxels, weighted by distances; class and sample means follow.

    Args:
        spacing: size of a voxel along each spatial axis, 1 if None.
        include_background: let class 0 count as well.
        **options: those of ``SegmentationLoss``.
    """

    def __init__(self, spacing=None, include_background=False, **options):
        super().__init__(include_background=include_background, **options)
        self.spacing = None if spacing is None else tuple(float(s) for s in spacing)
        require(min(self.spacing or (1,)) > 0, self.name, "spacing", spacing, "sizes above 0")

    def per_sample(self, targets):
        if self.spacing is not None and len(self.spacing) != len(targets.axes):
            raise ZooError(
                f"{self.name}: spacing {self.spacing} for {len(targets.axes)} spatial axes; expected one per axis"
            )
        truth, guess = self.kept(targets.one_hot), self.kept(targets.probabilities)
        loss = targets.counted(targets.masked(self.per_voxel(truth, guess)))
        counted = ops.ones_like(loss[..., :1]) if targets.mask is None else targets.mask
        counted = ops.maximum(ops.sum(counted, axis=targets.axes), 1.0)
        return ops.mean(self.weighted(ops.sum(loss, axis=targets.axes) / counted), axis=-1)

    def per_voxel(self, truth, guess):
        """The loss of each voxel and class, all (batch, *spatial, classes)."""
        raise NotImplementedError

    def get_config(self):
        return {**super().get_config(), "spacing": self.spacing}


@keras.saving.register_keras_serializable(package="medseg", name="BoundaryLoss")
class Boundary(DistanceLoss):
    """Probability times signed distance to the label's boundary, negative inside; below 0 for good predictions.

    Kervadec et al., MIDL 2019, arXiv:1812.07032, with the authors' distance map. To be added to a region loss.
    Options: see ``DistanceLoss``.
    """

    def __init__(self, spacing=None, include_background=False, name="boundary", **options):
        super().__init__(spacing, include_background, name=name, **options)

    def per_voxel(self, truth, guess):
        inside, outside = boundary_distance(ops.stop_gradient(truth) > 0.5, self.spacing)
        # The authors' map is 0, not -1, on the voxels just inside the boundary.
        step = 1.0 if self.spacing is None else min(self.spacing)
        return guess * ops.stop_gradient(outside - ops.maximum(inside - step, 0.0))


@keras.saving.register_keras_serializable(package="medseg", name="HausdorffLoss")
class Hausdorff(DistanceLoss):
    """Squared error times distance to the boundaries of label and prediction, to the power alpha.

    Karimi and Salcudean, IEEE TMI 2020, arXiv:1904.10030. Equal to MONAI's ``HausdorffDTLoss(softmax=True)``.

    Args:
        alpha: power of the distances.
        **options: see ``DistanceLoss``.
    """

    def __init__(self, alpha=2.0, spacing=None, include_background=False, name="hausdorff", **options):
        super().__init__(spacing, include_background, name=name, **options)
        require(alpha > 0, self.name, "alpha", alpha, "above 0")
        self.alpha = alpha

    def per_voxel(self, truth, guess):
        distance = 0.0
        for field in (truth, guess):
            inside, outside = boundary_distance(ops.stop_gradient(field) > 0.5, self.spacing)
            distance = distance + (inside + outside) ** self.alpha
        return ops.square(guess - truth) * ops.stop_gradient(distance)

    def get_config(self):
        return {**super().get_config(), "alpha": self.alpha}
