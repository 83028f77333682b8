"""What an artifact says and holds, read once, and held to a signature or to a checksum where that is asked for."""

from edge.manifest import MANIFEST, Manifest, load_manifest, read_model
from edge.shipped import locate
from edge.trust.signature import check_files
from medseg.errors import InputError


def read_artifact(folder, trust=None, checksum: str | None = None) -> tuple[Manifest, bytes | None]:
    """Read an artifact folder; whoever takes ``--trust`` opens artifacts by this.

    Args:
        folder: the artifact folder, or the name of a shipped artifact.
        trust: PEM file of a public key, or a folder of them: nothing is read of what none of these has signed. None
            reads what is not signed, too.
        checksum: SHA-256 that ``manifest.json`` must have, where that is known; the manifest holds the model's.

    Returns:
        The manifest, and with ``trust`` or ``checksum`` the content of the model file: the very bytes that were
        checked, whatever becomes of the files meanwhile. Otherwise None: the file fits the manifest's checksum.

    Raises:
        InputError: if the folder is no artifact, a file of it was altered, or it is not signed by a trusted key.
    """
    folder = locate(folder)
    if trust is not None:
        signed = check_files(folder, trust).files.get(MANIFEST, "")
        if checksum not in (None, signed):
            raise InputError(f"{folder / MANIFEST}: is signed, but another one is expected; copy the artifact again")
        checksum = signed
    manifest = load_manifest(folder, checksum is None, checksum)
    return manifest, None if checksum is None else read_model(folder, manifest)
