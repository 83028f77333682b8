"""Labels and logits in the form that the losses compute with."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from keras import ops

from zoo.errors import ZooError
from zoo.labels import NEAR, Reading, class_indices, concrete, is_sparse, region_table


@dataclass(frozen=True)
class Targets:
    """Labels and logits of a batch, in float32.

    Attributes:
        one_hot: labels (batch, *spatial, classes), zeros where ignored; with a sigmoid several may be 1 in a voxel.
        logits: (batch, *spatial, classes).
        mask: (batch, *spatial, 1), 1 where a voxel counts and 0 where not; None if all count.
        weights: (batch, *spatial, 1), what each voxel counts; None if all count 1.
        activation: "softmax" or "sigmoid".
        strange: bool scalar, whether labels are of no class, which makes the loss NaN; None where that cannot be.
    """

    one_hot: Any
    logits: Any
    mask: Any = None
    weights: Any = None
    activation: str = "softmax"
    strange: Any = None

    @property
    def classes(self) -> int:
        """Number of classes, the channels of the logits."""
        return self.logits.shape[-1]

    @property
    def axes(self) -> tuple[int, ...]:
        """The spatial axes."""
        return tuple(range(1, len(self.logits.shape) - 1))

    @cached_property
    def probabilities(self):
        """Softmax or sigmoid of the logits, zeros where ignored."""
        if self.activation == "sigmoid":
            return self.masked(ops.sigmoid(self.logits))
        return self.masked(ops.softmax(self.logits, axis=-1))

    @cached_property
    def log_probabilities(self):
        """Logarithm of the softmax or sigmoid, nothing ignored."""
        if self.activation == "sigmoid":
            return ops.log_sigmoid(self.logits)
        return ops.log_softmax(self.logits, axis=-1)

    def masked(self, per_voxel):
        """``per_voxel`` (batch, *spatial, any) with zeros where ignored."""
        return per_voxel if self.mask is None else per_voxel * self.mask

    def counted(self, per_voxel):
        """``per_voxel`` (batch, *spatial, any) times what each voxel counts."""
        return per_voxel if self.weights is None else per_voxel * self.weights


def prepare(y_true, y_pred, reading: Reading, weights=None, mask=None, name: str = "loss") -> Targets:
    """Bring labels and logits to one form.

    Args:
        y_true: class indices (batch, *spatial) or (batch, *spatial, 1), or one-hot (batch, *spatial, classes); for
            other readings see ``Reading``.
        y_pred: logits (batch, *spatial, classes).
        reading: how they are to be understood.
        weights: (batch, *spatial, 1), what each voxel counts, or None.
        mask: (batch, *spatial, 1), 0 for voxels that do not count, or None.
        name: of the loss, for messages.

    Raises:
        ZooError: if the shapes do not fit together, or a class index has no class. In a compiled graph, where nothing
            can be raised, such labels make the loss NaN, as TensorFlow's own cross-entropy does on a GPU.
    """
    logits = ops.cast(y_pred, "float32")
    channels = logits.shape[-1]
    if channels is None or (channels < 2 and reading.activation == "softmax"):
        raise ZooError(
            f"logits of shape {tuple(logits.shape)}; expected at least 2 classes, background first, or a loss with "
            'activation="sigmoid"'
        )
    if reading.regions and channels != len(reading.regions):
        raise ZooError(f"{name}: logits of shape {tuple(logits.shape)} for {len(reading.regions)} regions")
    classes = reading.classes or channels
    strange = None
    if reading.activation == "sigmoid" and not reading.regions:
        one_hot, known, strange = _multi_hot(y_true, logits, reading.ignore_class)
    elif is_sparse(y_true, logits, classes):
        labels, strange = class_indices(y_true, classes, reading.ignore_class)
        labels = labels if len(labels.shape) == len(logits.shape) else ops.expand_dims(labels, -1)
        known = None if reading.ignore_class is None else ops.not_equal(labels, reading.ignore_class)
        # Compared, not one_hot: a label outside the classes is then no class at all on every backend.
        one_hot = ops.cast(ops.equal(labels, ops.arange(classes, dtype="int32")), "float32")
    else:
        one_hot = ops.cast(y_true, "float32")
        known = None
        if reading.ignore_class is not None:
            known = ops.greater(ops.sum(one_hot, axis=-1, keepdims=True), 0)
    if strange is not None:
        raise_if_strange(strange, y_true, classes, reading, name)
    if reading.regions:
        one_hot = ops.matmul(one_hot, region_table(reading.regions, classes))
    if known is not None:
        known = ops.cast(known, "float32")
        mask = known if mask is None else known * mask
    return Targets(one_hot if mask is None else one_hot * mask, logits, mask, weights, reading.activation, strange)


def raise_if_strange(strange, y_true, classes: int, reading: Reading, name: str) -> None:
    """Refuse labels of no class, where values are known already.

    Args:
        strange: bool scalar, whether there are such.
        y_true: the labels.
        classes: number of classes.
        reading: of them.
        name: of the loss or metric.

    Raises:
        ZooError: naming the values and the mend.
    """
    if not concrete(strange):
        return
    values = ops.convert_to_numpy(y_true)
    kept = values if reading.ignore_class is None else values[values != reading.ignore_class]
    if reading.activation == "sigmoid" and not reading.regions:
        raise ZooError(
            f"{name}: labels from {kept.min():g} to {kept.max():g}; expected 0 to 1 in every channel, or ignore_class="
            "the value that does not count"
        )
    broken = kept[~(np.abs(kept - np.round(kept)) <= NEAR)].ravel()
    if broken.size:
        raise ZooError(
            f"{name}: labels hold {broken[0]:g}; expected whole numbers from 0 to {classes - 1}. Resize label maps by "
            "the nearest voxel, without interpolation"
        )
    wrong = sorted({int(v) for v in kept[(kept < 0) | (kept >= classes)].ravel()[:1000]})
    raise ZooError(
        f"{name}: labels hold class {', '.join(map(str, wrong[:5]))}; expected 0 to {classes - 1}. Set "
        f"ignore_class={wrong[-1]} if such voxels do not count"
    )


def _multi_hot(y_true, logits, ignore_class):
    """Labels of a sigmoid (batch, *spatial, channels), where they count, and whether some are beyond 0 to 1."""
    labels = ops.cast(y_true, "float32")
    if len(labels.shape) == len(logits.shape) - 1 and logits.shape[-1] == 1:
        labels = ops.expand_dims(labels, -1)
    given, expected = tuple(labels.shape), tuple(logits.shape)
    fits = len(given) == len(expected) and all(
        a is None or b is None or a == b for a, b in zip(given, expected, strict=True)
    )
    if not fits:
        raise ZooError(
            f"labels of shape {tuple(y_true.shape)} for sigmoid logits of shape {expected}; expected the same shape, "
            "a map of 0 and 1 for every channel, or class indices and regions="
        )
    known = None
    if ignore_class is not None:
        ignored = ops.equal(labels, float(ignore_class))
        known = ops.logical_not(ops.any(ignored, axis=-1, keepdims=True))
        labels = ops.where(ignored, 0.0, labels)
    strange = ops.any(ops.logical_not(ops.logical_and(labels >= 0, labels <= 1)))  # NaN as well
    return labels, known, strange
