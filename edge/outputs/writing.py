"""The files of a prediction: the labels, and beside them what else was asked for."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from edge.manifest import Manifest
from edge.measure import of_classes, voxel_counts
from edge.outputs.instances import Instance, find_instances, measure_objects
from edge.outputs.tables import box_rows, csv_bytes, instance_rows, json_bytes, measurement_rows
from edge.runtime.options import Outputs
from imaging.io.files import VOLUMES, read, suffix, write
from imaging.scan import Scan
from medseg.atomic import write_bytes

COLUMNS = ("number", "label", "voxels")


def planned(output: Path, outputs: Outputs, numbered: bool = False) -> dict[str, Path]:
    """Where each output goes: the labels where they were asked for, all else beside them, named after them.

    Args:
        output: file of the labels.
        outputs: what is wanted beside.
        numbered: the labels are numbers of objects already, so that of instances only the table is wanted.

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
        "instances": (outputs.instances and not numbered, f"{stem}_instances{whole}"),
        "instances_table": (outputs.instances, f"{stem}_instances.csv"),
        "boxes": (outputs.boxes, f"{stem}_boxes.json"),
        "overlay": (outputs.overlay, f"{stem}_overlay.png"),
        "measurements_csv": (outputs.measurements, f"{stem}_measurements.csv"),
        "measurements_json": (outputs.measurements, f"{stem}_measurements.json"),
    }
    return {"labels": output} | {name: output.with_name(file) for name, (asked, file) in names.items() if asked}


def write_outputs(
    places: dict[str, Path],
    segmentation,
    manifest: Manifest,
    scan_files,
    split: bool = False,
    put: Callable[[Scan, Path], Scan] = lambda scan, path: scan,
) -> None:
    """Write a prediction, the labels last, so that where they are all else is, too.

    Args:
        places: as ``planned`` gives them.
        segmentation: an ``edge.Segmentation`` that holds what is asked for.
        manifest: of the network; its labels and regions count.
        scan_files: of the scan, for the overlay and the intensities of instances.
        split: connected parts are cut where they are narrow before they are numbered.
        put: function from a scan on the grid of what was segmented, and the file that it goes to, to what is written.

    Raises:
        InputError: if a place cannot be written.
    """
    if "probabilities" in places:
        write(places["probabilities"], _volume(put(segmentation.probabilities, places["probabilities"])))
    for name in ("entropy", "variance"):
        if name in places:
            write(places[name], put(segmentation.uncertainty[name], places[name]))
    if places.keys() & {"instances", "instances_table", "boxes"}:
        place = places.get("instances") or places.get("labels")
        given = segmentation.labels, _scan(scan_files, manifest)
        labels, scan = given if place is None else (put(each, place) for each in given)
        _write_instances(places, *_instances(labels, manifest, scan, split))
    if "overlay" in places:
        write_bytes(places["overlay"], _overlay(segmentation, manifest, scan_files))
    if "measurements_csv" in places:
        counts = voxel_counts(of_classes(segmentation.labels, manifest), manifest.labels, manifest.regions)
        rows = measurement_rows(counts, segmentation.volumes_ml, segmentation.areas_mm2)
        write_bytes(places["measurements_csv"], csv_bytes(rows))
        write_bytes(places["measurements_json"], json_bytes(rows))
    if "labels" in places:
        write(places["labels"], put(segmentation.labels, places["labels"]), deep=manifest.instances is not None)


def _instances(labels, manifest, scan, split):
    """Numbers and rows of the objects of a segmentation."""
    if manifest.instances is None:
        return find_instances(labels, manifest.labels, scan, split)
    return labels, measure_objects(labels, manifest.labels[1].name, scan)


def _write_instances(places, numbers: Scan, instances: tuple[Instance, ...]):
    if "instances" in places:
        write(places["instances"], numbers, deep=True)
    if "instances_table" in places:
        write_bytes(places["instances_table"], csv_bytes(instance_rows(instances), COLUMNS))
    if "boxes" in places:
        write_bytes(places["boxes"], json_bytes(box_rows(instances)))


def _overlay(segmentation, manifest, scan_files):
    from edge.outputs.overlay import coloured, picture
    from imaging.io.image import image_bytes

    image = picture(_scan(scan_files, manifest), *coloured(segmentation.labels, manifest))
    return image_bytes(Scan(image, np.eye(4)), ".png")


def _scan(scan_files, manifest) -> Scan:
    recipe = manifest.recipe
    return read(scan_files[0] if len(scan_files) == 1 else scan_files, recipe.channels, recipe.nan)


def _volume(scan: Scan) -> Scan:
    """NIfTI has no place for the channels of a flat scan; as a volume of one slice it has."""
    return scan if scan.rank == 3 else replace(scan, voxels=scan.voxels[:, :, None], geometry=None)
