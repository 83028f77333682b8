"""How losses and metrics understand labels, and the weights of samples and voxels."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from keras import ops
from keras.backend import standardize_dtype

from zoo.errors import ZooError

ACTIVATIONS = ("softmax", "sigmoid")
NEAR = 0.01  # of a whole number, that a label of floats may lie


@dataclass(frozen=True)
class Reading:
    """How labels and the channels of a network belong together.

    Attributes:
        activation: "softmax" (a voxel is of one class, class 0 the background) or "sigmoid" (every channel is a
            question of its own, answered by a map of 0 and 1; there is no background channel).
        ignore_class: value of voxels that do not count, or None. In one-hot labels a voxel of only zeros is one.
        regions: with a sigmoid the class indices that each channel covers; labels are then class indices, or one-hot
            of classes. Empty: labels are a map for every channel.
    """

    activation: str = "softmax"
    ignore_class: int | None = None
    regions: tuple[tuple[int, ...], ...] = ()

    @property
    def classes(self) -> int | None:
        """Number of classes in labels of regions, background included; None without regions."""
        return 1 + max(max(region) for region in self.regions) if self.regions else None


def read_options(name: str, activation: str | None, ignore_class, regions) -> Reading:
    """The options of a loss or metric as a ``Reading``.

    Args:
        name: of the loss or metric, for messages.
        activation: see ``Reading``; None for a sigmoid with regions, else a softmax.
        ignore_class: see ``Reading``.
        regions: see ``Reading``; None for none.

    Raises:
        ZooError: for values that do not fit together.
    """
    activation = activation or ("sigmoid" if regions else "softmax")
    if activation not in ACTIVATIONS:
        raise ZooError(f"{name}: activation={activation!r}; expected {' or '.join(ACTIVATIONS)}")
    if not regions:
        return Reading(activation, ignore_class)
    if activation != "sigmoid":
        raise ZooError(f"{name}: regions overlap, so they need activation='sigmoid', got {activation!r}")
    regions = tuple(tuple(int(index) for index in region) for region in regions)
    if any(not region or min(region) < 1 for region in regions):
        raise ZooError(f"{name}: regions={regions}; expected for each the class indices that it covers, 1 or more")
    if ignore_class is not None and any(ignore_class in region for region in regions):
        raise ZooError(f"{name}: ignore_class={ignore_class} belongs to a region; expected another value")
    return Reading(activation, ignore_class, regions)


def region_table(regions: Sequence[Sequence[int]], classes: int) -> np.ndarray:
    """float32 (classes, regions), 1 where a class belongs to a region."""
    table = np.zeros((classes, len(regions)), np.float32)
    for column, region in enumerate(regions):
        table[list(region), column] = 1
    return table


def is_sparse(y_true, y_pred, classes: int | None = None) -> bool:
    """Whether labels are class indices (rather than one-hot) for predictions ``y_pred`` (batch, *spatial, channels).

    Args:
        y_true: the labels.
        y_pred: the predictions.
        classes: of the labels; the channels of ``y_pred`` by default.

    Raises:
        ZooError: if they are neither.
    """
    given, expected = tuple(y_true.shape), (*y_pred.shape[:-1], classes or y_pred.shape[-1])
    sparse = len(given) == len(expected) - 1 or (len(given) == len(expected) and given[-1] == 1)
    one_hot = len(given) == len(expected) and given[-1] in (expected[-1], None)
    spatial = zip(given[1 : len(expected) - 1], expected[1:-1], strict=False)
    fits = all(a is None or b is None or a == b for a, b in spatial)
    if not (sparse or one_hot) or not fits:
        raise ZooError(
            f"labels of shape {given} for predictions of shape {tuple(y_pred.shape)}; expected class indices "
            f"{expected[:-1]} or {(*expected[:-1], 1)}, or one-hot {expected}"
        )
    return sparse


def class_indices(labels, classes: int, ignore_class: int | None):
    """Labels as int32, and whether some of them are no class and are not ignored.

    Args:
        labels: of whole numbers, integers or floats that are within ``NEAR`` of them; a mask that was interpolated
            holds others, which are no classes.
        classes: number of classes.
        ignore_class: value that does not count, or None.

    Returns:
        The labels, and a bool scalar.
    """
    indices, broken = labels, None
    if "float" in standardize_dtype(labels.dtype):
        whole = ops.round(labels)
        broken = ops.logical_not(ops.abs(ops.cast(labels - whole, "float32")) <= NEAR)  # NaN as well
        indices = ops.where(broken, -1.0, ops.cast(whole, "float32"))
    indices = ops.cast(indices, "int32")
    wrong = ops.logical_or(indices < 0, indices >= classes)
    if ignore_class is not None:
        wrong = ops.logical_and(wrong, ops.not_equal(indices, ignore_class))
    return indices, ops.any(wrong if broken is None else ops.logical_or(wrong, broken))


def nan_if(flag):
    """NaN where a bool scalar holds, else 1: a factor for what must not pass for a result.

    Of a result at last, not of what goes into it: XLA's minimum, maximum and exponential may lose a NaN.
    """
    return ops.where(flag, float("nan"), 1.0)


def concrete(flag) -> bool:
    """Whether a bool scalar is known to be true; False in a graph that is only being built."""
    try:
        return bool(ops.convert_to_numpy(flag))
    except (NotImplementedError, TypeError, ValueError, AttributeError):  # what TensorFlow, JAX and Keras raise
        return False


def split_weights(sample_weight, y_pred, name: str):
    """Weights as those of samples and those of voxels; one of the two is None.

    Args:
        sample_weight: a number, (batch,), (batch, 1), (batch, 1, 1) and so on for samples; for voxels (batch, *spatial)
            or (batch, *spatial, 1) in which any axis may be 1; None for none.
        y_pred: (batch, *spatial, channels).
        name: of the loss or metric, for messages.

    Returns:
        (batch,) and None, None and (batch, *spatial, 1), or None and None.

    Raises:
        ZooError: for another shape.
    """
    if sample_weight is None:
        return None, None
    weights = ops.cast(ops.convert_to_tensor(sample_weight), "float32")
    given, voxels = tuple(weights.shape), tuple(y_pred.shape[:-1])
    axes = len(given)
    unknown = axes == 2 and given[1] is None
    if axes <= len(voxels) + 1 and (unknown or all(size == 1 for size in given[1:])):
        fits = axes == 0 or given[0] in (1, None, voxels[0]) or voxels[0] is None
        if fits:
            return ops.broadcast_to(ops.reshape(weights, (-1,)), ops.shape(y_pred)[:1]), None
    if axes == len(voxels) + 1 and given[-1] == 1:
        weights, given = weights[..., 0], given[:-1]
    fits = len(given) == len(voxels) and all(
        a in (1, None) or b is None or a == b for a, b in zip(given, voxels, strict=True)
    )
    if not fits:
        raise ZooError(
            f"{name}: sample_weight of shape {tuple(sample_weight.shape)} for predictions of shape "
            f"{tuple(y_pred.shape)}; expected (batch,) or (batch, 1), or for voxels {voxels} or {(*voxels, 1)}, "
            "where any axis may be 1"
        )
    whole = ops.broadcast_to(weights, ops.shape(y_pred)[:-1])
    return None, ops.expand_dims(whole, -1)
