"""Whether an artifact is whole, who signed it, and whether it runs on this machine."""

from dataclasses import dataclass

import numpy as np

from edge.runtime.segmenter import load
from edge.shipped import locate
from edge.trust import vector as test_vector
from edge.trust.signature import SIGNATURE, check_signature
from medseg.errors import InputError

# Of the test vector's voxels. Runtimes round int8 differently on some processors, which moves single voxels at edges.
MAX_CHANGED = 0.01


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
        vector: the test vector against what the artifact answers here; None for artifacts that have none.
    """

    artifact: str
    format: str
    sha256: str
    signed_by: str | None
    signature: bool
    output: tuple[int, ...]
    vector: test_vector.Comparison | None = None

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
            f"vector     {self.vector or 'none: artifacts of before version 0.2 hold none'}",
        ]


def check_artifact(folder, threads: int = 2, runtime: str = "auto", trust=None) -> Verified:
    """Check an artifact folder, run its network once, and run its test vector again.

    Args:
        folder: the artifact folder, or the name of a shipped artifact.
        threads: processor threads that the runtime may use.
        runtime: as in ``edge.load``.
        trust: PEM file of a public key, or a folder of them; None to check no signature.

    Returns:
        What was checked.

    Raises:
        InputError: if a file is missing or altered, the signature is missing or by another key, or the network cannot
            be opened, answers with numbers that are not finite, or gives more than 1 % of the voxels of its test vector
            another label.
    """
    folder = locate(folder)
    segmenter = load(folder, threads, runtime, trust)
    signed_by = None if trust is None else check_signature(folder, trust)
    manifest = segmenter.manifest
    patch = np.zeros((*manifest.patch, manifest.recipe.patch_channels), np.float32)
    scores = segmenter.runner.run(patch)
    if not np.isfinite(scores).all():
        raise InputError(f"{folder}: the network answers an empty patch with NaN or infinity; export it again")
    compared = None
    if test_vector.NAME in manifest.files:
        compared = test_vector.compare(segmenter, test_vector.read(folder / test_vector.NAME))
        if compared.labels_differ > MAX_CHANGED * compared.voxels:
            raise InputError(
                f"{folder / test_vector.NAME}: {compared}; export the artifact again, or use another runtime"
            )
    signed = (folder / SIGNATURE).exists()
    return Verified(str(folder), manifest.format, manifest.sha256, signed_by, signed, scores.shape, compared)
