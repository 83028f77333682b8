"""Tables as CSV and JSON: measurements of a segmentation, its instances and their boxes."""

import csv
import dataclasses
import io
import json
from collections.abc import Mapping, Sequence

from edge.outputs.instances import Instance
from medseg.untrusted import spreadsheet_cell

AXES = "xyz"


def measurement_rows(voxels: Mapping, volumes_ml: Mapping, areas_mm2: Mapping) -> list[dict]:
    """A row per label or region.

    Args:
        voxels, volumes_ml, areas_mm2: by name, as ``edge.measure`` finds them; volume and area may be empty.
    """
    return [
        {"label": name, "voxels": count, "volume_ml": volumes_ml.get(name), "area_mm2": areas_mm2.get(name)}
        for name, count in voxels.items()
    ]


def instance_rows(instances: Sequence[Instance]) -> list[dict]:
    """A flat row per instance, as it goes into a CSV file."""
    rows = []
    for instance in instances:
        row = dataclasses.asdict(instance)
        for name in ("centre_mm", "start", "stop", "size_mm"):
            names = AXES if name == "centre_mm" else "ijk"
            row |= {f"{name}_{axis}": value for axis, value in zip(names, row.pop(name), strict=False)}
        intensities = row.pop("mean_intensity")
        row |= {f"mean_intensity_{channel}": value for channel, value in enumerate(intensities)}
        rows.append(row)
    return rows


def box_rows(instances: Sequence[Instance]) -> list[dict]:
    """Bounding boxes for JSON: label, number, voxel box and its extent."""
    names = ("number", "label", "start", "stop", "size_mm", "centre_mm")
    return [{name: getattr(instance, name) for name in names} for instance in instances]


def csv_bytes(rows: Sequence[Mapping], columns: Sequence[str] = ()) -> bytes:
    """Rows as CSV with a header line; what is not known is left empty, and nothing is a formula to a spreadsheet.

    Args:
        rows: with the same keys.
        columns: the header where there are no rows.
    """
    text = io.StringIO(newline="")
    heads = list(rows[0]) if rows else list(columns)
    writer = csv.writer(text, lineterminator="\n")
    for cells in (heads, *([row[head] for head in heads] for row in rows)):
        writer.writerow([spreadsheet_cell(cell) for cell in cells])
    return text.getvalue().encode("utf-8")


def json_bytes(data) -> bytes:
    """Plain JSON types as the content of a file."""
    return (json.dumps(data, indent=1) + "\n").encode("utf-8")
