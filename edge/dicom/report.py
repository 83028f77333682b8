"""Measurements as a structured report: DICOM's TID 1500, by highdicom."""

from collections.abc import Mapping

from edge.dicom.headers import Sources
from edge.dicom.identity import Identity
from edge.dicom.origin import MANUFACTURER, Origin
from edge.dicom.segmentation import segment_code

_SERIES_NUMBER = 902
_PROCEDURE = ("363679005", "SCT", "Imaging procedure")
_MILLILITRE = ("ml", "UCUM", "milliliter")


def report_object(
    seg,
    volumes_ml: Mapping[str, float],
    areas_mm2: Mapping[str, float],
    sources: Sources,
    origin: Origin,
    identity: Identity,
    codes,
):
    """Volumes, or areas of a flat image, as a Comprehensive 3D SR that refers to the segments of a SEG object.

    Args:
        seg: the SEG object of the same segmentation.
        volumes_ml: name of each structure to its volume; empty for a flat image.
        areas_mm2: name to area; empty for a volume, and where the size of a pixel is not known.
        sources: what was segmented.
        origin: what made it.
        identity: gives its unique identifiers.
        codes: table of codes.

    Returns:
        A pydicom dataset.
    """
    import highdicom as hd
    from pydicom.sr.codedict import codes as dicom_codes

    device = hd.sr.ObserverContext(
        observer_type=dicom_codes.DCM.Device,
        observer_identifying_attributes=hd.sr.DeviceObserverIdentifyingAttributes(
            uid=identity.uid("device"),
            name=origin.name,
            manufacturer_name=MANUFACTURER,
            model_name=origin.name,
            serial_number=origin.serial,
        ),
    )
    groups = []
    for number, name in enumerate(origin.structures, start=1):
        measured = []
        if name in volumes_ml:
            measured.append((dicom_codes.SCT.Volume, volumes_ml[name], hd.sr.CodedConcept(*_MILLILITRE)))
        if name in areas_mm2:
            measured.append((dicom_codes.SCT.Area, areas_mm2[name], dicom_codes.UCUM.SquareMillimeter))
        groups.append(_group(number, name, measured, seg, sources, origin, identity, codes))
    content = hd.sr.MeasurementReport(
        observation_context=hd.sr.ObservationContext(observer_device_context=device),
        procedure_reported=hd.sr.CodedConcept(*_PROCEDURE),
        imaging_measurements=groups,
        title=dicom_codes.DCM.ImagingMeasurementReport,
    )
    report = hd.sr.Comprehensive3DSR(
        evidence=[seg, *sources.images],
        content=content,
        series_instance_uid=identity.uid("sr series"),
        series_number=_SERIES_NUMBER,
        sop_instance_uid=identity.uid("sr"),
        instance_number=1,
        manufacturer=MANUFACTURER,
        is_complete=True,
        manufacturer_model_name=origin.name,
        software_versions=origin.version,
        device_serial_number=origin.serial,
        series_description=f"Measurements {origin.name}"[:64],
    )
    for element in report.iterall():
        if element.keyword == "ReferencedSOPSequence":
            for item in element.value:
                if "ReferencedFrameNumber" in item:  # of a SEG a reference names frames or a segment, not both
                    item.pop("ReferencedSegmentNumber", None)
    return report


def _group(number, name, measured, seg, sources, origin, identity, codes):
    import highdicom as hd

    code = segment_code(origin, name, codes)
    algorithm = hd.sr.AlgorithmIdentification(name=origin.name, version=origin.version)
    measurements = [
        hd.sr.Measurement(name=concept, value=round(float(value), 6), unit=unit) for concept, value, unit in measured
    ]
    common = {
        "tracking_identifier": hd.sr.TrackingIdentifier(uid=identity.uid(f"segment {number}"), identifier=name[:64]),
        "finding_type": hd.sr.CodedConcept(*code.type),
        "finding_category": hd.sr.CodedConcept(*code.category),
        "algorithm_id": algorithm,
        "measurements": measurements or None,
    }
    if len(sources.series.frames) == 1 and not sources.series.placed:
        frames = [
            index
            for index, groups in enumerate(seg.PerFrameFunctionalGroupsSequence, start=1)
            if "SegmentIdentificationSequence" not in groups
            or groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber == number
        ]
        image = sources.images[0]
        if frames:
            region = hd.sr.ReferencedSegmentationFrame(
                seg.SOPClassUID, seg.SOPInstanceUID, frames[0], number,
                hd.sr.SourceImageForSegmentation(image.SOPClassUID, image.SOPInstanceUID),
            )  # fmt: skip
            return hd.sr.PlanarROIMeasurementsAndQualitativeEvaluations(referenced_segment=region, **common)
        common.pop("algorithm_id")
        return hd.sr.MeasurementsAndQualitativeEvaluations(
            source_images=[hd.sr.SourceImageForMeasurementGroup(image.SOPClassUID, image.SOPInstanceUID)], **common
        )
    segment = hd.sr.ReferencedSegment(
        sop_class_uid=seg.SOPClassUID,
        sop_instance_uid=seg.SOPInstanceUID,
        segment_number=number,
        source_series=hd.sr.SourceSeriesForSegmentation(sources.images[0].SeriesInstanceUID),
    )
    return hd.sr.VolumetricROIMeasurementsAndQualitativeEvaluations(referenced_segment=segment, **common)
