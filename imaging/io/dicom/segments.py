"""DICOM Segmentation objects: BINARY, FRACTIONAL and LABELMAP."""

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
_MOST_SEGMENTS = 2**16  # their numbers are of 16 bits
_PIXELS = 2**19  # of a frame that are placed at a time


def segment_names(dataset) -> dict[int, str]:
    """Number and label of the segments; the background of a LABELMAP, number 0, is none."""
    return {
        int(item.SegmentNumber): str(item.get("SegmentLabel") or f"segment {item.SegmentNumber}").strip()
        for item in dataset.get("SegmentSequence") or ()
        if int(item.SegmentNumber)
    }


def segments(dataset, file: DicomFile, grid: Grid):
    """The segments on a grid. In FRACTIONAL ones, voxels of at least half the maximum belong to the segment.

    They come part by part, each no more than some rows of a frame, so that neither many segments nor large frames take
    memory.

    Args:
        dataset: of a SEG, with pixels.
        file: where it lies.
        grid: that they are wanted on.

    Yields:
        Numbers, one for each voxel, and voxels, (N, 3) columns, rows and slices of the grid.

    Raises:
        InputError: if a segment does not lie on the grid.
    """
    frames, pixels = _frames(dataset, file)
    reference = str(dataset.get("FrameOfReferenceUID") or "")
    grid.check_reference(reference, file.name)
    kind = str(dataset.get("SegmentationType") or BINARY)
    known = np.zeros(_MOST_SEGMENTS, bool)
    known[list(segment_names(dataset))] = True
    half = int(dataset.get("MaximumFractionalValue") or 1)
    numbers = None if kind == LABELMAP else _numbers(dataset, frames)
    step = max(1, _PIXELS // max(1, pixels.shape[2]))
    for index, frame in enumerate(frames):
        for start in range(0, pixels.shape[1], step):
            rows = pixels[index, start : start + step]
            if kind == LABELMAP:
                shown = known[rows]
            elif numbers[index] is None or not known[numbers[index]]:
                continue
            else:
                shown = rows * np.int64(2) >= half if kind == FRACTIONAL else rows > 0
            places = np.argwhere(shown)
            if len(places):
                values = rows[shown] if kind == LABELMAP else np.full(len(places), numbers[index])
                places[:, 0] += start
                yield values.astype(np.int64), _on_grid(places[:, ::-1], pixels.shape[1:], frame, grid, file.name)


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


def _numbers(dataset, frames: tuple[Frame, ...]) -> list[int | None]:
    """The number of the segment that each frame shows."""
    shared = dataset.get("SharedFunctionalGroupsSequence")
    own = dataset.get("PerFrameFunctionalGroupsSequence") or ()
    numbers: list[int | None] = []
    for index in range(len(frames)):
        segment_number = None
        for groups in (own[index] if index < len(own) else None, shared[0] if shared else None):
            identified = groups.get("SegmentIdentificationSequence") if groups is not None else None
            if identified:
                segment_number = int(identified[0].ReferencedSegmentNumber)
                break
        numbers.append(segment_number)
    return numbers


def _on_grid(pixels, size, frame: Frame, grid: Grid, name):
    """Pixels of a frame, (N, 2) columns and rows, as voxels of the grid."""
    pixels = np.column_stack([pixels, np.zeros(len(pixels), np.int64)])
    if grid.affine is None or not frame.placed:
        if (size[1], size[0], 1) != grid.shape:
            raise InputError(
                f"{name}: does not say where its frames lie, expected {grid.shape[:2]} pixels as the image"
            )
        return pixels
    row, column = np.reshape(frame.orientation, (2, 3))
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1], affine[:3, 2] = row * frame.spacing[1], column * frame.spacing[0], normal(frame)
    affine[:3, 3] = frame.position
    return grid.place(pixels, affine, name)
