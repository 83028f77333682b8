"""What ``zoo export --list`` prints: the formats, what each is for, and what it costs."""

import json
from pathlib import Path

from edge.manifest import MANIFEST
from edge.trust.opening import read_artifact, read_first
from export.formats import FORMATS
from export.source.model_file import is_model
from export.source.source import open_source
from imaging.prior import FOLDER
from medseg.errors import InputError
from medseg.record import from_dict
from medseg.untrusted import read_json

FIGURES = Path(__file__).with_name("figures.json")
REFERENCE = "tflite-float32"


def figures() -> dict:
    """What the formats cost on one network, by ``benchmarks/quantization/format_figures.py``; empty without it."""
    return json.loads(FIGURES.read_text(encoding="utf-8")) if FIGURES.is_file() else {}


def listed(run=None, out=None, measured: dict | None = None) -> list[dict]:
    """The formats, in the order of ``FORMATS``.

    Args:
        run: run folder or model file whose artifacts are looked for, or None.
        out: folder of its artifact folders; by default "artifacts/NAME" beside the run's folder and here.
        measured: as ``figures`` returns it.

    Returns:
        For each format: name, weights, activations, purpose; ``relative`` with size, ms (shares of ``REFERENCE``) and
        drop in Dice, on the network of ``figures``; and of this network size_bytes, threads, ms, verdict and drop where
        there is an artifact, or size_bytes and ms with ``estimated`` where only other artifacts are there. What is not
        known is None.

    Raises:
        InputError: if the run is none, or ``out`` holds artifacts of another.
    """
    measured = figures() if measured is None else measured
    shares = _shares(measured)
    artifacts = {} if run is None and out is None else _artifacts(run, out)
    rows = []
    for kind in FORMATS.values():
        row = {name: getattr(kind, name) for name in ("name", "weights", "activations", "purpose")}
        row["relative"] = shares.get(kind.name)
        row |= artifacts.get(kind.name) or _estimate(kind.name, artifacts, shares)
        rows.append(row)
    return rows


def _shares(measured) -> dict[str, dict]:
    formats = measured.get("formats", {})
    if REFERENCE not in formats:
        return {}
    base = formats[REFERENCE]
    return {
        name: {
            "size": figures["size_bytes"] / base["size_bytes"],
            "ms": figures["median_ms"] / base["median_ms"],
            "drop": figures["drop"],
        }
        for name, figures in formats.items()
    }


def _estimate(name, figures, shares) -> dict:
    """Size and time from those of another artifact of the network, in the measured proportion."""
    nothing = dict.fromkeys(("size_bytes", "threads", "ms", "verdict", "drop")) | {"estimated": False}
    known = [
        measured_format
        for measured_format in (REFERENCE, *figures)
        if measured_format in figures and measured_format in shares
    ]
    if name not in shares or not known:
        return nothing
    measured, share, base = figures[known[0]], shares[name], shares[known[0]]
    return nothing | {
        "size_bytes": round(measured["size_bytes"] * share["size"] / base["size"]),
        "ms": None if measured["ms"] is None else measured["ms"] * share["ms"] / base["ms"],
        "threads": measured["threads"],
        "estimated": True,
    }


def _artifacts(run, out) -> dict[str, dict]:
    expected = None if run is None else Path(run).stem if is_model(run) else open_source(run).name
    if out is None:
        places = [Path(run).absolute().parent.parent / "artifacts" / Path(run).name, Path("artifacts") / Path(run).name]
        places = [place for place in places if place.is_dir()][:1]
    else:
        places = [Path(out)]
    artifacts = {}
    for place in places:
        for name in FORMATS:
            if not (place / name / MANIFEST).is_file():
                continue
            manifest, _ = read_artifact(place / name)
            if expected not in (None, manifest.name):
                raise InputError(f"{place / name}: was made of {manifest.name}, not of {expected}; give its own --out")
            artifacts[name] = _facts(place / name, manifest)
    return artifacts


