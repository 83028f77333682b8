"""A DICOM series as a scan."""

import numpy as np

from imaging.geometry.flat import PICTURE
from imaging.io.dicom.dataset import decoding, open_dataset
from imaging.io.dicom.geometry import check_orientation, slice_affine
from imaging.io.dicom.pixels import frame_bytes, read_frames
from imaging.io.dicom.reference import split_reference
from imaging.io.dicom.series import Series, choose, find_series
from imaging.scan import Scan
from medseg.errors import InputError
from medseg.limits import check_bytes


def read_dicom(source, series: str | None = None, rank: int | None = None) -> Scan:
    """Read the series of a place.

    Args:
        source: a folder, a zip, a DICOMDIR, a file or a sequence of files; ``folder#UID`` names a series of several.
        series: number in the list, from 1, or Series Instance UID; may be left out where there is one.
        rank: spatial axes, 2 or 3. None makes a single image 2D and several slices 3D.

    Returns:
        As ``read_series``.

    Raises:
        InputError: if there is no image, or it cannot be read.
        UsageError: if there are several series and none is named.
    """
    place, fragment = split_reference(source)
    return read_series(choose(find_series(place), series or fragment, place, rank), rank)


def read_series(series: Series, rank: int | None = None) -> Scan:
    """Read a series.

    Args:
        series: as ``find_series`` returns it.
        rank: spatial axes, 2 or 3. None makes a single image 2D and several slices 3D.

    Returns:
        A scan with float32 voxels: (columns, rows, slices, C) with an affine to the patient in 3D, (rows, columns, C)
        in 2D, as pictures have them. Values are rescaled slice by slice to the modality's units; in MONOCHROME1 they
        are turned, so that bright is high. C is 3 for colour.

    Raises:
        InputError: if slices are missing, unevenly spaced or without a place, or pixels are damaged.
    """
    first = series.frames[0]
    if first.instance.mosaic:
        raise InputError(f"{series.name}: holds mosaics of slices; export it as an enhanced or plain series")
    check_bytes(series.name, sum(map(frame_bytes, series.frames)), "its voxels")
    if len(series.frames) == 1 and rank != 3:
        ((_, pixels),) = read_frames(series.frames, series.name)
        spacing = first.spacing or (1.0, 1.0)
        affine, known = np.diag([*spacing, 1.0, 1.0]), first.spacing is not None
        return Scan(np.ascontiguousarray(pixels), affine, has_spacing=known, axes=PICTURE)
    if rank == 2:
        raise InputError(
            f"{series.name}: has {len(series.frames)} slices or frames, expected one image for a 2D network; give the "
            "file of one"
        )
    affine = series_affine(series)
    pixels = read_frames(series.frames, series.name)
    voxels = None
    for place, values in pixels:
        if voxels is None:
            rows, columns, channels = values.shape
            voxels = np.empty((len(series.frames), rows, columns, channels), np.float32)
        if values.shape != voxels.shape[1:]:
            raise InputError(f"{series.name}: mixes grey and coloured slices; give one kind by itself")
        voxels[place] = values
    # A view: columns run fastest in the memory, as NIfTI has them too.
    return Scan(voxels.transpose(2, 1, 0, 3), affine)


def series_affine(series: Series) -> np.ndarray:
    """Voxel (column, row, slice) to world in mm, RAS+.

    Raises:
        InputError: if slices are missing, unevenly spaced or without a place in the patient.
    """
    if not series.placed:
        unplaced = [frame for frame in series.frames if not frame.placed]
        raise InputError(
            f"{series.name}: {len(unplaced)} of its {len(series.frames)} images do not say where they lie in the "
            "patient, so they are no volume; give a series of slices, or one image to a 2D network"
        )
    check_orientation(series.frames[0], series.name)
    return slice_affine(series.frames, series.name, _thickness(series) if len(series.frames) == 1 else None)


def _thickness(series):
    """Slice thickness of a single slice, mm, or None."""
    file = series.frames[0].instance.file
    dataset = open_dataset(file, pixels=False)
    groups = [dataset]
    with decoding(file.name):
        for name in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
            first = (dataset.get(name) or ())[:1]
            groups += [item for group in first for item in (group.get("PixelMeasuresSequence") or ())[:1]]
    for group in groups:
        try:
            thickness = float(group.get("SliceThickness") or 0)
        except Exception:  # whatever it holds, it is no thickness
            continue
        if thickness > 0 and np.isfinite(thickness):
            return thickness
    return None
