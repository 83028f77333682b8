"""What a run did, for whoever must be able to say so later: inputs, outputs, versions, times and options."""

import contextlib
import platform
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from edge.manifest import sha256
from edge.outputs.tables import json_bytes
from medseg.atomic import write_bytes

PACKAGES = (
    "medseg-zoo", "numpy", "scipy", "nibabel", "opencv-python-headless", "ai-edge-litert", "onnxruntime", "openvino",
)  # fmt: skip


def now() -> str:
    """The time with its zone, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def described(path) -> dict:
    """A file as the report names it: path, bytes and SHA-256."""
    path = Path(path)
    return {"path": str(path.resolve()), "bytes": path.stat().st_size, "sha256": sha256(path)}


def write_report(path, began: str, artifacts: Sequence[Mapping], scans: Sequence[Mapping], options: Mapping) -> None:
    """Write the report of a run.

    Args:
        path: where to.
        began: as ``now`` gave it.
        artifacts: "folder" and facts of the manifest, a mapping each.
        scans: what the command reports of each scan, with "inputs" and "outputs" as ``described`` gives them.
        options: of the command line.

    Raises:
        InputError: if the place cannot be written.
    """
    data = {
        "report": 1,
        "began": began,
        "ended": now(),
        "command": sys.argv,
        "options": dict(options),
        "artifacts": list(artifacts),
        "versions": versions(),
        "scans": list(scans),
    }
    write_bytes(path, json_bytes(data))


def versions() -> dict[str, str]:
    """Versions of Python, the system and the packages that take part, as far as they are installed."""
    installed = {"python": platform.python_version(), "system": platform.platform()}
    for name in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            installed[name] = metadata.version(name)
    return installed
