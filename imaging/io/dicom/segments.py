"""DICOM Segmentation objects: BINARY, FRACTIONAL and LABELMAP."""

from collections import defaultdict

import numpy as np

from imaging.io.dicom.dataset import DicomFile
from imaging.io.dicom.decoding.codestream import check_codestreams
from imaging.io.dicom.decoding.decoders import decode
from imaging.io.dicom.decoding.gdcm_process import GdcmProcess
from imaging.io.dicom.frames import Frame, frames_in
from imaging.io.dicom.geometry import along_normal, normal
from imaging.io.dicom.grid import Grid
from medseg.errors import InputError
from medseg.limits import check_bytes

BINARY, FRACTIONAL, LABELMAP = "BINARY", "FRACTIONAL", "LABELMAP"


def segment_names(dataset) -> dict[int, str]:
    """Number and label of the segments; the background of a LABELMAP, number 0, is none."""
    return {
        int(item.SegmentNumber): str(item.get("SegmentLabel") or f"segment {item.SegmentNumber}").strip()
        for item in dataset.get("SegmentSequence") or ()
        if int(item.SegmentNumber)
    }


def segments(dataset, file: DicomFile, grid: Grid):
    """The segments on a grid. In FRACTIONAL ones, voxels of at least half the maximum belong to the segment.

    Args:
        dataset: of a SEG, with pixels.
        file: where it lies.
        grid: that they are wanted on.

    Yields:
        Number, name and mask, bool of the grid's shape.

    Raises:
        InputError: if a segment does not lie on the grid.
    """
    frames, pixels = _frames(dataset, file)
    reference = str(dataset.get("FrameOfReferenceUID") or "")
    grid.check_reference(reference, file.name)
    kind = str(dataset.get("SegmentationType") or BINARY)
    planes = _numbers(dataset, frames, kind)
    for number, name in segment_names(dataset).items():
        mask = np.zeros(grid.shape, bool)
        for index in planes.get(number, ()):
            mask |= _on_grid(_member(dataset, kind, pixels[index], number), frames[index], grid, file.name)
        yield number, name, mask


def own_grid(dataset, file: DicomFile) -> Grid:
    """The smallest even grid that the frames of a SEG lie on.

    Raises:
        InputError: if they do not say where they lie, or are not parallel.
    """
    frames = frames_in(dataset, file)
    if not all(frame.placed for frame in frames) or not frames:
        raise InputError(f"{file.name}: does not say where its frames lie; give the series that it was made from")
    frames = sorted(frames, key=along_normal)
    first, across = frames[0], normal(frames[0])
    if any(abs(float(normal(frame) @ across)) < 0.999 for frame in frames):
        raise InputError(f"{file.name}: its frames are not parallel; give the series that it was made from")
    steps = np.diff([along_normal(frame) for frame in frames])
    steps = steps[steps > 1e-3]
    step = float(steps.min()) if len(steps) else 1.0
    row, column = np.reshape(first.orientation, (2, 3))
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1], affine[:3, 2] = row * first.spacing[1], column * first.spacing[0], across * step
    affine[:3, 3] = first.position
    slices = round((along_normal(frames[-1]) - along_normal(first)) / step) + 1
    shape = (first.instance.columns, first.instance.rows, slices)
    check_bytes(file.name, int(np.prod(shape)) * 4, "its label map")
    return Grid(shape, affine, str(dataset.get("FrameOfReferenceUID") or ""))


def _frames(dataset, file):
    frames = frames_in(dataset, file)
    instance = frames[0].instance if frames else None
    if instance is None:
        raise InputError(f"{file.name}: holds no frame; copy it again")
    check_bytes(file.name, instance.rows * instance.columns * len(frames), "its frames")
    check_codestreams(file.name, dataset)
    with GdcmProcess() as gdcm:
        pixels = np.stack(decode(dataset, range(instance.frames), file, gdcm))
    return frames, pixels.reshape(len(frames), instance.rows, instance.columns)


def _numbers(dataset, frames: tuple[Frame, ...], kind) -> dict[int, list[int]]:
    """Segment number to the frames that show it."""
    if kind == LABELMAP:
        return {number: list(range(len(frames))) for number in segment_names(dataset)}
    shared = dataset.get("SharedFunctionalGroupsSequence")
    own = dataset.get("PerFrameFunctionalGroupsSequence") or ()
    planes = defaultdict(list)
    for index in range(len(frames)):
        for groups in (own[index] if index < len(own) else None, shared[0] if shared else None):
            identified = groups.get("SegmentIdentificationSequence") if groups is not None else None
            if identified:
                planes[int(identified[0].ReferencedSegmentNumber)].append(index)
                break
    return planes


def _member(dataset, kind, plane, number):
    if kind == LABELMAP:
        return plane == number
    if kind == FRACTIONAL:
        return plane * 2 >= int(dataset.get("MaximumFractionalValue") or 1)
    return plane > 0


def _on_grid(plane, frame: Frame, grid: Grid, name):
    if grid.affine is None or not frame.placed:
        if (plane.shape[1], plane.shape[0], 1) != grid.shape:
            raise InputError(
                f"{name}: does not say where its frames lie, expected {grid.shape[:2]} pixels as the image"
            )
        return plane.T[..., None]
    row, column = np.reshape(frame.orientation, (2, 3))
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1], affine[:3, 2] = row * frame.spacing[1], column * frame.spacing[0], normal(frame)
    affine[:3, 3] = frame.position
    return grid.place(plane.T[..., None], affine, name)
