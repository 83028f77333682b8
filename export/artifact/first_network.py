"""What the first network of a cascade takes, so that cards, reports and lists tell of both networks."""

from pathlib import Path

from edge.manifest import load_manifest
from imaging.prior import FOLDER
from medseg.untrusted import read_json

KEY = "first"
"""Of the manifest's ``source`` and of ``report.json``."""


def facts_of_first(folder) -> dict:
    """What is known of a cascade's first network, for the manifest's ``source``.

    Args:
        folder: the artifact folder of the cascade, in which that of the first network lies.

    Returns:
        {"model": file beside the manifest, "size_bytes", "network", "parameters", "macs" (a patch), "int8_share" (of
        these), "patch"}.
    """
    first = load_manifest(Path(folder) / FOLDER, verify=False)
    return {
        "model": f"{FOLDER}/{first.model}",
        "size_bytes": (Path(folder) / FOLDER / first.model).stat().st_size,
        **{name: first.source.get(name) for name in ("network", "parameters", "macs", "int8_share")},
        "patch": list(first.patch),
    }


def latency_of_first(folder) -> list[dict]:
    """Time for a patch of a cascade's first network by number of threads, as its own report says; [] without one."""
    report = Path(folder) / FOLDER / "report.json"
    return read_json(report, "report")["latency"]["runs"] if report.is_file() else []


def both(first: dict, size: int, parameters: int) -> str:
    """Size and weights of both networks in words.

    Args:
        first: as ``facts_of_first`` returns it.
        size: bytes of the second network's model file.
        parameters: of the second network.
    """
    together = first["size_bytes"] + size, (first["parameters"] or 0) + parameters
    return f"{together[0] / 1e6:.2f} MB, {together[1]:,} parameters"


def cost(first: dict) -> str:
    """The first network's own file, size, weights and operations in words."""
    return (
        f"`{first['model']}`, {first['size_bytes'] / 1e6:.2f} MB, {first['network']}, "
        f"{first['parameters'] or 0:,} parameters, {(first['macs'] or 0) / 1e9:.2f} GMAC a patch of "
        f"{' × '.join(map(str, first['patch']))} voxels, {first['int8_share'] or 0.0:.1%} of them int8"
    )
