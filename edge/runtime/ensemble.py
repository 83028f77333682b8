"""Several artifacts as one network: the mean of their probabilities."""

from collections.abc import Sequence
from dataclasses import replace

from edge.runtime.segmenter import Segmenter, load
from medseg.errors import InputError

SAME = ("recipe", "patch", "overlap", "labels", "regions", "instances", "channels", "postprocessing")


def load_ensemble(folders: Sequence, threads: int = 2, runtime: str = "auto", trust=None) -> Segmenter:
    """Open one artifact, or several whose probabilities are averaged patch by patch.

    Args:
        folders: artifact folders or names of shipped artifacts, for example of the folds of a cross-validation.
        threads, runtime, trust: as for ``edge.load``.

    Returns:
        A segmenter with the manifest of the first.

    Raises:
        InputError: as ``edge.load``, or if the artifacts differ in what they take or tell apart; the message names the
            field.
    """
    first, *others = [load(folder, threads, runtime, trust) for folder in folders]
    for folder, segmenter in zip(folders[1:], others, strict=True):
        for name in SAME:
            here, there = getattr(first.manifest, name), getattr(segmenter.manifest, name)
            if here != there:
                raise InputError(
                    f"{folder}: {name} differs from that of {folders[0]}; expected artifacts of one plan, such as the "
                    "folds of a cross-validation"
                )
    return replace(first, others=tuple(segmenter.runner for segmenter in others))
