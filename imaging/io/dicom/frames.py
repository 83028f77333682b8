"""What the headers of single-frame and multi-frame images say of each frame, in one form."""

import math
from dataclasses import dataclass

from imaging.io.dicom.dataset import DicomFile, damaged, open_dataset
from medseg.errors import InputError
from medseg.untrusted import in_one_line

# Attributes by which volumes of one series differ, in the order in which they are tried, with words for them.
DIFFERENCES = {
    "StackID": "stack",
    "EchoTime": "echo time, ms",
    "EchoNumbers": "echo",
    "TemporalPositionIdentifier": "time",
    "DiffusionBValue": "b value",
    "NominalPercentageOfCardiacPhase": "cardiac phase, %",
    "NominalPercentageOfRespiratoryPhase": "respiratory phase, %",
    "TriggerTime": "trigger time, ms",
    "InversionTime": "inversion time, ms",
    "ConvolutionKernel": "kernel",
    "ImageType": "type",
    "FrameType": "type",
    "AcquisitionNumber": "acquisition",
    "SeriesTime": "series time",
    "AcquisitionTime": "acquisition time",
}
_MOST_DEFLATED = 1032  # bytes that one of a deflated file can make, RFC 1951
# Where the functional groups of an enhanced image keep the same facts: group, attribute, name above.
_GROUPS = (
    ("FrameContentSequence", "StackID", "StackID"),
    ("FrameContentSequence", "TemporalPositionIndex", "TemporalPositionIdentifier"),
    ("FrameContentSequence", "FrameAcquisitionNumber", "AcquisitionNumber"),
    ("MREchoSequence", "EffectiveEchoTime", "EchoTime"),
    ("MRDiffusionSequence", "DiffusionBValue", "DiffusionBValue"),
    ("MRImageFrameTypeSequence", "FrameType", "FrameType"),
    ("CTImageFrameTypeSequence", "FrameType", "FrameType"),
    ("CardiacSynchronizationSequence", "NominalPercentageOfCardiacPhase", "NominalPercentageOfCardiacPhase"),
    ("CTReconstructionSequence", "ConvolutionKernel", "ConvolutionKernel"),
)


@dataclass(frozen=True)
class Instance:
    """What all frames of a file share.

    Attributes:
        file: where it lies.
        uid, sop_class: of the instance.
        series, study, frame_of_reference: unique identifiers.
        patient: a number that differs between patients and tells nothing else of them; None of files without one.
        modality, description, series_number, number: as the header says; "" and 0 where it says nothing.
        rows, columns, samples, frames: of its pixels.
        localizer: whether it is a localizer (scout).
        mosaic: whether its one image is a mosaic of slices.
    """

    file: DicomFile
    uid: str
    sop_class: str
    series: str
    study: str
    frame_of_reference: str
    patient: int | None
    modality: str
    description: str
    series_number: int
    number: int
    rows: int
    columns: int
    samples: int
    frames: int
    localizer: bool
    mosaic: bool


@dataclass(frozen=True)
class Frame:
    """One image in a file.

    Attributes:
        instance: the file's facts.
        index: of the frame in the file, from 0.
        position: of the centre of its first pixel, mm LPS, or None.
        orientation: direction of a row and of a column, LPS, or None.
        spacing: mm between rows and between columns, or None.
        differences: what may tell its volume from others: names of ``DIFFERENCES`` to text.
    """

    instance: Instance
    index: int
    position: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    spacing: tuple[float, ...] | None
    differences: dict[str, str]

    @property
    def placed(self) -> bool:
        """Whether it says where it lies in the patient."""
        return None not in (self.position, self.orientation, self.spacing)

    @property
    def name(self) -> str:
        """What a message calls it: its number, not its file's name."""
        number = f"instance {self.instance.number}"
        return number if self.instance.frames == 1 else f"{number} frame {self.index + 1}"


def frames_of(file: DicomFile) -> tuple[Frame, ...]:
    """The frames of a file; none of one that holds no image, such as a report or a segmentation.

    Raises:
        InputError: if it is damaged.
    """
    dataset = open_dataset(file, pixels=False)
    try:
        if not _is_image(dataset):
            return ()
    except Exception as error:  # values are decoded when they are asked for, so damage shows here
        raise damaged(file.name, error) from None
    return frames_in(dataset, file)


def frames_in(dataset, file: DicomFile) -> tuple[Frame, ...]:
    """The frames of a data set that holds pixels, of an image or a segmentation.

    Raises:
        InputError: if it is damaged.
    """
    try:
        return _frames_in(dataset, file)
    except InputError:
        raise
    except Exception as error:  # of any type, where sequences are damaged
        raise damaged(file.name, error) from None


