"""Artifacts that come with the package, by name: ``unet3d-hippocampus``.

They lie beside the weights that they were made of. Both packages are parts of one distribution, side by side wherever
it is installed; only the files are read, ``zoo`` is not imported.
"""

from pathlib import Path

from medseg.errors import InputError, UsageError
from medseg.untrusted import shown

MANIFEST = "manifest.json"
FOLDER = Path(__file__).resolve().parents[1] / "zoo" / "weights"


def names() -> list[str]:
    """Names of the shipped artifacts."""
    return sorted({path.parents[1].name for path in FOLDER.glob(f"[!.]*/*/{MANIFEST}")})


def locate(artifact) -> Path:
    """The folder of an artifact.

    Args:
        artifact: its folder, or the name of a shipped one, such as "unet3d-hippocampus", or "hippocampus" where one
            network alone has an artifact of this name; what lies there goes before what is shipped.

    Returns:
        The folder; of a name that is none of these, the path as given.

    Raises:
        InputError: if it is no name of a file at all.
        UsageError: if several networks have an artifact of this name; the message lists them.
    """
    path = Path(artifact)
    try:
        if path.exists():
            return path
    except OSError as error:  # a name that is too long
        raise InputError(f"{shown(str(artifact))}: cannot be read ({error.strerror})") from None
    fitting = [name for name in names() if str(artifact) in (name, _short(name))]
    if str(artifact) in fitting:
        fitting = [str(artifact)]
    if len(fitting) > 1:
        raise UsageError(f"{artifact}: several shipped artifacts are called so; give {' or '.join(fitting)}")
    return sorted(FOLDER.glob(f"{fitting[0]}/*/{MANIFEST}"))[0].parent if fitting else path


def _short(name) -> str:
    """The name of a set without its network; no network's name holds a hyphen."""
    return name.partition("-")[2]
