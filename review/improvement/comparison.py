"""Champion against challenger: the same cases, the same reference, a paired bootstrap of the difference."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from imaging.measure.overlap import dice
from review.errors import UnavailableError
from review.service import Service
from review.store.cases import Case
from review.volumes.page_grid import on_page

MARGIN = 0.01  # Dice that a new version may lose by chance
DRAWS = 2000
LEVEL = 95.0


def bootstrap(differences: Sequence[float], seed: int = 0, draws: int = DRAWS) -> tuple[float, float, float]:
    """Mean of paired differences, and the interval that holds it in 95 % of resamples of the cases.

    The percentile bootstrap (Efron and Tibshirani, 1993).

    Args:
        differences: of each case.
        seed: of the resampling.
        draws: how many resamples.
    """
    values = np.asarray(differences, float)
    picks = np.random.default_rng(seed).integers(0, len(values), (draws, len(values)))
    means = values[picks].mean(axis=1)
    low, high = np.percentile(means, ((100 - LEVEL) / 2, (100 + LEVEL) / 2))
    return float(values.mean()), float(low), float(high)


def verdict(champion: Mapping[str, Sequence[float]], challenger: Mapping[str, Sequence[float]]) -> dict:
    """Compare the Dice of two versions on the same cases.

    The challenger is worse if, for the mean or any structure, the difference lies below -0.01, or its whole 95 %
    interval lies below 0.

    Args:
        champion: structure to Dice of each case; NaN where neither the labels nor the reference hold the structure.
        challenger: the same of the other.

    Returns:
        "not_worse", "labels" (structure to "champion", "challenger", "difference", "low", "high"), "mean" (the same)
        and "text".
    """
    rows = {name: _row(np.asarray(champion[name], float), np.asarray(challenger[name], float)) for name in champion}
    rows = {name: row for name, row in rows.items() if row is not None}
    stacked = [np.array([list(scores[name]) for name in rows], float) for scores in (champion, challenger)]
    mean = _row(*(np.nanmean(values, axis=0) for values in stacked))
    worse = [
        name for name, row in [*rows.items(), ("the mean", mean)] if row["difference"] < -MARGIN or row["high"] < 0
    ]
    change = f"mean Dice {mean['champion']:.4f} before, {mean['challenger']:.4f} now"
    text = f"{change}; worse in {', '.join(worse)}" if worse else f"{change}; not worse in any structure"
    return {"not_worse": not worse, "labels": rows, "mean": mean, "text": text}


def compare(
    service: Service, cases: Sequence[Case], versions: tuple[int, int], tell: Callable[[str], None], stop
) -> dict:
    """Let two versions of the artifact segment the same cases, and compare them with what people decided.

    Args:
        service: the review.
        cases: accepted and corrected ones that the challenger was not trained on.
        versions: of champion and challenger.
        tell: is told how far it is.
        stop: event that ends it.

    Raises:
        UnavailableError: if there is nothing to compare by, or it was stopped.
    """
    names = [label.name for label in service.labels[1:]]
    scores: tuple[dict[str, list], dict[str, list]] = ({n: [] for n in names}, {n: [] for n in names})
    for number, case in enumerate(cases, 1):
        reference = service.label(case).voxels
        files = case.files[0] if len(case.files) == 1 else case.files
        for side, version in enumerate(versions):
            labels = on_page(service.segmenter(version, judging=True)[1].predict_file(files, cancel=stop).labels).voxels
            for label in service.labels[1:]:
                predicted, expected = labels == label.value, reference == label.value
                empty = not predicted.any() and not expected.any()
                scores[side][label.name].append(np.nan if empty else dice(predicted, expected))
        tell(f"compared case {number} of {len(cases)}")
    if not any(np.isfinite(values).any() for values in scores[0].values()):
        raise UnavailableError("no case to compare by holds any structure; accept or correct more cases")
    return verdict(*scores) | {"cases": len(cases)}


def _row(champion, challenger):
    """Of the cases in which both are numbers; None where there is none."""
    both = np.isfinite(champion) & np.isfinite(challenger)
    if not both.any():
        return None
    difference, low, high = bootstrap(challenger[both] - champion[both])
    return {
        "champion": float(champion[both].mean()),
        "challenger": float(challenger[both].mean()),
        "difference": difference,
        "low": low,
        "high": high,
        "cases": int(both.sum()),
    }
