"""DICOM Segmentation (SEG) objects, by highdicom."""

import numpy as np

from edge.dicom.codes import SegmentCode, code_of
from edge.dicom.headers import Sources
from edge.dicom.identity import Identity
from edge.dicom.origin import MANUFACTURER, Origin
from imaging.regions import mask_of
from medseg.errors import InputError

_SERIES_NUMBER = 901


def segmentation_object(
    classes: np.ndarray, sources: Sources, origin: Origin, identity: Identity, codes, labelmap=False
):
    """A segmentation as a SEG object that lies on its source images, frame for slice.

    Args:
        classes: label values (slices, rows, columns), as the source's frames.
        sources: what was segmented.
        origin: what made it.
        identity: gives its unique identifiers.
        codes: table of codes (``edge.dicom.codes``).
        labelmap: one frame a slice with the segments' numbers in it (2024), in place of one bit a segment and slice.

    Returns:
        A pydicom dataset. Slices without any segment are left out, as DICOM allows.

    Raises:
        InputError: if a label map is asked of structures that overlap.
    """
    import highdicom as hd

    if labelmap and origin.overlapping:
        raise InputError(
            "a LABELMAP holds one segment a voxel, these structures may overlap; write it without --labelmap"
        )
    masks = [mask_of(classes, values) for values in origin.structures.values()]
    if labelmap:
        pixels = np.zeros(classes.shape, np.uint8 if len(masks) < 256 else np.uint16)
        for number, mask in enumerate(masks, start=1):
            pixels[mask] = number
    else:
        pixels = np.stack(masks, axis=-1).astype(np.uint8)
    described = [
        _description(number, name, code_of(name, origin.context, codes, number), origin, identity)
        for number, name in enumerate(origin.structures, start=1)
    ]
    pixels, more = _frames(pixels, sources)
    seg = hd.seg.Segmentation(
        source_images=list(sources.images),
        pixel_array=pixels,
        segmentation_type="LABELMAP" if labelmap else "BINARY",
        segment_descriptions=described,
        series_instance_uid=identity.uid("seg series"),
        series_number=_SERIES_NUMBER,
        sop_instance_uid=identity.uid("seg"),
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=origin.name,
        software_versions=origin.version,
        device_serial_number=origin.serial,
        content_label="SEGMENTATION",
        content_description=f"Segmentation by {origin.name}"[:64],
        content_creator_name=None,
        series_description=f"Segmentation {origin.name}"[:64],
        **more,
    )
    if not sources.series.placed:  # what the standard asks of images that lie nowhere
        seg.PatientOrientation = ""
        seg.SharedFunctionalGroupsSequence[0].pop("PixelMeasuresSequence", None)
    return seg


def segment_code(origin: Origin, name: str, codes) -> SegmentCode:
    """The code of a structure of ``origin``."""
    return code_of(name, origin.context, codes, 1 + list(origin.structures).index(name))


def _frames(pixels, sources):
    """The pixels in the order of the source file's frames, and where they lie if that has more frames than these."""
    import highdicom as hd

    if sources.frames is None:
        return pixels, {}
    count = int(sources.images[0].NumberOfFrames)
    if sorted(sources.frames) == list(range(count)):
        return pixels[np.argsort(sources.frames)], {}
    first = sources.series.frames[0]
    places = [hd.PlanePositionSequence("PATIENT", image_position=frame.position) for frame in sources.series.frames]
    step = sources.series.frames
    between = abs(
        np.dot(np.subtract(step[1].position, step[0].position), np.cross(*np.reshape(first.orientation, (2, 3))))
    )
    return pixels, {
        "plane_positions": places,
        "plane_orientation": hd.PlaneOrientationSequence("PATIENT", image_orientation=first.orientation),
        "pixel_measures": hd.PixelMeasuresSequence(
            pixel_spacing=first.spacing, slice_thickness=float(between), spacing_between_slices=float(between)
        ),
    }


def _description(number, name, code: SegmentCode, origin, identity):
    import highdicom as hd
    from pydicom.sr.codedict import codes as dicom_codes

    description = hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=name[:64],
        segmented_property_category=hd.sr.CodedConcept(*code.category),
        segmented_property_type=hd.sr.CodedConcept(*code.type),
        algorithm_type="AUTOMATIC",
        algorithm_identification=hd.AlgorithmIdentificationSequence(
            name=origin.name, family=dicom_codes.DCM.ArtificialIntelligence, version=origin.version
        ),
        tracking_uid=identity.uid(f"segment {number}"),
        tracking_id=name[:64],
        display_color=hd.color.CIELabColor.from_rgb(*code.color),
    )
    if code.modifier is not None:
        description.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = [
            hd.sr.CodedConcept(*code.modifier)
        ]
    return description
