"""Whether the scans and results of late are still those of before, and those of the training.

Two references: the fingerprint in the manifest (``edge.trust.fingerprint``), of the training, and the first cases in
service, of this site. Rank tests hold for features of any distribution, so that the rate of false alerts is known.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edge.trust.fingerprint import Fingerprint, Range, room_share

BASELINE = 50  # first cases in service
FEWEST = 20  # below, nothing is said
WINDOWS = (25, 50)  # last cases
LEVEL = 1e-5  # of a test; some thirty features and two windows stay below one false alert in a thousand cases
OUTSIDE = 0.4  # share of the last cases beyond the training's range that is an alert
BINS = 10
LARGE_PSI = 0.25  # what is commonly called a large shift


@dataclass(frozen=True)
class Drift:
    """What is known of a feature.

    Attributes:
        feature: its name.
        psi: population stability index of the last cases against the reference; above 0.25 is large.
        ks: Kolmogorov-Smirnov statistic of the same.
        p: smallest p value of the Kolmogorov-Smirnov and the Mann-Whitney test; 1 without a baseline.
        outside: share of the last cases beyond the range of the training, or None where it has none.
        alert: whether a limit is crossed.
        n: cases that were looked at.
    """

    feature: str
    psi: float
    ks: float
    p: float
    outside: float | None
    alert: bool
    n: int


def drift_of(features: Sequence[Mapping[str, float]], fingerprint: Fingerprint | None) -> list[Drift]:
    """The drift of each feature, what is most suspicious first.

    Args:
        features: of each case in the order in which they came, see ``edge.trust.observation``.
        fingerprint: of the training, or None.
    """
    names = sorted(set().union(*features)) if features else []
    rows = []
    for name in names:
        values = np.array([row[name] for row in features if name in row], float)
        expected = None if fingerprint is None else fingerprint.ranges.get(name)
        if len(values) >= FEWEST:
            cases = 0 if fingerprint is None else fingerprint.cases
            rows.append(_drift(name, values, expected, cases))
    return sorted(rows, key=lambda row: (not row.alert, row.p, -(row.outside or 0), row.feature))


def population_stability_index(reference: np.ndarray, recent: np.ndarray, bins: int = BINS) -> float:
    """Sum over bins of (q - p) ln(q / p), with bins of equal share in the reference.

    Yurdakul, Statistical properties of the population stability index, Western Michigan University, 2018. Each bin
    counts half a case more than it holds, so that an empty one has a logarithm.

    Args:
        reference, recent: values.
        bins: how many.
    """
    edges = np.unique(np.quantile(reference, np.linspace(0, 1, bins + 1)[1:-1]))
    counts = [np.bincount(np.searchsorted(edges, values, "left"), minlength=len(edges) + 1) + 0.5
              for values in (reference, recent)]  # fmt: skip
    p, q = (count / count.sum() for count in counts)
    return float(((q - p) * np.log(q / p)).sum())


def training_sample(expected: Range, cases: int, count: int = 200) -> np.ndarray:
    """Values such as the training had, of which the manifest holds the range alone: evenly spread quantiles of a normal
    distribution whose smallest and largest of ``cases`` draws would be those of the training.

    Args:
        expected: range in the manifest, with its room beyond the training's own.
        cases: that it was made from.
        count: of the values.
    """
    from scipy.stats import norm

    half = (expected.high - expected.low) / 2 / (1 + 2 * room_share(cases))
    deviation = half / norm.ppf(1 - 0.5 / max(cases, 2))
    middle = (expected.low + expected.high) / 2
    return norm.ppf((np.arange(count) + 0.5) / count, middle, max(deviation, 1e-12))


def _drift(name, values, expected, cases):
    baseline, later = values[:BASELINE], values[BASELINE:]
    p, recent = 1.0, values[-WINDOWS[0] :]
    if len(baseline) == BASELINE:
        for window in WINDOWS:
            if len(later) >= min(window, FEWEST):
                p = min(p, *_tests(baseline, later[-window:]))
    outside = None
    if expected is not None:
        outside = float(np.mean([expected.beyond(value) > 1 for value in recent]))
    reference = training_sample(expected, cases) if expected is not None and expected.high > expected.low else baseline
    psi, ks = population_stability_index(reference, recent), _statistic(reference, recent)
    alert = p < LEVEL or (outside is not None and outside >= OUTSIDE)
    return Drift(name, psi, ks, float(p), outside, bool(alert), len(values))


def _tests(baseline, recent):
    from scipy.stats import ks_2samp, mannwhitneyu

    if np.ptp(np.concatenate([baseline, recent])) == 0:
        return (1.0,)
    return (
        float(ks_2samp(baseline, recent, method="asymp").pvalue),
        float(mannwhitneyu(baseline, recent, method="asymptotic").pvalue),
    )


def _statistic(reference, recent):
    from scipy.stats import ks_2samp

    return float(ks_2samp(reference, recent, method="asymp").statistic)
