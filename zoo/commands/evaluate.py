"""``zoo evaluate``: the scores of ``train``, and of artifacts on the device runtime."""

from train.cli import build_parser
from train.cli import main as train_main

__all__ = ["build_parser", "main", "open_artifact"]


def main(argv=None, prog: str = "zoo") -> int:
    """Run ``zoo evaluate``; returns the exit status."""
    return train_main(argv, prog, open_artifact=open_artifact)


def open_artifact(folder, threads: int = 2, trust=None, mirror: bool | None = None):
    """An artifact as a ``train.external.score.Candidate``; no TensorFlow is imported.

    Args:
        folder: artifact folder, or the name of a shipped one.
        threads: processor threads that the runtime may use.
        trust: as for ``edge.load``.
        mirror: False to average over no flips; True and None average over those of the artifact.

    Returns:
        The candidate, or None where ``folder`` is no artifact.

    Raises:
        InputError: if it is one that cannot be opened, or no trusted key has signed it.
        UsageError: if ``mirror`` is True and it has no flips.
    """
    from edge.shipped import locate

    if not (locate(folder) / "manifest.json").is_file():
        return None
    import edge
    from edge.runtime.options import Options
    from medseg.errors import UsageError
    from train.evaluation.reference import class_indices
    from train.external.score import Candidate

    segmenter = edge.load(folder, threads, trust=trust)
    manifest = segmenter.manifest
    if mirror and not manifest.mirror:
        raise UsageError(f"--mirror: {folder} was exported without flips; zoo-edge predict --mirror takes their axes")
    options = Options(mirror=() if mirror is False else manifest.mirror)

    def segment(scan):
        values = segmenter.predict(scan, options=options).labels.voxels
        return (class_indices(values, manifest.labels, folder) if manifest.instances is None else values)[..., 0]

    return Candidate(
        name=manifest.name,
        kind=f"artifact, {manifest.format}" + ", averaged over flips" * bool(options.mirror),
        segment=segment,
        labels=manifest.labels,
        channels=manifest.channels,
        recipe=manifest.recipe,
        regions=manifest.regions,
        instances=manifest.instances is not None,
        weights=manifest.sha256 if manifest.first is None else f"{manifest.sha256}+{manifest.first.sha256}",
    )
