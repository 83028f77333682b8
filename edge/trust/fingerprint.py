"""Whether a scan is like those that a network was trained on, and how good its segmentation may be."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edge.trust.layout import Layout, layout_features, make_layout

MIN_CASES = 6  # below, ranges say too little
EMPTY = "empty: no voxel of any structure"
MARGIN, FEW = 0.25, 8  # of ``room_share``
# The least width of a range, by the first words of features.
_WIDTHS = {
    "spacing": 0.02, "field of view": 1.0, "intensity": 0.2, "detail": 0.04, "edges": 0.04, "confidence": 0.03,
    "entropy": 0.03, "unsure": 0.05, "place": 0.1, "fine detail": 0.02, "sharpness": 2.5, "roughness": 2.5,
    "noise floor": 2.5, "likeness over turned": 0.3, "likeness": 0.4, "brightness": 0.05, "brightest": 0.02,
    "centre of detail": 0.05,
}  # fmt: skip
_TOPICS = {
    "spacing": "spacing", "field of view": "field of view", "intensity": "contrast", "detail": "texture",
    "edges": "texture", "confidence": "answer", "entropy": "answer", "unsure": "answer", "place": "region",
    "volume": "region", "fine detail": "texture", "sharpness": "texture", "roughness": "texture",
    "noise floor": "texture", "likeness over turned": "orientation", "likeness": "layout", "brightness": "contrast",
    "brightest": "contrast", "centre of detail": "orientation",
}  # fmt: skip
_UNITS = {
    "spacing": " mm", "field of view": " mm", "sharpness": " dB", "roughness": " dB", "noise floor": " dB",
}  # fmt: skip
_QUALITY = ("confidence", "entropy", "unsure")


@dataclass(frozen=True)
class Range:
    """What is expected of a feature.

    Attributes:
        low: smallest expected value, in the feature's own unit.
        high: largest expected value.
    """

    low: float
    high: float

    def beyond(self, value: float) -> float:
        """Distance from the middle in half widths: above 1 outside."""
        half = (self.high - self.low) / 2
        return abs(value - (self.low + self.high) / 2) / half if half else 0.0


@dataclass(frozen=True)
class Quality:
    """Mean Dice of the structures as a linear function of features.

    Attributes:
        features: their names.
        weights: of each.
        intercept: of the sum.
        error: 90 % of the held-back cases lay no further from their prediction, each predicted without itself.
        cases: that it was fitted to, altered copies of them included.
    """

    features: tuple[str, ...]
    weights: tuple[float, ...]
    intercept: float
    error: float
    cases: int


@dataclass(frozen=True)
class Fingerprint:
    """What scans of the training's kind look like, with the network's answers to them.

    Attributes:
        cases: number of scans it was made from.
        ranges: feature (``edge.trust.observation``) to its expected range.
        quality: None where there were too few labelled cases.
        layout: None where it is not known.
    """

    cases: int
    ranges: dict[str, Range]
    quality: Quality | None = None
    layout: Layout | None = None


@dataclass(frozen=True)
class Estimate:
    """A predicted mean Dice, and where it lies in 90 % of the cases."""

    dice: float
    low: float
    high: float


def room_share(cases: int) -> float:
    """Room beyond the range of so many cases on either side, as a share of it; few cases span less than there is."""
    return MARGIN + FEW / max(cases, 1)


def make_fingerprint(
    observed: Sequence[Mapping[str, float]], quality: Quality | None = None, cells: Sequence[np.ndarray] = ()
) -> Fingerprint | None:
    """The ranges of features over cases.

    Args:
        observed: features of each case.
        quality: to be kept with them.
        cells: of each case, as ``edge.trust.layout.cells_of`` gives them; none leaves the layout out.

    Returns:
        The fingerprint, or None of fewer than ``MIN_CASES`` cases.
    """
    if len(observed) < MIN_CASES:
        return None
    layout = make_layout(cells) if len(cells) else None
    if layout is not None:
        # Each against the others: a new scan is no part of the mean either.
        observed = [
            {**features, **layout_features(cells[i], make_layout([*cells[:i], *cells[i + 1 :]]))}
            for i, features in enumerate(observed)
        ]
    ranges = {}
    for name in observed[0]:
        values = [features[name] for features in observed if name in features]
        if len(values) < MIN_CASES:
            continue
        low, high = min(values), max(values)
        width = max(high - low, _WIDTHS.get(_kind(name), 0.2 * max(abs(low), abs(high))))
        room = room_share(len(values)) * width
        ranges[name] = Range(low - room, high + room)
    return Fingerprint(len(observed), ranges, quality, layout)


def fit_quality(
    observed: Sequence[Mapping[str, float]], dice: Sequence[float], groups: Sequence[str]
) -> Quality | None:
    """Fit the predicted quality.

    Args:
        observed: features of each segmentation; those of empty ones are left out.
        dice: mean Dice of each.
        groups: the case of each: an altered copy is held back with the case that it was made from.

    Returns:
        The fit, or None of fewer than ``MIN_CASES`` cases.
    """
    rows = [i for i, features in enumerate(observed) if all(name in features for name in _QUALITY)]
    names = np.array([groups[i] for i in rows])
    if len(set(names)) < MIN_CASES:
        return None
    inputs = np.array([[*(observed[i][name] for name in _QUALITY), 1.0] for i in rows])
    targets = np.array([dice[i] for i in rows])
    errors = []
    for name in sorted(set(names)):
        held = names == name
        weights = _ridge(inputs[~held], targets[~held])
        errors.extend(np.abs(np.clip(inputs[held] @ weights, 0, 1) - targets[held]))
    # Conformal: the rank of the quantile counts the case to come.
    rank = min(len(errors), int(np.ceil(0.9 * (len(errors) + 1))))
    weights = _ridge(inputs, targets)
    return Quality(
        _QUALITY, tuple(map(float, weights[:-1])), float(weights[-1]), float(sorted(errors)[rank - 1]), len(rows)
    )


def flags_of(features: Mapping[str, float], fingerprint: Fingerprint | None, empty: bool) -> tuple[str, ...]:
    """What is to be said against a segmentation, the worst of each topic.

    Args:
        features: of the scan and the network's answer.
        fingerprint: of the training; None says nothing but that it is empty.
        empty: no structure was found.

    Returns:
        A line each; none where all is well.
    """
    worst = {}
    for name, value in features.items() if fingerprint else ():
        expected = fingerprint.ranges.get(name)
        beyond = 0.0 if expected is None else expected.beyond(value)
        topic = _TOPICS.get(_kind(name), _kind(name))
        if beyond > max(1.0, worst.get(topic, (0.0, ""))[0]):
            worst[topic] = beyond, _said(name, topic, value, expected)
    return (EMPTY,) * empty + tuple(text for _, text in worst.values())


def unlikeness(features: Mapping[str, float], fingerprint: Fingerprint) -> float:
    """The largest distance of a feature from the middle of its range, in half widths: above 1 there is a flag."""
    shared = [fingerprint.ranges[name].beyond(value) for name, value in features.items() if name in fingerprint.ranges]
    return max(shared, default=0.0)


def estimate(features: Mapping[str, float], fingerprint: Fingerprint | None) -> Estimate | None:
    """The predicted mean Dice; None where nothing was found or nothing is known."""
    quality = fingerprint.quality if fingerprint else None
    if quality is None or any(name not in features for name in quality.features):
        return None
    dice = quality.intercept + sum(w * features[n] for n, w in zip(quality.features, quality.weights, strict=True))
    dice = min(1.0, max(0.0, dice))
    return Estimate(dice, max(0.0, dice - quality.error), min(1.0, dice + quality.error))


def _kind(name) -> str:
    return next((kind for kind in (*_WIDTHS, "volume") if name.startswith(kind)), name)


def _said(name, topic, value, expected) -> str:
    unit = _UNITS.get(_kind(name), "")
    subject = name if topic in name else f"{topic} ({name})"
    low = max(0.0, expected.low) if unit == " mm" or topic == "region" else expected.low
    return f"unlike training: {subject} {value:.3g}{unit}, {low:.3g} to {expected.high:.3g} expected"


def _ridge(inputs, targets):
    """Least squares with a small penalty, since confidence and entropy say nearly the same."""
    middle = inputs.mean(axis=0) * ([1] * (inputs.shape[1] - 1) + [0])
    centred = inputs - middle
    penalty = np.diag([1e-3] * (inputs.shape[1] - 1) + [0.0])
    weights = np.linalg.solve(centred.T @ centred + penalty, centred.T @ targets)
    weights[-1] -= weights[:-1] @ middle[:-1]
    return weights
