"""Streaming metrics from logits: counts of voxels over all batches, per class and their mean."""

import keras
from keras import ops

from zoo.errors import ZooError, unknown
from zoo.losses.targets import is_sparse


class ClassMetric(keras.metrics.Metric):
    """A score per class from counts over everything seen since the last reset.

    Args:
        classes: number of classes, background included.
        include_background: let class 0 count in the mean.
        ignore_label: class index of voxels that do not count, or None. In one-hot labels a voxel of only zeros is one.
        per_class: report every class beside the mean: ``result()`` is then a dictionary ``name``, ``name_0``, ...
        name: of the metric.
        dtype: as in Keras.

    A class that is neither in the labels nor in the predictions scores 1: there was nothing to find and nothing found.
    """

    def __init__(
        self,
        classes: int,
        include_background: bool = False,
        ignore_label: int | None = None,
        per_class: bool = False,
        name: str | None = None,
        dtype=None,
    ):
        super().__init__(name=name, dtype=dtype)
        if not isinstance(classes, int) or classes < 2:
            raise ZooError(f"{self.name}: classes={classes!r}; at least 2 are accepted, background is one of them")
        self.classes = classes
        self.include_background = include_background
        self.ignore_label = ignore_label
        self.per_class = per_class
        self.hits = self._counts("hits")
        self.predicted = self._counts("predicted")
        self.present = self._counts("present")
        self.seen = self._counts("seen")

    def _counts(self, name):
        return self.add_weight(shape=(self.classes,), initializer="zeros", dtype="float32", name=name)

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Count a batch.

        Args:
            y_true: class indices (batch, *spatial) or (batch, *spatial, 1), or one-hot (batch, *spatial, classes).
            y_pred: logits or probabilities (batch, *spatial, classes).
            sample_weight: (batch,), or None.
        """
        y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
        if y_pred.shape[-1] != self.classes:
            raise ZooError(f"{self.name}: predictions of shape {tuple(y_pred.shape)} for classes={self.classes}")
        if is_sparse(y_true, y_pred):
            labels = ops.cast(y_true, "int32")
            labels = labels[..., 0] if len(labels.shape) == len(y_pred.shape) else labels
        else:
            labels = ops.argmax(y_true, axis=-1)
            if self.ignore_label is not None:  # as in the losses, a voxel of only zeros is one
                empty = ops.equal(ops.sum(y_true, axis=-1), 0)
                labels = ops.where(empty, self.ignore_label, ops.cast(labels, "int32"))
        known = ops.arange(self.classes, dtype="int32")
        truth = ops.equal(ops.expand_dims(ops.cast(labels, "int32"), -1), known)
        guess = ops.equal(ops.expand_dims(ops.cast(ops.argmax(y_pred, axis=-1), "int32"), -1), known)
        weight = ops.ones_like(labels, dtype="float32")
        if self.ignore_label is not None:
            weight = weight * ops.cast(ops.not_equal(labels, self.ignore_label), "float32")
        if sample_weight is not None:
            shape = (-1,) + (1,) * (len(y_pred.shape) - 2)
            weight = weight * ops.reshape(ops.cast(sample_weight, "float32"), shape)
        weight = ops.expand_dims(weight, -1)
        axes = tuple(range(len(y_pred.shape) - 1))
        truth, guess = ops.cast(truth, "float32") * weight, ops.cast(guess, "float32")
        self.hits.assign_add(ops.sum(truth * guess, axis=axes))
        self.predicted.assign_add(ops.sum(guess * weight, axis=axes))
        self.present.assign_add(ops.sum(truth, axis=axes))
        self.seen.assign_add(ops.sum(weight * ops.ones_like(guess), axis=axes))

    def scores(self):
        """The score of each class, (classes,)."""
        raise NotImplementedError

    def result(self):
        """The mean over the classes that count, or a dictionary with every class too if ``per_class``."""
        scores = self.scores()
        mean = ops.mean(scores if self.include_background else scores[1:])
        if not self.per_class:
            return mean
        return {self.name: mean, **{f"{self.name}_{i}": scores[i] for i in range(self.classes)}}

    def get_config(self):
        return {
            **super().get_config(),
            "classes": self.classes,
            "include_background": self.include_background,
            "ignore_label": self.ignore_label,
            "per_class": self.per_class,
        }


def _ratio(above, below):
    """``above / below``, and 1 where both are 0."""
    return ops.where(below > 0, above / ops.where(below > 0, below, 1.0), 1.0)


@keras.saving.register_keras_serializable(package="medseg", name="DiceMetric")
class Dice(ClassMetric):
    """Dice of the argmax: 2 |A and B| / (|A| + |B|), counted over all voxels seen. Options: see ``ClassMetric``."""

    def __init__(self, classes, name="dice", **options):
        super().__init__(classes, name=name, **options)

    def scores(self):
        return _ratio(2 * self.hits, self.predicted + self.present)


@keras.saving.register_keras_serializable(package="medseg", name="IoUMetric")
class IoU(ClassMetric):
    """Intersection over union of the argmax: |A and B| / |A or B|. Options: see ``ClassMetric``."""

    def __init__(self, classes, name="iou", **options):
        super().__init__(classes, name=name, **options)

    def scores(self):
        return _ratio(self.hits, self.predicted + self.present - self.hits)


@keras.saving.register_keras_serializable(package="medseg", name="PrecisionMetric")
class Precision(ClassMetric):
    """Share of what was predicted that is right: TP / (TP + FP). Options: see ``ClassMetric``.

    1 for a class never predicted, also where it was missed: nothing predicted was wrong.
    """

    def __init__(self, classes, name="precision", **options):
        super().__init__(classes, name=name, **options)

    def scores(self):
        return _ratio(self.hits, self.predicted)


@keras.saving.register_keras_serializable(package="medseg", name="RecallMetric")
class Recall(ClassMetric):
    """Share of what is there that was found: TP / (TP + FN). Options: see ``ClassMetric``."""

    def __init__(self, classes, name="recall", **options):
        super().__init__(classes, name=name, **options)

    def scores(self):
        return _ratio(self.hits, self.present)


@keras.saving.register_keras_serializable(package="medseg", name="SpecificityMetric")
class Specificity(ClassMetric):
    """Share of what is not the class that was not called it: TN / (TN + FP). Options: see ``ClassMetric``."""

    def __init__(self, classes, name="specificity", **options):
        super().__init__(classes, name=name, **options)

    def scores(self):
        absent = self.seen - self.present
        return _ratio(absent - (self.predicted - self.hits), absent)


@keras.saving.register_keras_serializable(package="medseg", name="F1Metric")
class F1(Dice):
    """F1 score, the harmonic mean of precision and recall: the same number as Dice. Options: see ``ClassMetric``."""

    def __init__(self, classes, name="f1", **options):
        super().__init__(classes, name=name, **options)


@keras.saving.register_keras_serializable(package="medseg", name="AccuracyMetric")
class Accuracy(ClassMetric):
    """Share of voxels that are rightly called the class or not: (TP + TN) / all. Options: see ``ClassMetric``.

    The mean is over classes; over all voxels together it is ``keras.metrics.SparseCategoricalAccuracy``.
    """

    def __init__(self, classes, name="accuracy", **options):
        super().__init__(classes, name=name, **options)

    def scores(self):
        return _ratio(self.seen - self.predicted - self.present + 2 * self.hits, self.seen)


_BY_NAME = {
    "dice": Dice,
    "iou": IoU,
    "precision": Precision,
    "recall": Recall,
    "specificity": Specificity,
    "f1": F1,
    "accuracy": Accuracy,
}


def get(name: str, classes: int, **options):
    """A metric by its name in lower case, for example ``get("dice", 3)``.

    Raises:
        ZooError: for an unknown name.
    """
    if name not in _BY_NAME:
        raise unknown("metric", name, sorted(_BY_NAME))
    return _BY_NAME[name](classes, **options)
