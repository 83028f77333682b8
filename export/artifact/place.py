"""Where an artifact folder may be written: nothing that an export did not write is ever removed."""

import fnmatch
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from edge.manifest import MANIFEST
from edge.trust.signature import SIGNATURE
from medseg.errors import InputError
from medseg.untrusted import read_json

# What exports wrote before manifests listed their files; beside it there may be a model compiled for an NPU.
_FIRST_SCHEMA = frozenset({MANIFEST, "CARD.md", "report.html", "report.json", "model.onnx", "model.tflite"})


def check_places(out, formats: Sequence[str]) -> None:
    """Require that artifacts of these formats can be written to ``out``, before the minutes that an export takes.

    Args:
        out: folder that gets one sub-folder a format.
        formats: names from ``export.FORMATS``.

    Raises:
        InputError: if they cannot.
    """
    check_writable(out)
    for name in formats:
        check_place(Path(out) / name)


def check_place(folder) -> None:
    """Require that ``folder`` does not exist, is empty, or holds an artifact and nothing else, which may be replaced.

    Raises:
        InputError: if it holds something that an export did not write.
    """
    folder = Path(folder)
    if not folder.exists() and not folder.is_symlink():
        return
    if not folder.is_dir():
        raise InputError(f"{folder}: exists and is no folder; give another --out")
    names = set(os.listdir(folder))
    if not names:
        return
    if MANIFEST not in names:
        raise InputError(f"{folder}: exists and is no artifact folder; give another --out")
    own = names - _written(folder)
    if own:
        raise InputError(
            f"{folder}: holds {', '.join(sorted(own)[:5])}, which no export wrote; move that away or give another --out"
        )


def _written(folder) -> set[str]:
    """Names of the files that the export of the artifact in ``folder`` wrote, whether or not it can still be loaded."""
    try:
        data = read_json(folder / MANIFEST, "manifest")
    except InputError:
        data = {}
    listed = data.get("files") if isinstance(data, dict) else None
    if listed:
        return {MANIFEST, SIGNATURE, *map(str, listed)}
    return _FIRST_SCHEMA | {SIGNATURE} | {name for name in os.listdir(folder) if fnmatch.fnmatch(name, "model.*tflite")}


def check_writable(folder) -> None:
    """Require that files can be written to ``folder``, or where it would be made; nothing is left there.

    Raises:
        InputError: if they cannot.
    """
    place = Path(folder).absolute()
    while not place.exists():
        place = place.parent
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror}); choose another --out") from None
