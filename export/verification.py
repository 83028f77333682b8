"""The gate: an artifact runs through the device runtime on held-back cases and must keep up with its network."""

from collections.abc import Callable

import numpy as np

import edge
from edge.segmenter import Segmenter
from export import fitting
from export.errors import FidelityError
from export.fidelity import Fidelity, compare
from export.finetuning import mend
from export.source import Source, load_network


class NetworkRunner:
    """The float Keras network behind the device runtime's interface, so that both take the same path to a scan."""

    def __init__(self, model):
        self.model = model

    def run(self, patch: np.ndarray) -> np.ndarray:
        """Logits float32 (*patch, K) of a prepared patch float32 (*patch, C)."""
        return np.asarray(self.model.predict_on_batch(patch[None])[0], np.float32)


def verifier(model, source: Source, max_drop: float, threads: int, tell: Callable[[str], None]):
    """A function of an artifact folder that compares the artifact with ``model`` on the source's validation cases.

    Args:
        model: the Keras network that artifacts are made from; one that was fine-tuned for int8 steps back here for
            the float network that the fine-tuning started from.
        source: gives cases, classes and channels.
        max_drop: the largest drop in mean Dice of any class that is accepted.
        threads: processor threads for the artifact.
        tell: takes a line of progress.

    Returns:
        Function of the folder to ``Fidelity``; it raises FidelityError where more is lost than ``max_drop``.
    """
    labelled = [case for case in source.validation if case.label is not None]
    if source.reference is not None:
        model = fitting.resized(load_network(source.reference), source.patch, fitting.built_from(source.provenance))

    def verify(folder) -> Fidelity:
        artifact = edge.load(folder, threads)
        network = Segmenter(artifact.manifest, NetworkRunner(model))
        what = artifact.manifest.format
        tell(f"{what}: verifying on {len(labelled)} validation cases")
        fidelity = compare(
            lambda scan: network.predict(scan).labels.voxels[..., 0],
            lambda scan: artifact.predict(scan).labels.voxels[..., 0],
            tuple(labelled),
            source.labels,
            channels=len(source.channels),
            ignore=source.ignore,
            regions=source.regions,
        )
        tell(f"{what}: verdict {fidelity.verdict}, largest drop in mean Dice {fidelity.drop:+.4f}")
        if fidelity.drop > max_drop:
            raise FidelityError(
                f"{what}: verdict {fidelity.verdict}, mean Dice drops by {fidelity.drop:.4f}, "
                f"accepted is {max_drop:g}; {mend(source, what, artifact.manifest.source.get('weights', ''))}"
            )
        return fidelity

    return verify
