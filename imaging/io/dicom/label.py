"""DICOM segmentations as labels: SEG and RTSTRUCT, on the grid of the series that they were drawn on."""

import math
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
from medseg.limits import check_bytes

SEG, RTSTRUCT = "SEG", "RTSTRUCT"
_SERIES, _INSTANCE = 0x0020000E, 0x00081155  # tags of their unique identifiers
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
        series, instances = _references(dataset)
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
        kind = str(dataset.get("Modality") or "")
    if kind not in (SEG, RTSTRUCT):
        raise InputError(f"{place}: holds no labels (modality {kind[:16]!a}), expected a SEG or RTSTRUCT")
    if kind == RTSTRUCT and like is None:
        raise UsageError(f"{place}: an RTSTRUCT has no grid of its own; give the series that it was drawn on")
    with decoding(file.name):
        grid = grid_of(like) if like is not None else own_grid(dataset, file)
        return _painted(file.name, *_parts(dataset, file, grid), grid, values)


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
    with decoding(file.name):
        grid = grid_of(like) if like is not None else own_grid(dataset, file)
        names, parts = _parts(dataset, file, grid)
        check_bytes(file.name, len(names) * math.prod(grid.shape), f"a mask for each of {len(names)} segments")
        masks = {number: np.zeros(grid.shape, bool) for number in names}
        for numbers, voxels in parts:
            for number in np.unique(numbers).tolist():
                masks[number][tuple(voxels[numbers == number].T)] = True
    return {number: grid.scan(mask) for number, mask in masks.items()}


def _references(dataset) -> tuple[set[str], set[str]]:
    """Series and instances that a data set names at whatever depth; no other value is decoded, as outlines are long."""
    from pydicom.datadict import dictionary_has_tag, dictionary_VR

    series, instances, waiting = set(), set(), [dataset]
    while waiting:
        here = waiting.pop()
        for tag in list(here.keys()):
            kind = here.get_item(tag).VR
            if kind in (None, "UN") and dictionary_has_tag(tag):
                kind = dictionary_VR(tag)
            if kind == "SQ":
                waiting += here[tag].value or ()
            elif tag in (_SERIES, _INSTANCE):
                (series if tag == _SERIES else instances).add(str(here[tag].value))
    return series, instances


def _parts(dataset, file, grid):
    """Names by number, and numbers and voxels part by part, of a SEG or RTSTRUCT."""
    if dataset.get("Modality") == SEG:
        return segment_names(dataset), segments(dataset, file, grid)
    return roi_names(dataset), rois(dataset, file, grid)


def _painted(name, names, parts, grid: Grid, values) -> Scan:
    labels = np.zeros(grid.shape, np.int32)
    value_of = {number: number if values is None else values.get(label, 0) for number, label in names.items()}
    for numbers, voxels in parts:
        unique, which = np.unique(numbers, return_inverse=True)
        painted = np.array([value_of[number] for number in unique.tolist()], np.int32)[which]
        kept = painted != 0  # a class that the dataset leaves out is background
        numbers, painted, place = numbers[kept], painted[kept], tuple(voxels[kept].T)
        clash = (labels[place] != 0) & (labels[place] != painted)
        labels[place] = painted
        clash |= labels[place] != painted
        if clash.any():
            count = int((clash & (numbers == numbers[clash][0])).sum())
            raise InputError(f"{name}: segment {numbers[clash][0]} shares {count} voxels with another; {_MEND}")
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
