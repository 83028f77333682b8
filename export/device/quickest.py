"""``--format best``: every int8 format that this machine can run, converted, verified and timed; the quickest stays."""

import dataclasses
import importlib.util
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from edge.manifest import MANIFEST, load_manifest
from edge.runtime.benchmark import compare
from export.artifact.place import check_place
from medseg import record
from medseg.atomic import replace_folder
from medseg.errors import InputError, UsageError

BEST = "best"
# Format to the package of the runtime that it is made for.
CANDIDATES = {"tflite-int8": "ai_edge_litert", "onnx-int8": "onnxruntime", "openvino-int8": "openvino"}
ROUNDS = 30


def expand(formats: Sequence[str]) -> tuple[list[str], bool]:
    """The formats to convert, and whether the quickest of them is asked for.

    Args:
        formats: as given to ``--format``.

    Raises:
        UsageError: if ``best`` stands beside others.
    """
    if BEST not in formats:
        return list(formats), False
    if len(formats) > 1:
        raise UsageError(f"--format {' '.join(formats)}: best is one of the int8 formats; give it alone")
    return [name for name, package in CANDIDATES.items() if importlib.util.find_spec(package) is not None], True


def export_quickest(
    export: Callable[[Sequence[str], Path], list[Path]],
    formats: Sequence[str],
    out,
    threads: int = 2,
    tell: Callable[[str], None] = print,
) -> list[Path]:
    """Export in every format, time the artifacts in turn on this machine and keep the quickest.

    Args:
        export: function of formats and a folder that writes an artifact for each and returns their folders; what it
            refuses as ``InputError`` (precision, fidelity, layers that the format lacks) is left out of the contest.
        formats: to try.
        out: folder that gets the quickest as a sub-folder called by its format.
        threads: processor threads of the contest.
        tell: takes a line of progress.

    Returns:
        The folder of the quickest: of the least time, since what else a machine does only adds. Its manifest's
        ``source`` holds the least times of all in milliseconds as ``quickest_of``.

    Raises:
        InputError: if no format passed; the reason of the last.
    """
    out = Path(out)
    place = out.absolute()
    while not place.exists():
        place = place.parent
    with tempfile.TemporaryDirectory(prefix=".best-", dir=place) as staging:
        made, refused = {}, None
        for name in formats:
            try:
                (made[name],) = export([name], Path(staging))
            except InputError as error:
                refused = error
                tell(f"{name}: left out: {error}")
        if not made:
            raise refused or InputError("best: no runtime for an int8 format is installed; pip install ai-edge-litert")
        timings = compare(list(made.values()), threads, ROUNDS, uncounted=1)
        least = {name: timing.min_ms for name, timing in zip(made, timings, strict=True)}
        quickest = min(least, key=least.__getitem__)
        times = ", ".join(f"{name} {milliseconds:.2f} ms" for name, milliseconds in least.items())
        tell(f"best: {quickest} is the quickest on this machine with {threads} threads ({times})")
        folder, place = made[quickest], out / quickest
        manifest = load_manifest(folder)
        rounded = {name: round(milliseconds, 3) for name, milliseconds in least.items()}
        manifest = dataclasses.replace(manifest, source=manifest.source | {"quickest_of": rounded})
        record.save(folder / MANIFEST, manifest)
        check_place(place)
        try:
            out.mkdir(parents=True, exist_ok=True)
            replace_folder(folder, place)
        except OSError as error:
            raise InputError(f"{place}: cannot be written ({error.strerror}); choose another --out") from None
    return [place]
