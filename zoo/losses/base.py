"""What all losses share: options, their checks, and labels brought to one form."""

import keras
from keras import ops

from zoo.errors import ZooError
from zoo.labels import nan_if, read_options, split_weights
from zoo.losses.targets import Targets, prepare
from zoo.renamed import renamed


class SegmentationLoss(keras.losses.Loss):
    """A loss from logits (batch, *spatial, classes).

    Labels are class indices (batch, *spatial) or (batch, *spatial, 1), or one-hot (batch, *spatial, classes).
    Everything is computed in float32, whatever the precision of the logits.

    ``sample_weight`` may be (batch,), (batch, 1), or weights of voxels (batch, *spatial) or (batch, *spatial, 1) in
    which any axis is 1. Weights of voxels do in a mean over voxels what they do in Keras' own losses, and are factors
    of every sum over voxels in an overlap. A mask that Keras' layers give the logits leaves voxels out.

    A class index that has no class is an error, in a compiled graph a loss of NaN; ``ignore_class`` is for voxels that
    nobody has labelled.

    Args:
        include_background: let class 0 count as well. A sigmoid has no background: every channel counts.
        class_weights: one weight per class (channel), or None.
        ignore_class: class index of voxels that do not count, or None. In one-hot labels a voxel of only zeros is one.
        activation: "softmax", or "sigmoid" for channels that may overlap; labels are then maps of 0 and 1 (batch,
            *spatial, channels). By default a softmax, with ``regions`` a sigmoid.
        regions: for each sigmoid channel the class indices that it covers, such as ((1, 2, 3), (2, 3), (3,)); labels
            are then class indices, or one-hot of classes.
        reduction: over the batch, as in Keras; "none" gives a value for each sample.
        name: of the loss.
        dtype: as in Keras.
        ignore_label: former name of ``ignore_class``.
    """

    def __init__(
        self,
        include_background: bool = True,
        class_weights=None,
        ignore_class: int | None = None,
        activation: str | None = None,
        regions=None,
        reduction: str = "sum_over_batch_size",
        name: str | None = None,
        dtype=None,
        ignore_label: int | None = None,
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.include_background = include_background
        self.class_weights = None if class_weights is None else tuple(float(w) for w in class_weights)
        self.ignore_class = renamed(self.name, "ignore_label", "ignore_class", ignore_label, ignore_class)
        self.reading = read_options(self.name, activation, self.ignore_class, regions)

    def __call__(self, y_true, y_pred, sample_weight=None):
        return super().__call__(*pack(y_true, y_pred, sample_weight, self.name))

    def call(self, y_true, y_pred):
        """The losses (batch,); ``y_true`` holds the labels alone or what ``pack`` made of them."""
        parts = y_true if isinstance(y_true, dict) else {"labels": y_true}
        y_pred = ops.convert_to_tensor(y_pred)
        if y_pred.shape[0] == 0:
            return ops.zeros(())  # as Keras' own losses: nothing costs nothing
        channels = y_pred.shape[-1]
        if self.class_weights is not None and len(self.class_weights) != channels:
            raise ZooError(
                f"{self.name}: {len(self.class_weights)} class_weights for {channels} classes; expected one per class, "
                "background first"
            )
        labels = ops.convert_to_tensor(parts["labels"])
        targets = prepare(labels, y_pred, self.reading, parts.get("weights"), parts.get("mask"), self.name)
        values = self.each(targets) if self.reduction in (None, "none") else self.per_sample(targets)
        return values if targets.strange is None else values * nan_if(targets.strange)

    def per_sample(self, targets: Targets):
        """The loss of each sample of the batch, (batch,)."""
        raise NotImplementedError

    def each(self, targets: Targets):
        """What ``reduction="none"`` gives: the loss of each sample, unless a loss has finer ones."""
        return self.per_sample(targets)

    def kept(self, per_class):
        """The classes that count, of an array (..., classes)."""
        return per_class if self.include_background or self.reading.activation == "sigmoid" else per_class[..., 1:]

    def weighted(self, per_class):
        """``per_class`` (..., kept classes) times the class weights, if there are any."""
        if self.class_weights is None:
            return per_class
        return per_class * self.kept(ops.convert_to_tensor(self.class_weights, dtype=per_class.dtype))

    def shared(self) -> dict:
        """The options that a sum of losses hands on to its parts."""
        return {
            "class_weights": self.class_weights,
            "ignore_class": self.ignore_class,
            "activation": self.reading.activation,
            "regions": self.reading.regions or None,
        }

    def get_config(self):
        return {**super().get_config(), "include_background": self.include_background, **self.shared()}


def pack(y_true, y_pred, sample_weight, name: str):
    """Labels with the weights and the mask of their voxels, predictions without a mask, and the weights of samples.

    Args:
        y_true: labels.
        y_pred: logits (batch, *spatial, classes), which a layer may have given a mask.
        sample_weight: see ``SegmentationLoss``, or None.
        name: of the loss, for messages.

    Returns:
        The three arguments of ``keras.losses.Loss.__call__``.
    """
    mask = getattr(y_pred, "_keras_mask", None)
    y_pred = ops.convert_to_tensor(y_pred)
    of_samples, of_voxels = split_weights(sample_weight, y_pred, name)
    parts = {"labels": y_true}
    if of_voxels is not None:
        parts["weights"] = of_voxels
    if mask is not None:
        masked_samples, masked_voxels = split_weights(mask, y_pred, f"{name}: mask")
        if masked_voxels is None:
            spread = ops.reshape(masked_samples, (-1,) + (1,) * (len(y_pred.shape) - 1))
            masked_voxels = spread * ops.ones_like(y_pred[..., :1], dtype="float32")
        parts["mask"] = masked_voxels
        y_pred = ops.multiply(y_pred, 1)  # a tensor without the mask, or Keras would apply it to the losses again
    return (parts if len(parts) > 1 else y_true), y_pred, of_samples


def require(condition: bool, loss: str, option: str, value, expected: str) -> None:
    """Refuse an option of a loss.

    Raises:
        ZooError: if ``condition`` does not hold; the message names the option, its value and what is expected.
    """
    if not condition:
        raise ZooError(f"{loss}: {option}={value!r}; expected {expected}")
