"""DICOM segmentations as labels: SEG and RTSTRUCT, on the grid of the series that they were drawn on."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode

import numpy as np

from imaging.io.dicom.dataset import DicomFile, decoding, open_dataset
from imaging.io.dicom.grid import Grid, grid_of
from imaging.io.dicom.reference import dicom_reference, split_reference
from imaging.io.dicom.segments import own_grid, segment_names, segments
from imaging.io.dicom.series import Series, choose, find_series
from imaging.io.dicom.structures import roi_names, rois
from imaging.scan import Scan
from medseg.errors import InputError, UsageError

SEG, RTSTRUCT = "SEG", "RTSTRUCT"
_ON, _CLASS = "on", "class"
_MEND = "a label map holds one value a voxel; give the parts by themselves"


@dataclass(frozen=True)
class LabelObject:
    """What the header of a SEG or RTSTRUCT says.

    Attributes:
        file: where it lies.
        kind: "SEG" or "RTSTRUCT".
        series: unique identifiers of the series that it refers to.
        instances: those of the images.
        names: number of each segment or region of interest to its name.
    """

    file: DicomFile
    kind: str
    series: frozenset[str]
    instances: frozenset[str]
    names: dict[int, str]


def label_object(file: DicomFile) -> LabelObject | None:
    """What the header of a file says if it is a SEG or RTSTRUCT; else None.

    Raises:
        InputError: if it is damaged.
    """
    dataset = open_dataset(file, pixels=False)
    with decoding(file.name):
        kind = str(dataset.get("Modality") or "")
        if kind not in (SEG, RTSTRUCT):
            return None
        names = segment_names(dataset) if kind == SEG else roi_names(dataset)
        series, instances = set(), set()
        for element in dataset.iterall():
            if element.keyword == "SeriesInstanceUID":
                series.add(str(element.value))
            elif element.keyword == "ReferencedSOPInstanceUID":
                instances.add(str(element.value))
        series.discard(str(dataset.get("SeriesInstanceUID")))
    return LabelObject(file, kind, frozenset(series), frozenset(instances), names)


def label_reference(file, on, values: Mapping[str, int]):
    """The path by which ``imaging.read_labels`` reads a SEG or RTSTRUCT with the values of a dataset.

    Args:
        file: the object.
        on: path of the image series, relative to the object's folder, ``#UID`` behind it or not.
        values: name of each segment to its value in the label map; segments that are not named are left out.
    """
    pairs = [(_ON, str(on)), *((_CLASS, f"{value}={name}") for name, value in values.items())]
    return dicom_reference(file, urlencode(pairs))


def read_dicom_labels(path, like: Series | None = None, values: Mapping[str, int] | None = None) -> Scan:
    """Read a SEG or RTSTRUCT as a label map.

    Args:
        path: of the object; one made by ``label_reference`` says ``like`` and ``values`` itself.
        like: the series whose grid the labels are wanted on. None takes the object's own, that of its frames; an
            RTSTRUCT has none.
        values: name of each segment to its value; None takes the numbers of the segments.

    Returns:
        A scan with integer voxels (columns, rows, slices, 1), or (rows, columns, 1) on a single image.

    Raises:
        InputError: if it is of another frame of reference, its segments overlap or lie beside the grid, or it is
            damaged.
    """
    place, fragment = split_reference(path)
    if fragment:
        on, values = _options(path, fragment)
        image, uid = split_reference(place.parent / on)
        like = choose(find_series(image), uid, image)
    file = DicomFile(place)
    dataset = open_dataset(file)
    with decoding(file.name):
        kind = dataset.get("Modality")
    if kind not in (SEG, RTSTRUCT):
        raise InputError(f"{place}: holds no labels (modality {str(kind)[:16]!a}), expected a SEG or RTSTRUCT")
    if kind == RTSTRUCT and like is None:
        raise UsageError(f"{place}: an RTSTRUCT has no grid of its own; give the series that it was drawn on")
    with decoding(file.name):
        grid = grid_of(like) if like is not None else own_grid(dataset, file)
        parts = segments(dataset, file, grid) if kind == SEG else rois(dataset, file, grid)
        return _painted(file.name, parts, grid, values)


def segment_masks(path, like: Series | None = None) -> dict[int, Scan]:
    """The segments of a SEG, or regions of an RTSTRUCT, each by itself, so that they may overlap.

    Args:
        path: of the object.
        like: the series whose grid they are wanted on, as for ``read_dicom_labels``.

    Returns:
        Number of each to a scan of bool voxels.

    Raises:
        InputError: as ``read_dicom_labels`` does, but for overlaps.
    """
    file = DicomFile(path)
    dataset = open_dataset(file)
    masks: dict = {}
    with decoding(file.name):
        grid = grid_of(like) if like is not None else own_grid(dataset, file)
        parts = segments(dataset, file, grid) if dataset.get("Modality") == SEG else rois(dataset, file, grid)
        for number, _, mask in parts:
            masks[number] = masks[number] | mask if number in masks else mask
    return {number: grid.scan(mask) for number, mask in masks.items()}


def _painted(name, parts, grid: Grid, values) -> Scan:
    labels = np.zeros(grid.shape, np.int32)
    for number, label, mask in parts:
        value = number if values is None else values.get(label)
        if value is None:
            continue
        taken = labels[mask]
        clash = (taken != 0) & (taken != value)
        if clash.any():
            raise InputError(f"{name}: segment {number} shares {int(clash.sum())} voxels with another; {_MEND}")
        labels[mask] = value
    return grid.scan(labels)


def _options(path, fragment):
    pairs = parse_qsl(fragment)
    values = {}
    for key, text in pairs:
        number, mark, name = text.partition("=")
        if key == _CLASS and mark and number.isdecimal() and len(number) < 9:
            values[name] = int(number)
    on = dict(pairs).get(_ON)
    if on is None:
        raise InputError(f"{path}: expected on=SERIES behind #, got {fragment[:60]!a}")
    return on, values
