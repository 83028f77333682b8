"""Labels and logits in the form that the losses compute with."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from keras import ops

from zoo.errors import ZooError


@dataclass(frozen=True)
class Targets:
    """Labels and logits of a batch, in float32.

    Attributes:
        one_hot: labels (batch, *spatial, classes), zeros where ignored.
        logits: (batch, *spatial, classes).
        mask: (batch, *spatial, 1), 1 where a voxel counts and 0 where not; None if all count.
    """

    one_hot: Any
    logits: Any
    mask: Any = None

    @property
    def classes(self) -> int:
        """Number of classes."""
        return self.logits.shape[-1]

    @property
    def axes(self) -> tuple[int, ...]:
        """The spatial axes."""
        return tuple(range(1, len(self.logits.shape) - 1))

    @cached_property
    def probabilities(self):
        """Softmax of the logits, zeros where ignored."""
        return self.masked(ops.softmax(self.logits, axis=-1))

    @cached_property
    def log_probabilities(self):
        """Logarithm of the softmax, nothing ignored."""
        return ops.log_softmax(self.logits, axis=-1)

    def masked(self, per_voxel):
        """``per_voxel`` (batch, *spatial, any) with zeros where ignored."""
        return per_voxel if self.mask is None else per_voxel * self.mask


def prepare(y_true, y_pred, ignore_label: int | None = None) -> Targets:
    """Bring labels and logits to one form.

    Args:
        y_true: class indices (batch, *spatial) or (batch, *spatial, 1), or one-hot (batch, *spatial, classes).
        y_pred: logits (batch, *spatial, classes).
        ignore_label: class index of voxels that do not count, or None. In one-hot labels a voxel of only zeros is one.

    Raises:
        ZooError: if the shapes do not fit together.
    """
    logits = ops.cast(y_pred, "float32")
    classes = logits.shape[-1]
    if classes is None or classes < 2:
        raise ZooError(f"logits of shape {tuple(logits.shape)}; at least 2 classes (background first) are accepted")
    if is_sparse(y_true, logits):
        labels = ops.cast(y_true, "int32")
        labels = labels if len(labels.shape) == len(logits.shape) else ops.expand_dims(labels, -1)
        mask = None if ignore_label is None else ops.cast(ops.not_equal(labels, ignore_label), "float32")
        # Compared, not one_hot: a label outside the classes is then no class at all on every backend.
        one_hot = ops.cast(ops.equal(labels, ops.arange(classes, dtype="int32")), "float32")
    else:
        one_hot = ops.cast(y_true, "float32")
        found = ops.sum(one_hot, axis=-1, keepdims=True)
        mask = None if ignore_label is None else ops.cast(ops.greater(found, 0), "float32")
    return Targets(one_hot if mask is None else one_hot * mask, logits, mask)


def is_sparse(y_true, y_pred) -> bool:
    """Whether labels are class indices (rather than one-hot) for logits ``y_pred`` (batch, *spatial, classes).

    Raises:
        ZooError: if they are neither.
    """
    found, wanted = tuple(y_true.shape), tuple(y_pred.shape)
    sparse = len(found) == len(wanted) - 1 or (len(found) == len(wanted) and found[-1] == 1)
    one_hot = len(found) == len(wanted) and found[-1] in (wanted[-1], None)
    fits = all(a is None or b is None or a == b for a, b in zip(found[1 : len(wanted) - 1], wanted[1:-1], strict=False))
    if not (sparse or one_hot) or not fits:
        raise ZooError(
            f"labels of shape {found} for logits of shape {wanted}; accepted are class indices {wanted[:-1]} or "
            f"{(*wanted[:-1], 1)}, or one-hot {wanted}"
        )
    return sparse
