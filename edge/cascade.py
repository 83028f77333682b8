"""A cascade in an artifact folder: a network of low resolution that is asked first, and how the two are joined.

The manifest beside it is that of the second network. Its recipe says in ``prior`` how many channels come of the first
one's answer, and ``imaging.prior`` how they are made.
"""

from dataclasses import dataclass

from imaging.prior import FOLDER
from medseg.errors import InputError
from medseg.untrusted import shown

SAME = ("labels", "regions", "channels")


@dataclass(frozen=True)
class First:
    """The first network of a cascade: an artifact of its own, in a folder of the artifact's.

    Attributes:
        folder: name of the folder.
        sha256: of the manifest in it, hexadecimal, which in turn holds that of its model file.
    """

    folder: str
    sha256: str


def check_first(manifest) -> None:
    """Require a manifest to name a first network where its recipe has channels for one, and only there.

    Raises:
        InputError: otherwise; it names the field.
    """
    prior, classes = manifest.recipe.prior, len(manifest.labels) - 1
    if manifest.first is None:
        if prior:
            raise InputError(f"recipe.prior {prior}: expected 0, as first names no network that finds these classes")
        return
    if prior != classes:
        raise InputError(f"recipe.prior {prior}: expected {classes}, the labels but the background, as first is there")
    if manifest.instances is not None:
        raise InputError("first: expected for classes and regions only, not for instances")
    if manifest.first.folder != FOLDER:
        raise InputError(f"first.folder {shown(manifest.first.folder)}: expected {FOLDER!r}")


def check_joined(manifest, first, folder) -> None:
    """Require the first network of a cascade to take the same scans and to find the same classes as the second.

    Args:
        manifest: ``edge.manifest.Manifest`` of the artifact.
        first: that of its first network.
        folder: of the first network, for the message.

    Raises:
        InputError: naming the field that differs.
    """
    if first.first is not None:
        raise InputError(f"{folder}: is a cascade itself; expected a network that takes the scan alone")
    pairs = {name: (getattr(manifest, name), getattr(first, name)) for name in (*SAME, "instances")}
    pairs |= {
        f"recipe.{name}": (getattr(manifest.recipe, name), getattr(first.recipe, name)) for name in ("rank", "nan")
    }
    for name, (here, there) in pairs.items():
        if here != there:
            raise InputError(f"{folder}: {name} differs from that of the artifact that it is in; export the run again")
