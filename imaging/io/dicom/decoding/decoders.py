"""The stored values of a file's frames, by the decoder for them that can be trusted most."""

import numpy as np

from imaging.io.dicom.dataset import DicomFile, load_pydicom
from medseg.errors import InputError

GDCM, _PILLOW = "gdcm", "pillow"


def decode(dataset, indices, file: DicomFile, gdcm) -> list[np.ndarray]:
    """Some frames of a file as it stores them, (rows, columns) or (rows, columns, 3).

    Args:
        dataset: of the file, with its pixel data.
        indices: of the frames, from 0.
        file: it lies there.
        gdcm: ``GdcmProcess``, for what no other decoder reads.

    Returns:
        The frames in the order of ``indices``.

    Raises:
        InputError: if there is no pixel data.
        Exception: of any type, as decoders raise it; RuntimeError where GDCM's process ended.
    """
    if not any(name in dataset for name in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
        raise InputError(f"{file.name}: holds no pixel data; copy it again")
    in_order = sorted(set(indices))
    *first, last = decoders(dataset.file_meta.TransferSyntaxUID)
    for decoder in (*first, last):
        try:
            if decoder == GDCM:
                stored = gdcm.decode(file.content(), in_order)
            else:
                stored = decode_with(decoder, dataset, in_order)
            break
        except Exception:  # of any type; the next one may read what this one does not
            if decoder == last:
                raise
    by_index = dict(zip(in_order, stored, strict=True))
    return [by_index[index] for index in indices]


def decode_with(decoder: str, dataset, in_order) -> list[np.ndarray]:
    """Frames by one of pydicom's decoders.

    Args:
        decoder: pydicom's name of it, "" for pixels that are not compressed.
        dataset: with its pixel data.
        in_order: indices of frames, ascending.
    """
    from pydicom.pixels import iter_pixels, pixel_array

    options = {"decoding_plugin": decoder, "allow_excess_frames": False}
    if int(dataset.get("NumberOfFrames") or 1) == 1:
        return [pixel_array(dataset, **options)]
    return list(iter_pixels(dataset, indices=in_order, **options))


def decoders(syntax) -> tuple[str, ...]:
    """pydicom's names of the decoders for a transfer syntax, best first; "" for what needs none.

    Damaged streams make GDCM end its process, so it has only what no other one decodes.
    """
    if not syntax.is_compressed:
        return ("",)
    installed = load_pydicom().pixels.get_decoder(syntax).available_plugins
    others = sorted((name for name in installed if name != GDCM), key=lambda name: (name == _PILLOW, name))
    return tuple(others) or tuple(installed) or ("",)
