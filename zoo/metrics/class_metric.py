"""What every metric shares: voxels counted over all batches, a score per class and the mean of them."""

import keras
from keras import ops

from zoo.errors import ZooError
from zoo.labels import class_indices, is_sparse, nan_if, read_options, region_table, split_weights
from zoo.losses.targets import prepare, raise_if_strange
from zoo.renamed import renamed


class ClassMetric(keras.metrics.Metric):
    """A score per class from counts over everything seen since the last reset.

    Args:
        classes: number of classes, background included; of a sigmoid the number of channels.
        include_background: let class 0 count in the mean. A sigmoid has no background: every channel counts.
        ignore_class: class index of voxels that do not count, or None. In one-hot labels a voxel of only zeros is one.
        per_class: report every class beside the mean: ``result()`` is then a dictionary ``name``, ``name_0``, ...
        ignore_empty: leave classes that no label held out of the mean; it is NaN if that is all of them.
        activation: "softmax" (the largest logit or probability is the prediction), or "sigmoid" (every logit above 0
            is one). By default a softmax, with ``regions`` a sigmoid.
        regions: for each sigmoid channel the class indices that it covers, as in ``zoo.losses``.
        ignore_label: former name of ``ignore_class``.
        options: name and dtype of ``keras.metrics.Metric``.

    A class that is neither in the labels nor in the predictions scores 1: there was nothing to find and nothing found.
    A class index that has no class is an error, in a compiled graph a score of NaN.
    """

    def __init__(
        self,
        classes: int,
        include_background: bool = False,
        ignore_class: int | None = None,
        per_class: bool = False,
        ignore_empty: bool = False,
        activation: str | None = None,
        regions=None,
        ignore_label: int | None = None,
        **options,
    ):
        super().__init__(**options)
        self.ignore_class = renamed(self.name, "ignore_label", "ignore_class", ignore_label, ignore_class)
        self.reading = read_options(self.name, activation, self.ignore_class, regions)
        least = 2 if self.reading.activation == "softmax" else 1
        if not isinstance(classes, int) or classes < least:
            hint = ", background is one of them" if least == 2 else ""
            raise ZooError(f"{self.name}: classes={classes!r}; expected at least {least}{hint}")
        if self.reading.regions and len(self.reading.regions) != classes:
            raise ZooError(f"{self.name}: classes={classes} for {len(self.reading.regions)} regions; expected one each")
        self.classes = classes
        self.include_background = include_background
        self.per_class = per_class
        self.ignore_empty = ignore_empty
        self.hits = self._counts("hits")
        self.predicted = self._counts("predicted")
        self.present = self._counts("present")
        self.seen = self._counts("seen")

    def _counts(self, name):
        return self.add_weight(shape=(self.classes,), initializer="zeros", dtype="float32", name=name)

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Count a batch.

        Args:
            y_true: class indices (batch, *spatial) or (batch, *spatial, 1), or one-hot (batch, *spatial, classes); of a
                sigmoid without regions a map of 0 and 1 for every channel.
            y_pred: logits (batch, *spatial, classes); probabilities of a softmax will do too.
            sample_weight: (batch,), (batch, 1), or weights of voxels (batch, *spatial) or (batch, *spatial, 1) in
                which any axis may be 1; None for none.

        Raises:
            ZooError: if shapes do not fit together, or a class index has no class.
        """
        y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
        if y_pred.shape[-1] != self.classes:
            raise ZooError(f"{self.name}: predictions of shape {tuple(y_pred.shape)} for classes={self.classes}")
        truth, weight = self._truth(y_true, y_pred)
        of_samples, of_voxels = split_weights(sample_weight, y_pred, self.name)
        if of_samples is not None:
            weight = weight * ops.reshape(of_samples, (-1,) + (1,) * (len(y_pred.shape) - 1))
        elif of_voxels is not None:
            weight = weight * of_voxels
        if self.reading.activation == "sigmoid":
            guess = y_pred > 0
        else:
            known = ops.arange(self.classes, dtype="int32")
            guess = ops.equal(ops.expand_dims(ops.cast(ops.argmax(y_pred, axis=-1), "int32"), -1), known)
        axes = tuple(range(len(y_pred.shape) - 1))
        truth, guess = truth * weight, ops.cast(guess, "float32")
        self.hits.assign_add(ops.sum(truth * guess, axis=axes))
        self.predicted.assign_add(ops.sum(guess * weight, axis=axes))
        self.present.assign_add(ops.sum(truth, axis=axes))
        self.seen.assign_add(ops.sum(weight * ops.ones_like(guess), axis=axes))

    def _truth(self, y_true, y_pred):
        """Labels (batch, *spatial, classes) of 0 and 1, and the weights (batch, *spatial, 1) of what is ignored."""
        ignored, regions = self.ignore_class, self.reading.regions
        if self.reading.activation == "sigmoid" and not regions:
            targets = prepare(y_true, y_pred, self.reading, name=self.name)
            # A soft label is the class that is more likely than not.
            truth = ops.cast(targets.one_hot > 0.5, "float32")
            weight = ops.ones_like(truth[..., :1]) if targets.mask is None else targets.mask
            return truth, weight * nan_if(targets.strange)
        classes = self.reading.classes or self.classes
        if is_sparse(y_true, y_pred, classes):
            labels = y_true[..., 0] if len(y_true.shape) == len(y_pred.shape) else y_true
        else:
            labels = ops.cast(ops.argmax(y_true, axis=-1), "int32")
            if ignored is not None:  # as in the losses, a voxel of only zeros is one
                empty = ops.equal(ops.sum(y_true, axis=-1), 0)
                labels = ops.where(empty, ignored, labels)
        given = labels
        labels, strange = class_indices(given, classes, ignored)
        raise_if_strange(strange, given, classes, self.reading, self.name)
        truth = ops.equal(ops.expand_dims(labels, -1), ops.arange(classes, dtype="int32"))
        truth = ops.cast(truth, "float32")
        weight = ops.ones_like(labels, dtype="float32")
        if ignored is not None:
            weight = weight * ops.cast(ops.not_equal(labels, ignored), "float32")
        truth = ops.matmul(truth, region_table(regions, classes)) if regions else truth
        return truth, ops.expand_dims(weight, -1) * nan_if(strange)

    def scores(self):
        """The score of each class, (classes,)."""
        raise NotImplementedError

    def result(self):
        """The mean over the classes that count, or a dictionary with every class too if ``per_class``."""
        scores = self.scores()
        first = 0 if self.include_background or self.reading.activation == "sigmoid" else 1
        kept, present = scores[first:], self.present[first:]
        if self.ignore_empty:
            some = ops.cast(present > 0, "float32")
            mean = ops.sum(ops.where(present > 0, kept, 0.0)) / ops.sum(some)
        else:
            mean = ops.mean(kept)
        if not self.per_class:
            return mean
        return {self.name: mean, **{f"{self.name}_{i}": scores[i] for i in range(self.classes)}}

    def get_config(self):
        return {
            **super().get_config(),
            "classes": self.classes,
            "include_background": self.include_background,
            "ignore_class": self.ignore_class,
            "per_class": self.per_class,
            "ignore_empty": self.ignore_empty,
            "activation": self.reading.activation,
            "regions": self.reading.regions or None,
        }
