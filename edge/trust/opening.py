"""What an artifact says and holds, read once, and held to a signature or to a checksum where that is asked for."""

from pathlib import Path

from edge.cascade import check_joined
from edge.manifest import MANIFEST, Manifest, load_manifest, read_model
from edge.shipped import locate
from edge.trust.signature import check_files
from imaging.prior import first_folder
from medseg.errors import InputError
from medseg.untrusted import inside


def read_artifact(folder, trust=None, checksum: str | None = None) -> tuple[Manifest, bytes | None]:
    """Read an artifact folder, of a cascade with its first network; whoever takes ``--trust`` opens artifacts by this.

    Args:
        folder: the artifact folder, or the name of a shipped artifact.
        trust: PEM file of a public key, or a folder of them: nothing is read of what none of these has signed. None
            reads what is not signed, too.
        checksum: SHA-256 that ``manifest.json`` must have, where that is known; the manifest holds the model's.

    Returns:
        The manifest, and with ``trust`` or ``checksum`` the content of the model file: the very bytes that were
        checked, whatever becomes of the files meanwhile. Otherwise None: the file fits the manifest's checksum.

    Raises:
        InputError: if the folder is no artifact, a file of it was altered, it is not signed by a trusted key, or the
            first network of a cascade is missing, damaged or another one.
    """
    manifest, content = read_own(folder, trust, checksum)
    read_first(folder, manifest)
    return manifest, content


def read_own(folder, trust=None, checksum: str | None = None) -> tuple[Manifest, bytes | None]:
    """As ``read_artifact``, of a cascade without its first network."""
    folder = locate(folder)
    if trust is not None:
        signed = check_files(folder, trust).files.get(MANIFEST, "")
        if checksum not in (None, signed):
            raise InputError(f"{folder / MANIFEST}: is signed, but another one is expected; copy the artifact again")
        checksum = signed
    manifest = load_manifest(folder, checksum is None, checksum)
    return manifest, None if checksum is None else read_model(folder, manifest)


def read_first(folder, manifest: Manifest) -> tuple[Path, Manifest, bytes] | None:
    """The first network of a cascade, of which nothing is read before its manifest is known to fit.

    Args:
        folder: of the cascade.
        manifest: of the cascade.

    Returns:
        Its folder, its manifest and the content of its model file; None of an artifact that is no cascade.

    Raises:
        InputError: if it is missing or damaged, or does not take and find what the cascade does.
    """
    if manifest.first is None:
        return None
    folder = locate(folder)
    place = inside(folder, manifest.first.folder)
    first_folder(folder, (MANIFEST,))
    first = load_manifest(place, False, manifest.first.sha256)
    check_joined(manifest, first, place)
    return place, first, read_model(place, first)