def _facts(folder, manifest) -> dict:
    runs, size = _timed(folder / "report.json"), (folder / manifest.model).stat().st_size
    if (read := read_first(folder, manifest)) is not None:
        first, _, content = read
        of_first = {threads: ms for ms, threads in _timed(first / "report.json")}
        runs = [(ms + of_first[threads], threads) for ms, threads in runs if threads in of_first]
        size += len(content)
    ms, threads = min(runs, default=(None, None))
    return {
        "size_bytes": size,
        "threads": threads,
        "ms": ms,
        "verdict": manifest.fidelity.get("verdict"),
        "drop": _drop(folder / MANIFEST, manifest.fidelity),
        "estimated": False,
    }


def _timed(report) -> list[tuple[float, int]]:
    """Milliseconds and threads of each run in a report; none where there is no report."""
    if not report.is_file():
        return []
    try:
        content = read_json(report, "report")
    except InputError as error:
        raise InputError(f"{error}; {_mend(report)}") from None
    try:
        return [
            (from_dict(float, run["median_ms"]), from_dict(int, run["threads"])) for run in content["latency"]["runs"]
        ]
    except (KeyError, TypeError, InputError):
        raise InputError(
            f"{report}: expected latency.runs, each with numbers for threads and median_ms, got something else; "
            f"{_mend(report)}"
        ) from None


def _drop(path, fidelity) -> float | None:
    """The largest drop in Dice of a class; None where nothing was verified."""
    try:
        labels = from_dict(dict[str, dict], fidelity.get("labels", {}))
        return max((from_dict(float, label["dice_drop"]) for label in labels.values()), default=None)
    except (KeyError, InputError):
        raise InputError(
            f"{path}: expected fidelity.labels, each with a number for dice_drop, got something else; {_mend(path)}"
        ) from None


def _mend(path) -> str:
    folder = path.parent.parent if path.parent.name == FOLDER else path.parent
    return f"export {folder.name} again"


def table(rows: list[dict], measured: dict | None = None) -> str:
    """The formats as text.

    Args:
        rows: of ``listed``.
        measured: as ``figures`` returns it, to say what was measured.
    """
    measured = figures() if measured is None else measured
    relative = any(row["relative"] for row in rows)
    own = any(row["size_bytes"] for row in rows)
    head = f"{'format':16}{'weights':9}{'values':9}"
    head += f"{'size':>6}{'time':>7}{'drop':>9}  " * relative + f"{'MB':>8}{'ms':>9}{'verdict':>9}  " * own
    lines = [head + "for"]
    for row in rows:
        line = f"{row['name']:16}{row['weights']:9}{row['activations']:9}"
        share = row["relative"]
        if relative:
            cells = ("", "", "") if share is None else (
                f"{share['size']:.0%}", f"{share['ms']:.2f}x", f"{share['drop']:+.4f}"
            )  # fmt: skip
            line += "{:>6}{:>7}{:>9}  ".format(*cells)
        if own:
            about = "~" if row["estimated"] else ""
            size = "" if row["size_bytes"] is None else f"{about}{row['size_bytes'] / 1e6:.2f}"
            spent = "" if row["ms"] is None else f"{about}{row['ms']:.1f}"
            line += f"{size:>8}{spent:>9}{row['verdict'] or '':>9}  "
        lines.append(line + row["purpose"])
    if relative:
        lines.append(
            f"\nSize and time of {REFERENCE}, and drop in mean Dice: {measured['network']}, patch "
            f"{' × '.join(map(str, measured['patch']))}, {measured['threads']} threads, {measured['machine']}."
        )
    else:
        lines.append("\nWhat they cost has not been measured here; benchmarks/quantization/format_figures.py does.")
    if own:
        lines.append("MB and ms: this network's artifacts, a patch, as measured when exported; ~ estimated from those.")
        lines.append("Of a cascade both networks together, a patch of each.")
    return "\n".join(lines)
