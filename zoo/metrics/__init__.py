"""Streaming metrics from logits: counts of voxels over all batches, per class and their mean."""

from zoo.errors import unknown
from zoo.metrics.class_metric import ClassMetric
from zoo.metrics.scores import (
    F1,
    MCC,
    Accuracy,
    Dice,
    FalseNegativeRate,
    FalsePositiveRate,
    IoU,
    Precision,
    Recall,
    Specificity,
)

__all__ = [
    "F1",
    "MCC",
    "Accuracy",
    "ClassMetric",
    "Dice",
    "FalseNegativeRate",
    "FalsePositiveRate",
    "IoU",
    "Precision",
    "Recall",
    "Specificity",
    "get",
    "list_metrics",
]

_BY_NAME = {
    "dice": Dice,
    "iou": IoU,
    "precision": Precision,
    "recall": Recall,
    "specificity": Specificity,
    "f1": F1,
    "accuracy": Accuracy,
    "false_positive_rate": FalsePositiveRate,
    "false_negative_rate": FalseNegativeRate,
    "mcc": MCC,
}


def get(name: str, classes: int, **options):
    """A metric by its name in lower case, for example ``get("dice", 3)``.

    Raises:
        ZooError: for an unknown name.
    """
    if name not in _BY_NAME:
        raise unknown("metric", name, sorted(_BY_NAME))
    return _BY_NAME[name](classes, **options)


def list_metrics() -> list[str]:
    """Names that ``get`` accepts."""
    return sorted(_BY_NAME)
