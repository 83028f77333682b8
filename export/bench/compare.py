"""Artifacts and peers of one network in one contest."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edge.shipped import locate
from edge.trust.opening import read_artifact
from export.bench import network, peers
from export.bench.contest import Contest, Rounds, contest
from export.bench.peers import PeerOptions
from export.bench.process import PEERS as FOLDER
from export.bench.process import Contestant
from imaging.regions import written_classes
from medseg.errors import InputError, UsageError


def compare(
    artifacts: Sequence = (),
    peer_options: PeerOptions | None = None,
    *,
    trust=None,
    rounds: Rounds | None = None,
    progress=None,
    tell=None,
) -> Contest:
    """Time artifacts and peers in turn on one patch.

    Args:
        artifacts: artifact folders.
        peer_options: peers that run beside them; none by default.
        trust: as for ``edge.load``, of every artifact, here and in its own process.
        rounds: how often, and with how many threads; see ``Rounds`` for what is usual.
        progress: called after each round with the number of rounds done and of all.
        tell: takes a line on what is being prepared.

    Returns:
        The results, and why who could not run.

    Raises:
        UsageError: for an unknown peer, peers without a model, or numbers out of range.
        InputError: if an artifact cannot be used, artifacts differ in patch or channels, a named peer is not installed,
            or nobody could run.
    """
    rounds = rounds or Rounds()
    peer_options = peer_options or PeerOptions()
    chosen = peers.choose(peer_options.named, peer_options.every)
    if chosen and peer_options.model is None:
        raise UsageError("peers: need --model, the run folder or saved Keras network that the artifacts are of")
    manifests = {str(folder): read_artifact(folder, trust)[0] for folder in artifacts}
    if len(manifests) < len(artifacts):
        raise InputError(f"{', '.join(map(str, artifacts))}: a folder is given twice; give each once")
    patch, channels = _shape(manifests)
    available = peers.find(chosen, peer_options.pythons) if chosen else peers.Found({}, {})
    lacking = [f"{name}: {available.absent[name]}" for name in peer_options.named if name in available.absent]
    if lacking:
        raise InputError("; ".join(lacking))
    with tempfile.TemporaryDirectory(prefix="zoo-bench-") as folder:
        job, reference, written = {}, None, None
        keys = None if trust is None else str(Path(trust).absolute())
        if available.python:
            made = network.gather(peer_options.model, folder, patch, channels)
            job, reference, written = made.job, made.classes, made.written
            if tell is not None:
                tell(made.description)
        elif manifests:
            job["input"] = str(Path(folder) / "input.npy")
            np.save(job["input"], network.noise(patch, channels)[0])
        running = [
            Contestant(
                name,
                FOLDER / "artifact.py",
                {"input": job["input"], "artifact": str(locate(name).absolute()), "trust": keys},
                written=written_classes(manifest.labels, manifest.regions),
            )
            for name, manifest in manifests.items()
        ]
        running += peers.contestants(chosen, available, job, written)
        result = contest(
            running,
            folder,
            threads=rounds.threads,
            rounds=rounds.rounds,
            warmup=rounds.warmup,
            reference=reference,
            progress=progress,
            tell=tell,
        )
    return Contest(result.results, {**available.absent, **result.failures})


def _shape(manifests):
    """Patch and channels that all artifacts share; None for both without artifacts."""
    shapes = {name: (m.patch, m.recipe.patch_channels) for name, m in manifests.items()}
    if len(set(shapes.values())) > 1:
        described = "; ".join(
            f"{name}: {' x '.join(map(str, patch))}, {channels} channels" for name, (patch, channels) in shapes.items()
        )
        raise InputError(f"{described}; artifacts side by side must take the same patch")
    return next(iter(shapes.values()), (None, None))
