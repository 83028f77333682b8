"""DICOM labels that are traps: SEG and RTSTRUCT files alone, beside a series, and in a dataset."""

import io
import struct

import numpy as np
from dicom_files import image, uid
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

SEG, RTSTRUCT = "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.481.3"
_PLACE = {"ImagePositionPatient": [0, 0, 0], "ImageOrientationPatient": [1, 0, 0, 0, 1, 0], "SliceThickness": 2}
_SIZE = 16


def _bytes(dataset) -> bytes:
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def slices(count=3) -> dict[str, bytes]:
    """Name to content of a small series."""
    plane = np.zeros((_SIZE, _SIZE), np.uint16)
    tags = [_PLACE | {"ImagePositionPatient": [0, 0, 2 * index]} for index in range(count)]
    return {f"{n}.dcm": _bytes(image(plane, n + 1, **each)) for n, each in enumerate(tags)}


def _of(**values) -> Dataset:
    dataset = Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


def seg(planes=None, segments=1, positions=(0, 2, 4), kind="LABELMAP", label="ball", **tags) -> bytes:
    """A SEG with a frame a position; ``tags`` go over what it usually says."""
    planes = np.ones((len(positions), _SIZE, _SIZE), np.uint8) if planes is None else planes
    dataset = image(planes, sop_class=SEG, name="labels", Modality="SEG", PixelSpacing=None, NumberOfFrames=len(planes))
    dataset.SegmentationType, dataset.MaximumFractionalValue = kind, 255
    dataset.SegmentSequence = [_of(SegmentNumber=n + 1, SegmentLabel=f"{label} {n}") for n in range(segments)]
    measures = _of(PixelSpacing=[0.5, 0.75], SliceThickness=2)
    plane = _of(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])
    dataset.SharedFunctionalGroupsSequence = [_of(PixelMeasuresSequence=[measures], PlaneOrientationSequence=[plane])]
    dataset.PerFrameFunctionalGroupsSequence = [
        _of(
            PlanePositionSequence=[_of(ImagePositionPatient=[0, 0, position])],
            SegmentIdentificationSequence=[_of(ReferencedSegmentNumber=1)],
        )
        for position in positions
    ]
    dataset.ReferencedSeriesSequence = [_of(SeriesInstanceUID=uid("series"))]
    for keyword, value in tags.items():
        setattr(dataset, keyword, value)
    return _bytes(dataset)


def packed(planes, **more) -> bytes:
    """A SEG whose frames are packed by RLE."""
    plain = image(planes, sop_class=SEG, syntax=RLELossless)
    dataset = dcmread(io.BytesIO(seg(np.zeros((len(planes), 1, 1), np.uint8), **more)))
    dataset.file_meta.TransferSyntaxUID = RLELossless
    dataset.Rows, dataset.Columns = planes.shape[1:]
    dataset.PixelData = plain.PixelData
    dataset["PixelData"].is_undefined_length, dataset["PixelData"].VR = True, "OB"
    return _bytes(dataset)


def outlines(contours, names=("ball",), syntax=ExplicitVRLittleEndian, **tags) -> bytes:
    """An RTSTRUCT: ``contours`` are the texts of the contour data of the first structure."""
    dataset = image(np.zeros((1, 1), np.uint8), sop_class=RTSTRUCT, name="labels", Modality="RTSTRUCT")
    for keyword in ("Rows", "Columns", "PixelData", "PixelSpacing"):
        delattr(dataset, keyword)
    dataset.StructureSetROISequence = [
        _of(ROINumber=n + 1, ROIName=name, ReferencedFrameOfReferenceUID=uid("frame")) for n, name in enumerate(names)
    ]
    drawn = []
    for text in contours:
        contour = _of(ContourGeometricType="CLOSED_PLANAR", NumberOfContourPoints=1)
        contour.add_new(0x30060050, "DS", [])
        contour.ContourImageSequence = [_of(ReferencedSOPClassUID="1.2", ReferencedSOPInstanceUID="1.2.3")]
        contour["ContourData"]._value = text
        drawn.append(contour)
    dataset.ROIContourSequence = [_of(ReferencedROINumber=n + 1, ContourSequence=drawn) for n in range(len(names))]
    references = _of(SeriesInstanceUID=uid("series"))
    dataset.ReferencedFrameOfReferenceSequence = [
        _of(RTReferencedStudySequence=[_of(RTReferencedSeriesSequence=[references])])
    ]
    for keyword, value in tags.items():
        setattr(dataset, keyword, value)
    dataset.file_meta.TransferSyntaxUID = syntax
    return _bytes(dataset)


