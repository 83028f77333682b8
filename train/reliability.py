"""Whether a network's probabilities can be believed: measured while it is scored, drawn in its report."""

import numpy as np

import imaging
from imaging.calibration import calibration_error, class_reliability, pooled
from train.plan import Plan
from train.reference import read_reference

SLAB = 16  # slices of the first axis whose probabilities are held at once


class Reliability:
    """Gathers probability against frequency over cases, on the grid that the network sees.

    Args:
        plan: of the network.
        logits: whether its scores are logits, else probabilities.
    """

    def __init__(self, plan: Plan, logits: bool):
        self.plan = plan
        self.logits = logits
        self.tables = []
        self.last = None

    def keep(self, prepared, scores) -> None:
        """Take a prepared scan and its scores (*prepared.shape, K), until ``add`` says of which case they are."""
        self.last = prepared, scores

    def add(self, case) -> None:
        """Count the voxels of what was kept last."""
        (prepared, scores), self.last = self.last, None
        reference = read_reference(case, self.plan.labels, self.plan.ignore)
        reference = imaging.prepare_labels(reference, prepared, self.plan.recipe).voxels[..., 0]
        slabs = range(0, len(scores), SLAB)
        self.tables.append(
            pooled(
                class_reliability(self._probabilities(scores[start : start + SLAB]), reference[start : start + SLAB])
                for start in slabs
            )
        )

    def result(self) -> dict[str, list]:
        """Foreground class to [voxels, mean probability, share of the class] of each bin of probability."""
        tables = pooled(self.tables)
        return {label.name: tables[index].tolist() for index, label in enumerate(self.plan.labels) if index}

    def _probabilities(self, scores):
        if not self.logits:
            return scores
        shifted = np.exp(scores - scores.max(-1, keepdims=True))
        return shifted / shifted.sum(-1, keepdims=True)


def joined(results) -> dict[str, list]:
    """``Reliability.result`` of several sets of cases as that of all of them."""
    results = list(results)
    return {label: pooled(result[label] for result in results).tolist() for label in results[0]}


def errors(result: dict) -> dict[str, float]:
    """The expected calibration error of each class of ``Reliability.result``."""
    return {label: calibration_error(table) for label, table in result.items()}
