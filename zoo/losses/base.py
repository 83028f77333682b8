"""What all losses share: options, their checks, and labels brought to one form."""

import keras
from keras import ops

from zoo.errors import ZooError
from zoo.losses.targets import Targets, prepare


class SegmentationLoss(keras.losses.Loss):
    """A loss from logits (batch, *spatial, classes).

    Labels are class indices (batch, *spatial) or (batch, *spatial, 1), or one-hot (batch, *spatial, classes).
    Everything is computed in float32, whatever the precision of the logits.

    Args:
        include_background: let class 0 count as well.
        class_weights: one weight per class, or None.
        ignore_label: class index of voxels that do not count, or None. In one-hot labels a voxel of only zeros is one.
        reduction: over the batch, as in Keras.
        name: of the loss.
        dtype: as in Keras.
    """

    def __init__(
        self,
        include_background: bool = True,
        class_weights=None,
        ignore_label: int | None = None,
        reduction: str = "sum_over_batch_size",
        name: str | None = None,
        dtype=None,
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.include_background = include_background
        self.class_weights = None if class_weights is None else tuple(float(w) for w in class_weights)
        self.ignore_label = ignore_label

    def call(self, y_true, y_pred):
        classes = y_pred.shape[-1]
        if self.class_weights is not None and len(self.class_weights) != classes:
            raise ZooError(
                f"{self.name}: {len(self.class_weights)} class_weights for {classes} classes; one per class, "
                "background first, is accepted"
            )
        return self.per_sample(prepare(y_true, y_pred, self.ignore_label))

    def per_sample(self, targets: Targets):
        """The loss of each sample of the batch, (batch,)."""
        raise NotImplementedError

    def kept(self, per_class):
        """The classes that count, of an array (..., classes)."""
        return per_class if self.include_background else per_class[..., 1:]

    def weighted(self, per_class):
        """``per_class`` (..., kept classes) times the class weights, if there are any."""
        if self.class_weights is None:
            return per_class
        return per_class * self.kept(ops.convert_to_tensor(self.class_weights, dtype=per_class.dtype))

    def get_config(self):
        return {
            **super().get_config(),
            "include_background": self.include_background,
            "class_weights": self.class_weights,
            "ignore_label": self.ignore_label,
        }


def require(condition: bool, loss: str, option: str, found, accepted: str) -> None:
    """Refuse an option of a loss.

    Raises:
        ZooError: if ``condition`` does not hold; the message names the option, what was found and what is accepted.
    """
    if not condition:
        raise ZooError(f"{loss}: {option}={found!r}; {accepted} is accepted")
