"""How large a compressed frame says it is, read before a decoder believes it and takes memory."""

from imaging.io.dicom.dataset import load_pydicom
from medseg.errors import InputError
from medseg.limits import check_bytes

_JPEG = b"\xff\xd8"
_FRAME_STARTS = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}  # 0xF7 is that of JPEG-LS
_SCAN = 0xDA
_J2K = b"\xff\x4f\xff\x51"


def check_codestreams(name, dataset) -> None:
    """Require the frames of an encapsulated image to have the size that its header announces.

    Raises:
        InputError: if one has another, or all would take more than the limit.
    """
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    frames = max(1, int(dataset.get("NumberOfFrames") or 1))
    deep = max(1, int(dataset.get("SamplesPerPixel") or 1)) * max(1, int(dataset.get("BitsAllocated") or 8) // 8)
    check_bytes(name, rows * columns * frames * deep, "its pixels")
    if not dataset.file_meta.TransferSyntaxUID.is_encapsulated or "PixelData" not in dataset:
        return
    load_pydicom()
    from pydicom.encaps import generate_frames

    for number, codes in enumerate(generate_frames(dataset.PixelData, number_of_frames=frames), start=1):
        size = codestream_size(codes)
        if size is not None and size != (rows, columns):
            raise InputError(
                f"{name}: frame {number} is compressed as {size[0]} x {size[1]} pixels, its header says {rows} x "
                f"{columns}; it is damaged"
            )


def codestream_size(codes: bytes) -> tuple[int, int] | None:
    """Rows and columns that a JPEG, JPEG-LS or JPEG 2000 stream announces; None of other streams."""
    place = codes.find(_J2K, 0, 1024)
    if place >= 0:
        x, y, left, top = (int.from_bytes(codes[place + at : place + at + 4], "big") for at in (8, 12, 16, 20))
        return y - top, x - left
    if not codes.startswith(_JPEG):
        return None
    place = 2
    while place + 9 <= len(codes) and codes[place] == 0xFF:
        marker = codes[place + 1]
        if marker == 0xFF:  # a fill byte
            place += 1
        elif marker in _FRAME_STARTS:
            return int.from_bytes(codes[place + 5 : place + 7], "big"), int.from_bytes(
                codes[place + 7 : place + 9], "big"
            )
        elif marker == _SCAN:
            return None
        else:
            place += 2 + int.from_bytes(codes[place + 2 : place + 4], "big")
    return None
