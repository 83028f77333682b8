"""Where artifacts go: checked before any work, since an export takes minutes."""

from collections.abc import Sequence
from pathlib import Path

from export.formats import find_format
from medseg.atomic import check_writable
from medseg.errors import InputError


def check_places(out, formats: Sequence[str]) -> None:
    """Require that artifacts of these formats can be written to ``out``.

    Args:
        out: folder that gets one sub-folder a format.
        formats: names from ``export.FORMATS``.

    Raises:
        InputError: if nothing can be written there, or something other than an artifact lies where one would go.
    """
    check_writable(out, f"--out {out}")
    for name in formats:
        folder = Path(out) / find_format(name).name
        if folder.exists() and not (folder / "manifest.json").is_file():
            raise InputError(f"{folder}: exists and is no artifact folder; give another --out")
