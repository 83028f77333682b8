"""Series that hold several volumes on one grid: echoes, phases, b values, reconstructions."""

import hashlib
import itertools
from collections import defaultdict

from imaging.io.dicom.dataset import decoding, open_dataset
from imaging.io.dicom.frames import DIFFERENCES, Frame
from medseg.errors import InputError

_CLOCK = ("SeriesTime", "AcquisitionTime")  # told by their order: times of the day belong to the patient's data


def split_volumes(frames: tuple[Frame, ...], same_place) -> list[tuple[tuple[Frame, ...], str]]:
    """The volumes that frames of one plane belong to.

    Where no two frames lie in one place they are one volume, whatever else differs. Otherwise the first attribute of
    ``DIFFERENCES`` that puts them into volumes without such pairs tells them apart, or all of them together. Copies of
    a slice, the same to the last bit, are left out.

    Args:
        frames: sorted by position.
        same_place: whether two frames lie in one place.

    Returns:
        Frames of each volume, and what tells it from the others.

    Raises:
        InputError: if slices lie in one place and nothing tells their volumes apart.
    """
    if not _doubles(frames, same_place):
        return [(frames, "")]
    varying = [name for name in DIFFERENCES if len({frame.differences.get(name, "") for frame in frames}) > 1]
    for names in [*((name,) for name in varying), tuple(varying)]:
        groups = _grouped(frames, names)
        if len(groups) > 1 and not any(_doubles(group, same_place) for group in groups.values()):
            return _worded(names, groups)
    kept = _without_copies(frames, same_place)
    doubles = _doubles(kept, same_place)
    if doubles:
        instance = frames[0].instance
        pairs = ", ".join(f"{first.name} and {second.name}" for first, second in doubles[:3])
        raise InputError(
            f"series {instance.series_number} {instance.modality} ({instance.series}): {len(doubles)} slices lie where "
            f"another does and nothing tells their volumes apart ({pairs}); take one of each pair away"
        )
    return [(kept, "")]


def _doubles(frames, same_place):
    return [(a, b) for a, b in itertools.pairwise(frames) if same_place(a, b)]


def _grouped(frames, names):
    groups = defaultdict(list)
    for frame in frames:
        groups[tuple(frame.differences.get(name, "") for name in names)].append(frame)
    return {values: tuple(groups[values]) for values in sorted(groups, key=lambda v: list(map(_natural, v)))}


def _natural(text):
    try:
        return 0, float(text), text
    except ValueError:
        return 1, 0.0, text


def _worded(names, groups):
    worded = []
    for number, (values, frames) in enumerate(groups.items(), start=1):
        if len(names) == 1 and names[0] not in _CLOCK:
            text = f"{DIFFERENCES[names[0]]} {values[0].replace(chr(92), ' ')}"
        else:
            text = f"volume {number} of {len(groups)}"
        worded.append((frames, text))
    return worded


def _without_copies(frames, same_place):
    kept = [frames[0]]
    for frame in frames[1:]:
        if not (same_place(kept[-1], frame) and _pixels(kept[-1]) == _pixels(frame)):
            kept.append(frame)
    return tuple(kept)


def _pixels(frame):
    """A digest of a single-frame file's pixels; frames of one file are no copies of each other."""
    if frame.instance.frames > 1:
        return frame.instance.uid, frame.index
    dataset = open_dataset(frame.instance.file)
    with decoding(frame.instance.file.name):
        return hashlib.sha256(dataset.get("PixelData") or b"").digest()
