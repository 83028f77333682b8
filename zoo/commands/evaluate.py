"""``zoo evaluate``: the scores of ``train``, and of artifacts on the device runtime."""

from train.cli import build_parser
from train.cli import main as train_main

__all__ = ["build_parser", "main", "open_artifact"]


def main(argv=None, prog: str = "zoo") -> int:
    """Run ``zoo evaluate``; returns the exit status."""
    return train_main(argv, prog, open_artifact=open_artifact)


def open_artifact(folder, threads: int = 2, trust=None):
    """An artifact as a ``train.external.score.Candidate``; no TensorFlow is imported.

    Args:
        folder: artifact folder, or the name of a shipped one.
        threads: processor threads that the runtime may use.
        trust: as for ``edge.load``.

    Returns:
        The candidate, or None where ``folder`` is no artifact.

    Raises:
        InputError: if it is one that cannot be opened, or no trusted key has signed it.
    """
    from edge.shipped import locate

    if not (locate(folder) / "manifest.json").is_file():
        return None
    import edge
    from train.evaluation.reference import class_indices
    from train.external.score import Candidate

    segmenter = edge.load(folder, threads, trust=trust)
    manifest = segmenter.manifest

    def segment(scan):
        values = segmenter.predict(scan).labels.voxels
        return (class_indices(values, manifest.labels, folder) if manifest.instances is None else values)[..., 0]

    return Candidate(
        name=manifest.name,
        kind=f"artifact, {manifest.format}",
        segment=segment,
        labels=manifest.labels,
        channels=manifest.channels,
        recipe=manifest.recipe,
        regions=manifest.regions,
        instances=manifest.instances is not None,
        weights=manifest.sha256 if manifest.first is None else f"{manifest.sha256}+{manifest.first.sha256}",
    )
