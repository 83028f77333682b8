"""The scores, each a formula of the counts of ``zoo.metrics.class_metric``."""

import keras
from keras import ops

from zoo.metrics.class_metric import ClassMetric


def _ratio(above, below):
    """``above / below``, 1 where both are 0 and NaN where they are NaN."""
    return ops.where(below == 0, 1.0, above / ops.where(below == 0, 1.0, below))


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


@keras.saving.register_keras_serializable(package="medseg", name="FalsePositiveRateMetric")
class FalsePositiveRate(ClassMetric):
    """Share of what is not the class that was called it: FP / (FP + TN). Options: see ``ClassMetric``.

    0 where everything is the class. Lower is better.
    """

    def __init__(self, classes, name="false_positive_rate", **options):
        super().__init__(classes, name=name, **options)

    def scores(self):
        return 1 - _ratio(self.seen - self.present - (self.predicted - self.hits), self.seen - self.present)


@keras.saving.register_keras_serializable(package="medseg", name="FalseNegativeRateMetric")
class FalseNegativeRate(ClassMetric):
    """Share of what is the class that was not called it: FN / (FN + TP). Options: see ``ClassMetric``.

    0 where nothing is the class. Lower is better.
    """

    def __init__(self, classes, name="false_negative_rate", **options):
        super().__init__(classes, name=name, **options)

    def scores(self):
        return 1 - _ratio(self.hits, self.present)


@keras.saving.register_keras_serializable(package="medseg", name="MCCMetric")
class MCC(ClassMetric):
    """Matthews' correlation coefficient of each class against the rest, -1 to 1. Options: see ``ClassMetric``.

    Matthews, Biochimica et Biophysica Acta 1975, doi:10.1016/0005-2795(75)90109-9. 1 where labels and predictions are
    the same and of one class only; 0 where else one of the two is.
    """

    def __init__(self, classes, name="mcc", **options):
        super().__init__(classes, name=name, **options)

    def scores(self):
        # Shares of all voxels, as products of four counts would leave the range of float32.
        seen = ops.where(self.seen == 0, 1.0, self.seen)
        hits, predicted, present = (count / seen for count in (self.hits, self.predicted, self.present))
        below = ops.sqrt(ops.maximum(predicted * present * (1 - predicted) * (1 - present), 0.0))
        same = ops.logical_and(self.predicted == self.present, self.hits == self.present)
        score = (hits - predicted * present) / ops.where(below == 0, 1.0, below)
        return ops.where(below == 0, ops.cast(same, "float32"), score)
