"""Artifacts that come with the package, by name: ``unet3d-hippocampus``.

They lie beside the weights that they were made of. Both packages are parts of one distribution, side by side wherever
it is installed; only the files are read, ``zoo`` is not imported.
"""

from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "zoo" / "weights"


def names() -> list[str]:
    """Names of the shipped artifacts."""
    return sorted({path.parents[1].name for path in FOLDER.glob("[!.]*/*/manifest.json")})


def locate(artifact) -> Path:
    """The folder of an artifact.

    Args:
        artifact: its folder, or the name of a shipped one; what lies there goes before what is shipped.

    Returns:
        The folder; of a name that is neither, the path as given.
    """
    path = Path(artifact)
    if path.exists() or str(artifact) not in names():
        return path
    return sorted(FOLDER.glob(f"{artifact}/*/manifest.json"))[0].parent