def square(low=1, high=9, z=0) -> str:
    """The contour data of a square."""
    return "\\".join(map(str, (low, low, z, high, low, z, high, high, z, low, high, z)))


def long_outline(points) -> bytes:
    """An outline of a great many points; only without value representations may a number's text be so long."""
    text = "\\".join(("1\\1\\0", "9\\1\\0") * (points // 2))
    return outlines([text], syntax=ImplicitVRLittleEndian)


def items(count, whole=None) -> bytes:
    """A sequence of so many empty items behind a whole file."""
    item = struct.pack("<HHI", 0xFFFE, 0xE000, 0)
    head = struct.pack("<HH2sHI", 0x7FE1, 0x0010, b"SQ", 0, 0xFFFFFFFF)
    return (whole or seg()) + head + item * count + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)


# The path that reads the label of ``labelled`` on its series: as train.data.dicom_layout writes it.
ON_SCAN = "label.dcm#on=scan" + "".join(
    f"&class={value}={name}" for name, value in {"a": 1, "b": 2, "ball": 1, "ball+0": 1, "ball+1": 2}.items()
)
# Read alone, on the grid of its own frames.
LABELS = {
    "seg of frames a kilometre apart": lambda: seg(positions=(0, 0.002, 1e6)),
    "seg of frames at no place": lambda: seg(positions=(0, 2, "1e400")),
    "seg claims 65535²": lambda: seg(Rows=65535, Columns=65535),
    "seg claims 2 billion frames": lambda: seg(NumberOfFrames=2**31 - 1),
    "seg cut": lambda: seg()[:-300],
    "seg of segments 10^9": lambda: seg(SegmentSequence=[_of(SegmentNumber=n, SegmentLabel="a") for n in (1, 65535)])[
        :-1
    ],
    "seg of a million items": lambda: items(10**6 * 2),
    "seg of orientation zero": lambda: seg(
        SharedFunctionalGroupsSequence=[
            _of(
                PixelMeasuresSequence=[_of(PixelSpacing=[1, 1])],
                PlaneOrientationSequence=[_of(ImageOrientationPatient=[0] * 6)],
            )
        ]
    ),
    "seg no pixels": lambda: seg(PixelData=b""),
    "structures alone": lambda: outlines([square()]),
    "labels of noise": lambda: seg()[:600] + np.random.default_rng(0).bytes(3000),
}
# Beside a series, read on its grid.
ON_SERIES = {
    "outline of text": lambda: outlines(["a\\b\\c"]),
    "outline of NaN": lambda: outlines(["nan\\nan\\nan\\1\\1\\0"]),
    "outline at infinity": lambda: outlines(["1e308\\1e308\\0\\1e309\\0\\0"]),
    "outline of two numbers": lambda: outlines(["1\\2"]),
    "outline of nothing": lambda: outlines([""]),
    "outline of one point far away": lambda: outlines([square(10**6, 10**7)]),
    "outline across the slices": lambda: outlines(["1\\1\\0\\5\\5\\4"]),
    "structures of another frame of reference": lambda: outlines(
        [square()], StructureSetROISequence=[_of(ROINumber=1, ROIName="a", ReferencedFrameOfReferenceUID="1.2.3")]
    ),
    "seg beside the series": lambda: seg(positions=(100, 102, 104)),
}
# The same, which shows only when the labels are drawn.
OVERLAPS = {
    "structures that overlap": lambda: outlines([square()], names=("a", "b")),
    "seg of segments that overlap": lambda: seg(
        kind="BINARY",
        segments=2,
        positions=(0, 0),
        PerFrameFunctionalGroupsSequence=[
            _of(
                PlanePositionSequence=[_of(ImagePositionPatient=[0, 0, 0])],
                SegmentIdentificationSequence=[_of(ReferencedSegmentNumber=n)],
            )
            for n in (1, 2)
        ],
    ),
}
# Large, but no more than they say: each is read.
LARGE = {
    "seg of 4000 segments": lambda: seg(np.ones((20, 200, 200), np.uint8), 4000, positions=range(20)),
    "seg of 9 million voxels in 150 kB": lambda: packed(np.ones((1, 3000, 3000), np.uint8), positions=(0,)),
    "outline of half a million points": lambda: long_outline(500_000),
}


def labelled(label):
    """A dataset folder of one series and this label."""

    def make(folder):
        (folder / "scan").mkdir(parents=True)
        for name, content in slices().items():
            (folder / "scan" / name).write_bytes(content)
        (folder / "label.dcm").write_bytes(label())

    return make
