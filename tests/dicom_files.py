"""DICOM series for tests, written by pydicom alone."""

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

CT, MR, US, ENHANCED_MR, ENHANCED_CT, US_MULTIFRAME = (
    f"1.2.840.10008.5.1.4.1.1.{kind}" for kind in ("2", "4", "6.1", "4.1", "2.1", "3.1")
)
LPS = (1, 0, 0, 0, 1, 0)
OBLIQUE = (0.8, 0.6, 0, -0.48, 0.64, 0.6)


def uid(*parts) -> str:
    """The same identifier for the same parts."""
    return generate_uid(entropy_srcs=[str(part) for part in parts])


def image(pixels, number=1, sop_class=MR, **tags) -> FileDataset:
    """A data set of one image with what its IOD asks for.

    Args:
        pixels: (rows, columns), (frames, rows, columns) or (rows, columns, 3), integers.
        number: of the instance.
        sop_class: UID.
        tags: attributes that go over the usual ones; None leaves one out. ``syntax`` is the transfer syntax, ``name``
            of the series makes its identifier.
    """
    syntax, name = tags.pop("syntax", ExplicitVRLittleEndian), tags.pop("name", "series")
    pixels = np.ascontiguousarray(pixels)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID = sop_class, ExplicitVRLittleEndian
    meta.MediaStorageSOPInstanceUID = uid(name, number, pixels.tobytes(), sorted(tags.items(), key=str))
    dataset = FileDataset(None, {}, file_meta=meta, preamble=bytes(128))
    colour = pixels.ndim == 3 and pixels.shape[-1] == 3
    frames = pixels.shape[0] if pixels.ndim == 3 and not colour else 0
    rows, columns = pixels.shape[:2] if colour else pixels.shape[-2:]
    usual = {
        "SOPClassUID": sop_class, "SOPInstanceUID": meta.MediaStorageSOPInstanceUID, "StudyInstanceUID": uid("study"),
        "SeriesInstanceUID": uid(name), "FrameOfReferenceUID": uid("frame"), "Modality": "MR", "PatientID": "P1",
        "PatientName": "Doe^Jane", "PatientBirthDate": "", "PatientSex": "", "StudyDate": "20240101",
        "StudyTime": "120000", "StudyID": "1", "AccessionNumber": "", "ReferringPhysicianName": "",
        "SeriesNumber": 1, "InstanceNumber": number, "ImageType": ["ORIGINAL", "PRIMARY", "OTHER"],
        "PositionReferenceIndicator": "", "Rows": rows, "Columns": columns, "SamplesPerPixel": 3 if colour else 1,
        "PhotometricInterpretation": "RGB" if colour else "MONOCHROME2",
        "BitsAllocated": pixels.itemsize * 8, "BitsStored": pixels.itemsize * 8, "HighBit": pixels.itemsize * 8 - 1,
        "PixelRepresentation": int(pixels.dtype.kind == "i"), "PixelSpacing": [0.5, 0.75],
    }  # fmt: skip
    if colour:
        usual["PlanarConfiguration"] = 0
    if frames:
        usual["NumberOfFrames"] = frames
    for keyword, value in (usual | tags).items():
        if value is not None:
            setattr(dataset, keyword, value)
    dataset.PixelData = pixels.tobytes()
    dataset["PixelData"].VR = "OB" if pixels.itemsize == 1 else "OW"
    if syntax != ExplicitVRLittleEndian:
        dataset.compress(syntax, generate_instance_uid=False)
    return dataset


def write_series(folder, voxels, step=2.0, orientation=LPS, names=None, each=None, **tags) -> Path:
    """A series of one file a slice.

    Args:
        folder: where to.
        voxels: (slices, rows, columns).
        step: mm between slices.
        orientation: of rows and columns.
        names: file of each slice, from the first position on.
        each: function from the slice's index to attributes of it alone.
        tags: as ``image`` takes them.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    across = np.cross(orientation[:3], orientation[3:])
    for index, plane in enumerate(voxels):
        own = {
            "ImagePositionPatient": [f"{value:.6f}" for value in np.array([-10.0, 20.0, 30.0]) + index * step * across],
            "ImageOrientationPatient": list(orientation),
            "SliceThickness": step,
            **tags,
            **(each(index) if each else {}),
        }
        name = names[index] if names else f"{index + 1:03d}.dcm"
        image(plane, index + 1, **own).save_as(folder / name, enforce_file_format=True)
    return folder


def enhanced(voxels, step=2.0, sop_class=ENHANCED_MR, order=None, rescale=None, echoes=None, **tags) -> FileDataset:
    """An enhanced multi-frame image.

    Args:
        voxels: (frames, rows, columns).
        step: mm between frames.
        sop_class: UID.
        order: position of each frame, in steps; None is their order.
        rescale: slope and intercept of each frame.
        echoes: effective echo time of each frame.
        tags: as ``image`` takes them.
    """
    dataset = image(voxels, sop_class=sop_class, **{"PixelSpacing": None, **tags})
    shared, measures, plane = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = [0.5, 0.75], step
    plane.ImageOrientationPatient = list(LPS)
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [plane]
    dataset.SharedFunctionalGroupsSequence = [shared]
    frames = []
    for index in range(len(voxels)):
        groups, place, content = Dataset(), Dataset(), Dataset()
        place.ImagePositionPatient = [-10.0, 20.0, 30.0 + step * (index if order is None else order[index])]
        content.FrameAcquisitionNumber = 1
        content.DimensionIndexValues = [index + 1]
        groups.PlanePositionSequence, groups.FrameContentSequence = [place], [content]
        if rescale is not None:
            transform = Dataset()
            transform.RescaleSlope, transform.RescaleIntercept = rescale[index]
            transform.RescaleType = "US"
            groups.PixelValueTransformationSequence = [transform]
        if echoes is not None:
            echo = Dataset()
            echo.EffectiveEchoTime = echoes[index]
            groups.MREchoSequence = [echo]
        frames.append(groups)
    dataset.PerFrameFunctionalGroupsSequence = frames
    return dataset