def _frames_in(dataset, file):
    instance = _instance(file, dataset)
    # A frame takes a byte or more, in a deflated file a thousandth: so no header makes us list millions of frames.
    if instance.frames > 1 and instance.frames > file.size() * (_MOST_DEFLATED if _is_deflated(dataset) else 1):
        raise InputError(f"{file.name}: announces {instance.frames} frames, more than it can hold; it is damaged")
    shared = _first(dataset, "SharedFunctionalGroupsSequence")
    own = dataset.get("PerFrameFunctionalGroupsSequence") or ()
    if own and len(own) < instance.frames:
        raise InputError(f"{file.name}: describes {len(own)} frames, expected {instance.frames}; it is damaged")
    base = {name: _text(dataset, name) for name in DIFFERENCES if _text(dataset, name)}
    return tuple(
        _frame(instance, index, (own[index], shared, dataset) if own else (shared, dataset), base)
        for index in range(instance.frames)
    )


def _is_deflated(dataset):
    return dataset.file_meta.get("TransferSyntaxUID") == "1.2.840.10008.1.2.1.99"


def _is_image(dataset):
    # Segmentations, dose and the like hold pixels, too, but no image of the patient.
    if dataset.get("Modality") in ("SEG", "SR", "PR", "KO", "RTSTRUCT", "RTPLAN", "RTDOSE", "RTRECORD", "REG", "FID"):
        return False
    return all(isinstance(dataset.get(name), int) and dataset.get(name) > 0 for name in ("Rows", "Columns"))


def _instance(file, dataset):
    kinds = dataset.get("ImageType") or ()
    kinds = [kinds] if isinstance(kinds, str) else [str(kind) for kind in kinds]
    identity = (str(dataset.get("PatientID") or ""), str(dataset.get("IssuerOfPatientID") or ""))
    return Instance(
        file,
        uid=str(dataset.get("SOPInstanceUID") or ""),
        sop_class=str(dataset.get("SOPClassUID") or ""),
        series=in_one_line(str(dataset.get("SeriesInstanceUID") or "")),
        study=in_one_line(str(dataset.get("StudyInstanceUID") or "")),
        frame_of_reference=in_one_line(str(dataset.get("FrameOfReferenceUID") or "")),
        patient=hash(identity) if identity[0] else None,
        modality=in_one_line(str(dataset.get("Modality") or "")),
        description=in_one_line(str(dataset.get("SeriesDescription") or "")),
        series_number=_whole(dataset.get("SeriesNumber"), 0),
        number=_whole(dataset.get("InstanceNumber"), 0),
        rows=int(dataset.Rows),
        columns=int(dataset.Columns),
        samples=_whole(dataset.get("SamplesPerPixel"), 1),
        frames=max(1, _whole(dataset.get("NumberOfFrames"), 1)),
        localizer="LOCALIZER" in kinds,
        mosaic="MOSAIC" in kinds,
    )


def _frame(instance, index, places, base):
    differences = dict(base)
    for group, attribute, name in _GROUPS:
        for place in places[:-1]:
            text = _text(_first(place, group), attribute)
            if text:
                differences[name] = text
                break
    return Frame(
        instance,
        index,
        _numbers(places, "PlanePositionSequence", "ImagePositionPatient", 3),
        _numbers(places, "PlaneOrientationSequence", "ImageOrientationPatient", 6),
        _spacing(places),
        differences,
    )


def _spacing(places):
    for name in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"):
        spacing = _numbers(places, "PixelMeasuresSequence", name, 2)
        if spacing is not None and min(spacing) > 0:
            return spacing
    regions = places[-1].get("SequenceOfUltrasoundRegions") or ()
    if (
        len(regions) == 1
        and regions[0].get("PhysicalUnitsXDirection") == regions[0].get("PhysicalUnitsYDirection") == 3
    ):
        steps = [regions[0].get(f"PhysicalDelta{axis}") for axis in "YX"]
        if all(isinstance(step, float) and math.isfinite(step) and step for step in steps):
            return tuple(abs(step) * 10 for step in steps)  # centimetres
    return None


def _numbers(places, group, attribute, count):
    """Finite numbers of the first place that has them: the frame's own group, the shared one, or the data set."""
    for place in places:
        source = place if place is places[-1] else _first(place, group)
        values = source.get(attribute) if source is not None else None
        if values is None or isinstance(values, str | float | int):
            continue
        try:
            numbers = tuple(float(value) for value in values)
        except (TypeError, ValueError):
            continue
        if len(numbers) == count and all(map(math.isfinite, numbers)):
            return numbers
    return None


def _first(dataset, name):
    sequence = dataset.get(name) if dataset is not None else None
    return sequence[0] if sequence else None


def _text(dataset, name):
    value = dataset.get(name) if dataset is not None else None
    if value is None or value == "":
        return ""
    return str(value) if isinstance(value, str | int | float) else "\\".join(map(str, value))


def _whole(value, default):
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return default
