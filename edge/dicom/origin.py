"""What made a DICOM object, as it says itself."""

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from edge.manifest import Manifest
from imaging.labels import Label, Region
from imaging.regions import structure_values

MANUFACTURER = "medseg-zoo"
_NAME = 64  # letters of the value representation LO


@dataclass(frozen=True)
class Origin:
    """The network behind a segmentation.

    Attributes:
        name: of the artifact.
        context: words that say what it was trained on, for the table of codes.
        version: of this software.
        serial: what identifies the model file, the beginning of its SHA-256.
        structures: name of each segment and the label values that it covers, in order of segment number.
        overlapping: whether structures may share voxels.
    """

    name: str
    context: str
    version: str
    serial: str
    structures: dict[str, tuple[int, ...]]
    overlapping: bool = False


def origin_of(manifest: Manifest) -> Origin:
    """The origin that an artifact's manifest describes."""
    source = manifest.source if isinstance(manifest.source, dict) else {}
    context = " ".join(str(source.get(key) or "") for key in ("network", "dataset", "weights"))
    return origin(manifest.name, manifest.labels, manifest.regions, context=context, serial=manifest.sha256[:16])


def origin(name: str, labels: tuple[Label, ...], regions: tuple[Region, ...] = (), *, context="", serial="") -> Origin:
    """The origin of a segmentation whose classes are known, by whatever it was made.

    Args:
        name: of what made it.
        labels: classes, background first.
        regions: structures that may overlap, or none.
        context: words for the table of codes besides the name.
        serial: identifies the model.
    """
    plain = "".join(letter if letter.isprintable() and letter != "\\" else "-" for letter in name)[:_NAME].strip()
    return Origin(
        plain or MANUFACTURER,
        f"{name} {context}",
        _version(),
        serial or "unknown",
        structure_values(labels, regions),
        bool(regions),
    )


def _version():
    try:
        return version("medseg-zoo")
    except PackageNotFoundError:  # run from a folder that was not installed
        return "0"
