"""The files of a prediction: the labels, and beside them what else was asked for."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from edge.manifest import Manifest
from edge.measure import voxel_counts
from edge.outputs.instances import Instance, find_instances
from edge.outputs.tables import box_rows, csv_bytes, instance_rows, json_bytes, measurement_rows
from edge.runtime.options import Outputs
from imaging.io.files import VOLUMES, read, suffix, write
from imaging.scan import Scan
from medseg.atomic import write_bytes

COLUMNS = ("number", "label", "voxels")


def planned(output: Path, outputs: Outputs) -> dict[str, Path]:
    """Where each output goes: the labels where they were asked for, all else beside them, named after them.

    Args:
        output: file of the labels.
        outputs: what is wanted beside.

    Returns:
        Kind to path, "labels" first.
    """
    kind = suffix(output)
    stem = output.name[: -len(kind)]
    whole = kind if kind in VOLUMES else ".png"
    names = {
        "probabilities": (outputs.probabilities, f"{stem}_probabilities.nii.gz"),
        "entropy": (outputs.entropy, f"{stem}_entropy.nii.gz"),
        "variance": (outputs.variance, f"{stem}_variance.nii.gz"),
        "instances": (outputs.instances, f"{stem}_instances{whole}"),
        "instances_table": (outputs.instances, f"{stem}_instances.csv"),
        "boxes": (outputs.boxes, f"{stem}_boxes.json"),
        "overlay": (outputs.overlay, f"{stem}_overlay.png"),
        "measurements_csv": (outputs.measurements, f"{stem}_measurements.csv"),
        "measurements_json": (outputs.measurements, f"{stem}_measurements.json"),
    }
    return {"labels": output} | {name: output.with_name(file) for name, (asked, file) in names.items() if asked}


def write_outputs(places: dict[str, Path], segmentation, manifest: Manifest, scan_files) -> None:
    """Write a prediction, the labels last, so that where they are all else is, too.

    Args:
        places: as ``planned`` gives them.
        segmentation: an ``edge.Segmentation`` that holds what is asked for.
        manifest: of the network; its labels and regions count.
        scan_files: of the scan, for the overlay.

    Raises:
        InputError: if a place cannot be written.
    """
    if "probabilities" in places:
        write(places["probabilities"], _volume(segmentation.probabilities))
    for name in ("entropy", "variance"):
        if name in places:
            write(places[name], segmentation.uncertainty[name])
    if places.keys() & {"instances", "boxes"}:
        numbers, instances = find_instances(segmentation.labels, manifest.labels)
        _write_instances(places, numbers, instances)
    if "overlay" in places:
        write_bytes(places["overlay"], _overlay(segmentation, manifest, scan_files))
    if "measurements_csv" in places:
        counts = voxel_counts(segmentation.labels, manifest.labels, manifest.regions)
        rows = measurement_rows(counts, segmentation.volumes_ml, segmentation.areas_mm2)
        write_bytes(places["measurements_csv"], csv_bytes(rows))
        write_bytes(places["measurements_json"], json_bytes(rows))
    if "labels" in places:
        write(places["labels"], segmentation.labels)


def _write_instances(places, numbers: Scan, instances: tuple[Instance, ...]):
    if "instances" in places:
        write(places["instances"], numbers)
        write_bytes(places["instances_table"], csv_bytes(instance_rows(instances), COLUMNS))
    if "boxes" in places:
        write_bytes(places["boxes"], json_bytes(box_rows(instances)))


def _overlay(segmentation, manifest, scan_files):
    from edge.outputs.overlay import picture
    from imaging.io.image import image_bytes

    recipe = manifest.recipe
    scan = read(scan_files[0] if len(scan_files) == 1 else scan_files, recipe.channels, recipe.nan)
    image = picture(scan, segmentation.labels, [label.value for label in manifest.labels[1:]])
    return image_bytes(Scan(image, np.eye(4)), ".png")


def _volume(scan: Scan) -> Scan:
    """NIfTI has no place for the channels of a flat scan; as a volume of one slice it has."""
    return scan if scan.rank == 3 else replace(scan, voxels=scan.voxels[:, :, None], geometry=None)
