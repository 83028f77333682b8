"""The pixel values of frames: decoded, rescaled by the frame's own slope and intercept, bright is high."""

import contextlib
from collections import defaultdict

import numpy as np

from imaging.io.dicom.dataset import damaged, load_pydicom, open_dataset
from imaging.io.dicom.decoding.codestream import check_codestreams
from imaging.io.dicom.decoding.decoders import decode
from imaging.io.dicom.decoding.gdcm_process import GdcmProcess
from imaging.io.dicom.frames import Frame
from medseg.errors import InputError
from medseg.untrusted import in_one_line

_INVERTED = "MONOCHROME1"
_JPEG_EXTENDED = "1.2.840.10008.1.2.4.51"


def read_frames(frames, name):
    """Pixel values of frames, file by file.

    Args:
        frames: of one size.
        name: of the series, for messages.

    Yields:
        Index into ``frames``, and float32 (rows, columns, C) in the units of the modality, Hounsfield for example;
        C is 3 for colour.

    Raises:
        InputError: if pixels are missing or damaged, or no decoder for them is installed.
    """
    places = defaultdict(list)
    for place, frame in enumerate(frames):
        places[frame.instance.file].append(place)
    with GdcmProcess() as gdcm:
        for file, indices in places.items():
            dataset = open_dataset(file)
            with _in_one_line(file.name, dataset):
                check_codestreams(file.name, dataset)
                decoded = decode(dataset, [frames[place].index for place in indices], file, gdcm)
                for place, pixels in zip(indices, decoded, strict=True):
                    yield place, _values(dataset, frames[place], pixels, file.name)


@contextlib.contextmanager
def _in_one_line(name, dataset):
    """Whatever decoding raises as one line."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # decoders raise what they like
        syntax = dataset.file_meta.get("TransferSyntaxUID", "")
        if _no_decoder(syntax):
            kind = in_one_line(getattr(syntax, "name", syntax))
            raise InputError(
                f"{name}: its pixels are stored as {kind}, which no installed decoder "
                'reads; pip install "medseg-zoo[dicom]" brings those of JPEG, JPEG-LS and JPEG 2000'
            ) from None
        raise damaged(f"{name}: its pixels", error) from None


def _no_decoder(syntax):
    pydicom = load_pydicom()
    try:
        if syntax == _JPEG_EXTENDED:  # of 12 bits; what can be decoded of it has 8 and raises nothing
            return True
        if not syntax.is_compressed:
            return False
        return not pydicom.pixels.get_decoder(syntax).is_available
    except (AttributeError, ValueError, NotImplementedError):  # no transfer syntax that is known
        return True


def _values(dataset, frame, pixels, name):
    from pydicom.pixels import apply_color_lut, apply_modality_lut

    expected = (frame.instance.rows, frame.instance.columns)
    if pixels.shape[:2] != expected:
        raise InputError(f"{name}: its pixels have shape {pixels.shape}, its header says {expected}; it is damaged")
    photometric = str(dataset.get("PhotometricInterpretation") or "")
    if photometric == "PALETTE COLOR":
        pixels = apply_color_lut(pixels, dataset)
    if pixels.ndim == 3:
        if pixels.dtype == np.uint16 and photometric == "PALETTE COLOR":
            pixels = pixels >> 8
        return pixels[..., :3].astype(np.float32)
    if photometric == _INVERTED:
        pixels = _inverted(dataset, pixels)
    transform = _transform(dataset, frame.index)
    if transform is not None:
        slope, intercept = transform
        return (pixels.astype(np.float64) * slope + intercept).astype(np.float32)[..., None]
    return np.asarray(apply_modality_lut(pixels, dataset), np.float32)[..., None]


def _inverted(dataset, pixels):
    bits = int(dataset.get("BitsStored") or dataset.get("BitsAllocated"))
    if pixels.dtype.kind == "u":
        return (2**bits - 1) - pixels.astype(np.int64)
    return -1 - pixels.astype(np.int64)  # the range of signed values, turned round


def _transform(dataset, index):
    """Slope and intercept that the functional groups give a frame; None for a file that has none of them."""
    own = dataset.get("PerFrameFunctionalGroupsSequence")
    shared = dataset.get("SharedFunctionalGroupsSequence")
    for groups in (own[index] if own and index < len(own) else None, shared[0] if shared else None):
        sequence = groups.get("PixelValueTransformationSequence") if groups is not None else None
        if sequence:
            return float(sequence[0].RescaleSlope), float(sequence[0].RescaleIntercept)
    return None


def frame_bytes(frame: Frame) -> int:
    """Bytes that a frame takes once it is read."""
    return frame.instance.rows * frame.instance.columns * frame.instance.samples * 4
