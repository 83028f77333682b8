"""``report.html`` and ``report.json`` of an artifact: what it is made of, what it costs, how faithful it is."""

import html
import json
import math
from collections.abc import Sequence
from pathlib import Path

from edge.manifest import Manifest
from export.artifact import overlay
from export.artifact.first_network import KEY, latency_of_first
from export.artifact.report_sections import sections
from export.conversion.converted import Converted
from export.conversion.operators import Operator
from export.device.latency import Latency, machine
from export.verify.fidelity import TOLERANCE_MM, Fidelity
from medseg import page, record

NEXT = "zoo-edge predict THIS_FOLDER SCAN -o SEGMENTATION"


def write_report(
    folder,
    manifest: Manifest,
    converted: Converted,
    fidelity: Fidelity | None = None,
    latency: Sequence[Latency] = (),
) -> None:
    """Write both files into an artifact folder.

    Args:
        folder: the artifact folder.
        manifest: of the artifact.
        converted: the model file.
        fidelity: what was verified, None where nothing was.
        latency: by thread count, measured on this machine; none where it was not.

    Raises:
        InputError: if the place cannot be written.
    """
    facts = gather(manifest, converted, fidelity, latency)
    if manifest.first is not None:
        facts[KEY] = facts[KEY] | {"latency": latency_of_first(folder)}
    record.write_text(Path(folder) / "report.json", json.dumps(facts, indent=1, allow_nan=False) + "\n")
    worst = None if fidelity is None or fidelity.worst is None else overlay.draw(fidelity.worst, manifest.labels)
    title = f"{manifest.name} ({manifest.format})"
    parts = [f"<h1>{html.escape(title)}</h1>", *sections(facts, worst)]
    record.write_text(Path(folder) / "report.html", page.page(title, parts))


def gather(manifest: Manifest, converted: Converted, fidelity: Fidelity | None, latency: Sequence[Latency]) -> dict:
    """What the report says, as plain JSON types; an infinite distance is null.

    Args:
        manifest: of the artifact.
        converted: the model file.
        fidelity: what was verified, or None.
        latency: by thread count.
    """
    source = manifest.source
    return {
        "name": manifest.name,
        "format": manifest.format,
        "model": manifest.model,
        "sha256": manifest.sha256,
        "size_bytes": len(converted.data),
        "network": {key: source.get(key) for key in ("network", "dataset", "fold", "seed", "parameters")},
        "patch": list(manifest.patch),
        "overlap": manifest.overlap,
        "input": record.to_dict(manifest.input),
        "output": record.to_dict(manifest.output),
        "labels": [record.to_dict(label) for label in manifest.labels],
        KEY: source.get(KEY),
        "macs": source.get("macs", 0),
        "int8_share": source.get("int8_share", 0.0),
        "operators": by_precision(converted.operators),
        "memory": source.get("arena"),
        "npu": source.get("ethos"),
        "latency": {"machine": machine(), "runs": [record.to_dict(run) for run in latency]},
        "fidelity": None if fidelity is None else _fidelity(fidelity, len(manifest.patch)),
        "sanity": source.get("sanity", {}),
        "layer_errors": [record.to_dict(error) | {"layer": error.layer} for error in converted.layer_errors],
        "calibration": {
            "cases": list(manifest.calibration),
            "sha256": source.get("calibration_sha256"),
            "method": converted.method or None,
            "agreement": dict(converted.agreement),
            "equalised": converted.equalised,
            "float_layers": list(converted.float_layers),
        },
        "versions": {"export": source.get("exporter", {}), "training": source.get("versions", {})},
        "next": NEXT,
    }


def by_precision(operators: Sequence[Operator]) -> list[dict]:
    """Operators by type and precision: how many, their multiply-accumulates, and the share of all."""
    total = sum(op.macs for op in operators)
    table: dict[tuple[str, str], list[int]] = {}
    for op in operators:
        row = table.setdefault((op.kind, op.precision), [0, 0])
        row[0] += 1
        row[1] += op.macs
    return [
        {"kind": kind, "precision": precision, "count": count, "macs": macs, "share": macs / total if total else 0.0}
        for (kind, precision), (count, macs) in sorted(table.items())
    ]


def _fidelity(fidelity, rank) -> dict:
    return _finite(
        {
            "verdict": fidelity.verdict,
            "refused": fidelity.refused,
            "unseen": list(fidelity.unseen),
            "drop": fidelity.drop,
            "argmax_agreement": 1 - fidelity.argmax_changed,
            "labels": {name: record.to_dict(label) for name, label in fidelity.labels.items()},
            "volume_unit": "ml" if rank == 3 else "mm²",
            "nsd_tolerance_mm": TOLERANCE_MM,
            "worst_case": None if fidelity.worst is None else fidelity.worst.name,
            "cases": [
                {
                    "name": case.name,
                    "argmax_agreement": 1 - case.argmax_changed,
                    "labels": {name: record.to_dict(scores) for name, scores in case.labels.items()},
                }
                for case in fidelity.per_case
            ],
        }
    )


def _finite(value):
    """With None for infinity, which JSON does not have."""
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
