"""Unique identifiers of what is written: equal results of one series have the same, so sending one twice is once."""

import hashlib
from dataclasses import dataclass

import numpy as np

from edge.dicom.headers import Sources
from edge.dicom.origin import Origin
from edge.dicom.uid import uid_of


@dataclass(frozen=True)
class Identity:
    """What unique identifiers are derived from."""

    seed: str

    def uid(self, part: str) -> str:
        """A UID under 2.25, PS3.5 B.2."""
        return uid_of(self.seed, part)


def identity_of(classes: np.ndarray, sources: Sources, origin: Origin, variant: str = "") -> Identity:
    """The identity of a result: of its voxels, the instances they were made from, and what made them.

    Args:
        classes: label values.
        sources: what was segmented.
        origin: what made them.
        variant: how it is written, where that makes another object.
    """
    digest = hashlib.sha256(np.ascontiguousarray(classes).tobytes())
    for image in sources.images:
        digest.update(str(image.SOPInstanceUID).encode())
    parts = (origin.name, origin.version, origin.serial, variant, repr(classes.shape), repr(sources.frames))
    digest.update("\0".join(parts).encode())
    return Identity(digest.hexdigest())
