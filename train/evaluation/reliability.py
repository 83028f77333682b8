"""Whether a network's probabilities can be believed: measured while it is scored, drawn in its report."""

import numpy as np
from scipy.special import expit

import imaging
from imaging.measure.calibration import calibration_error, class_reliability, map_reliability, pooled
from imaging.regions import mask_of, structures
from train.evaluation.reference import read_reference
from train.planning.plan import Plan

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
        slabs = [slice(start, start + SLAB) for start in range(0, len(scores), SLAB)]
        self.tables.append(pooled(self._table(self._probabilities(scores[s]), reference[s]) for s in slabs))

    def _table(self, probabilities, reference):
        if not self.plan.regions:
            return class_reliability(probabilities, reference)
        maps = np.stack([mask_of(reference, indices) for indices in self.plan.region_classes], axis=-1)
        return map_reliability(probabilities, maps, reference != self.plan.ignore_class)

    def result(self) -> dict[str, list]:
        """Foreground class or region to [voxels, mean probability, share of the class] of each bin of probability."""
        tables = pooled(self.tables)
        first = 0 if self.plan.regions else 1  # there is no channel of the background
        names = list(structures(self.plan.labels, self.plan.regions))
        return {name: table.tolist() for name, table in zip(names, tables[first:], strict=True)}

    def _probabilities(self, scores):
        if not self.logits:
            return scores
        if self.plan.regions:
            return expit(scores[..., : len(self.plan.regions)])
        shifted = np.exp(scores - scores.max(-1, keepdims=True))
        return shifted / shifted.sum(-1, keepdims=True)


def joined(results) -> dict[str, list]:
    """``Reliability.result`` of several sets of cases as that of all of them."""
    results = list(results)
    return {label: pooled(result[label] for result in results).tolist() for label in results[0]}


def errors(result: dict) -> dict[str, float]:
    """The expected calibration error of each class of ``Reliability.result``."""
    return {label: calibration_error(table) for label, table in result.items()}
