"""Secondary captures: the slices with the outlines burned in, for viewers that show no SEG."""

import numpy as np

from edge.dicom.headers import Sources
from edge.dicom.identity import Identity
from edge.dicom.origin import MANUFACTURER, Origin
from edge.dicom.segmentation import segment_code
from imaging.regions import mask_of

_SERIES_NUMBER = 904
_DARK, _BRIGHT = 1, 99  # percentiles of the scan that become black and white where its header names no window


def captures(
    classes: np.ndarray, images: np.ndarray, sources: Sources, origin: Origin, identity: Identity, codes
) -> list:
    """A colour image a slice.

    Args:
        classes: label values (slices, rows, columns), as the source's frames.
        images: float (slices, rows, columns, C), the scan, C 1 or 3.
        sources: what was segmented.
        origin: what made it.
        identity: gives unique identifiers.
        codes: table of codes, for the colours.

    Returns:
        pydicom datasets, one series, in the order of the slices.
    """
    import highdicom as hd

    grey = _windowed(images, sources)
    objects = []
    for place, pixels in enumerate(grey):
        pixels = np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3)))
        for name, values in origin.structures.items():
            pixels[_border(mask_of(classes[place], values))] = segment_code(origin, name, codes).color
        image = sources.images[place if sources.frames is None else 0]
        frame = sources.series.frames[place]
        capture = hd.sc.SCImage(
            pixel_array=pixels,
            photometric_interpretation="RGB",
            bits_allocated=8,
            coordinate_system="PATIENT",
            study_instance_uid=image.StudyInstanceUID,
            series_instance_uid=identity.uid("capture series"),
            series_number=_SERIES_NUMBER,
            sop_instance_uid=identity.uid(f"capture {place}"),
            instance_number=place + 1,
            manufacturer=MANUFACTURER,
            patient_id=image.PatientID,
            patient_name=image.PatientName,
            patient_birth_date=image.PatientBirthDate or None,
            patient_sex=image.PatientSex or None,
            accession_number=image.AccessionNumber,
            study_id=image.StudyID,
            study_date=image.StudyDate or None,
            study_time=image.StudyTime or None,
            referring_physician_name=image.ReferringPhysicianName or None,
            pixel_spacing=frame.spacing,
            patient_orientation=("L", "P") if frame.orientation is None else _letters(frame.orientation),
            manufacturer_model_name=origin.name,
            device_serial_number=origin.serial,
            software_versions=origin.version,
            series_description=f"Overlay {origin.name}"[:64],
        )
        capture.BurnedInAnnotation, capture.Laterality = "NO", ""
        if frame.placed:
            capture.FrameOfReferenceUID = image.FrameOfReferenceUID
            capture.PositionReferenceIndicator = image.get("PositionReferenceIndicator") or ""
            capture.ImagePositionPatient = [f"{value:.6f}"[:16] for value in frame.position]
            capture.ImageOrientationPatient = [f"{value:.6f}"[:16] for value in frame.orientation]
        objects.append(capture)
    return objects


def _windowed(images, sources):
    """The scan as 0 to 255, by its header's window where it has one."""
    if images.shape[-1] == 3:
        return np.clip(images, 0, 255).astype(np.uint8)
    center, width = (_first_number(sources.images[0].get(name)) for name in ("WindowCenter", "WindowWidth"))
    if center is None or width is None or width <= 0:
        low, high = np.percentile(images, [_DARK, _BRIGHT])
    else:
        low, high = center - width / 2, center + width / 2
    return (np.clip((images - low) / max(high - low, 1e-6), 0, 1) * 255).astype(np.uint8)


def _first_number(value):
    value = value[0] if isinstance(value, list | tuple) or (hasattr(value, "append") and len(value)) else value
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _border(mask):
    """The pixels of a mask that have a neighbour outside it."""
    padded = np.pad(mask, 1)
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return mask & ~inner


def _letters(orientation):
    """The nearest anatomical directions of rows and columns, "L" and "P" for example."""
    letters = []
    for direction in np.reshape(orientation, (2, 3)):
        axis = int(np.abs(direction).argmax())
        letters.append(("LPH" if direction[axis] > 0 else "RAF")[axis])
    return tuple(letters)
