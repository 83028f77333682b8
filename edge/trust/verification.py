"""Whether an artifact is whole, who signed it, and whether it runs on this machine."""

from dataclasses import dataclass

import numpy as np

from edge.runtime.segmenter import load
from edge.shipped import locate
from edge.trust.signature import SIGNATURE, check_signature
from medseg.errors import InputError


@dataclass(frozen=True)
class Verified:
    """What was found of an artifact without fault.

    Attributes:
        artifact: its folder.
        format: of its model file.
        sha256: of its model file, which matches the manifest's.
        signed_by: fingerprint of the trusted key that signed every file; None where no key was given.
        signature: whether there is a signature at all.
        output: shape of what the network answers to an empty patch, all of it finite.
    """

    artifact: str
    format: str
    sha256: str
    signed_by: str | None
    signature: bool
    output: tuple[int, ...]

    def lines(self) -> list[str]:
        """The same for people."""
        signature = "there is one, not checked without --trust KEYS" if self.signature else "none"
        if self.signed_by is not None:
            signature = f"every file is as it was signed by {self.signed_by[:16]}"
        return [
            f"manifest   fits the model file, {self.format}",
            f"sha256     {self.sha256[:16]}... matches",
            f"signature  {signature}",
            f"run        answers an empty patch with finite numbers, {' x '.join(map(str, self.output))}",
        ]


def check_artifact(folder, threads: int = 2, runtime: str = "auto", trust=None) -> Verified:
    """Check an artifact folder and run its network once.

    Args:
        folder: the artifact folder, or the name of a shipped artifact.
        threads: processor threads that the runtime may use.
        runtime: as in ``edge.load``.
        trust: PEM file of a public key, or a folder of them; None to check no signature.

    Returns:
        What was checked.

    Raises:
        InputError: if a file is missing or altered, the signature is missing or by another key, or the network cannot
            be opened or answers with numbers that are not finite.
    """
    folder = locate(folder)
    segmenter = load(folder, threads, runtime, trust)
    signed_by = None if trust is None else check_signature(folder, trust)
    manifest = segmenter.manifest
    patch = np.zeros((*manifest.patch, manifest.recipe.channels), np.float32)
    scores = segmenter.runner.run(patch)
    if not np.isfinite(scores).all():
        raise InputError(f"{folder}: the network answers an empty patch with NaN or infinity; export it again")
    return Verified(
        str(folder), manifest.format, manifest.sha256, signed_by, (folder / SIGNATURE).exists(), scores.shape
    )
