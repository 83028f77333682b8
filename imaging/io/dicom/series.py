"""Which series and volumes a folder of DICOM files holds, and which of them the user means."""

from collections import defaultdict
from dataclasses import dataclass

from imaging.io.dicom.dataset import DicomFile
from imaging.io.dicom.frames import Frame, frames_of
from imaging.io.dicom.geometry import Planes, along_normal, frame_size, same_place
from imaging.io.dicom.sources import files_of
from imaging.io.dicom.volumes import split_volumes
from medseg.errors import InputError, UsageError
from medseg.untrusted import shown

MAX_LISTED = 40
MAX_PLANES = 1000  # of one series; radial acquisitions have some hundreds


@dataclass(frozen=True)
class Series:
    """A volume, or a single image: a series, or the part of one that is one echo, phase or orientation.

    Attributes:
        frames: its slices, sorted by position where they have one, else by number.
        selection: what tells it from other volumes of the series, "echo time, ms 20" for example; "" if it is alone.
        copies: files that were left out because they hold the same instance again.
    """

    frames: tuple[Frame, ...]
    selection: str = ""
    copies: int = 0

    @property
    def uid(self) -> str:
        """The Series Instance UID."""
        return self.frames[0].instance.series

    @property
    def modality(self) -> str:
        """ "CT", "MR", ..."""
        return self.frames[0].instance.modality

    @property
    def localizer(self) -> bool:
        """Whether its images are scouts."""
        return self.frames[0].instance.localizer

    @property
    def placed(self) -> bool:
        """Whether all slices say where they lie in the patient."""
        return all(frame.placed for frame in self.frames)

    @property
    def files(self) -> tuple[DicomFile, ...]:
        """The files of its slices, each once, in their order."""
        return tuple(dict.fromkeys(frame.instance.file for frame in self.frames))

    @property
    def name(self) -> str:
        """What a message calls it: its number and modality, and what tells it from others of the same series."""
        instance = self.frames[0].instance
        parts = [f"series {instance.series_number}" if instance.series_number else "series", self.modality]
        return " ".join(filter(None, parts)) + (f" ({self.selection})" if self.selection else "")

    def describe(self) -> str:
        """A line for a list: modality, size, description, unique identifier."""
        instance = self.frames[0].instance
        size = f"{len(self.frames)} x {instance.rows} x {instance.columns}"
        details = [self.selection, "localizer" if self.localizer else "", shown(instance.description, 40)]
        return f"{self.name.split(' (')[0]}  {size}  " + ", ".join(filter(None, details)) + f"  {self.uid}"


def find_series(source) -> tuple[Series, ...]:
    """The image series of a place, in order of series number.

    Reports, segmentations, presentation states and the like are passed over.

    Args:
        source: a folder, of which sub-folders are looked into too, a zip, a DICOMDIR, a file, or a sequence of files.

    Returns:
        A volume each: a series with several orientations, sizes, echoes or phases makes several.

    Raises:
        InputError: if there is none, a file is damaged, or a series mixes patients.
    """
    slices, copies, seen = defaultdict(list), defaultdict(int), set()
    objects = 0
    for file in files_of(source):
        objects += 1
        for frame in frames_of(file):
            instance = frame.instance
            if (instance.uid, frame.index) in seen and instance.uid:
                copies[instance.series] += 1
                continue
            seen.add((instance.uid, frame.index))
            slices[instance.series].append(frame)
    if not slices:
        reason = f"none of its {objects} DICOM files is an image" if objects else "no DICOM file"
        raise InputError(f"{_named(source)}: holds no image series ({reason}); give the folder of one")
    stacks = []
    for uid, frames in slices.items():
        _check_one_patient(frames)
        parts = _parts(frames)
        stacks += [Series(part, selection, copies[uid]) for part, selection in parts]
    return tuple(sorted(stacks, key=_order))


def choose(series, choice: str | None = None, source="", rank: int | None = None) -> Series:
    """The series that is meant.

    Args:
        series: as ``find_series`` returns them.
        choice: number in the list, from 1, or Series Instance UID; None takes the only one. Localizers do not count,
            nor, where a volume is wanted, single images beside one.
        source: what holds them, for messages.
        rank: spatial axes that are wanted, 2 or 3.

    Raises:
        UsageError: if there are several, with the list of them, or none is called so.
    """
    if choice is not None:
        return _by_name(series, choice.strip(), source)
    usual = [each for each in series if not each.localizer] or list(series)
    if rank != 2 and len(usual) > 1:
        usual = [each for each in usual if len(each.frames) > 1] or usual
    if len(usual) == 1:
        return usual[0]
    raise UsageError(f"{_named(source)}: holds several series; choose one by --series NUMBER or UID\n{listed(series)}")


def listed(series) -> str:
    """The lines of a list, numbered from 1."""
    lines = [f"  {number}  {each.describe()}" for number, each in enumerate(series, start=1)]
    more = [f"  and {len(lines) - MAX_LISTED} more"] if len(lines) > MAX_LISTED else []
    return "\n".join(lines[:MAX_LISTED] + more)


def _by_name(series, choice, source):
    if choice.isdecimal() and len(choice) < 6:
        if 1 <= int(choice) <= len(series):
            return series[int(choice) - 1]
        matches = []
    else:
        matches = [each for each in series if each.uid == choice]
        several = [each for each in matches if not each.localizer and len(each.frames) > 1]
        matches = several if len(several) == 1 else matches
    if len(matches) == 1:
        return matches[0]
    problem = "is of several volumes, choose by number" if matches else "is none of those here"
    raise UsageError(f"--series {choice}: {problem}, {_named(source)} holds\n{listed(series)}")


def _parts(frames):
    """The volumes of one series: frames and what tells them apart."""
    groups = list(_by_plane(frames))
    parts = []
    for number, group in enumerate(groups, start=1):
        orientation = f"orientation {number}" if len(groups) > 1 else ""
        if not all(frame.placed for frame in group):
            parts += [(part, orientation) for part in _unplaced(group)]
            continue
        group = tuple(sorted(group, key=lambda frame: (along_normal(frame), frame.instance.number, frame.index)))
        parts += [
            (part, ", ".join(filter(None, [orientation, text]))) for part, text in split_volumes(group, same_place)
        ]
    return parts


def _by_plane(frames):
    """Frames by size, orientation and spacing, in the order of their first ones."""
    groups: list[list[Frame]] = []
    planes: dict[tuple, Planes] = {}
    for frame in frames:
        size = frame_size(frame)
        if size not in planes:
            planes[size] = Planes()
        number = planes[size].find(frame)
        if number is None:
            if len(planes[size]) >= MAX_PLANES:
                raise InputError(
                    f"series {frame.instance.series_number} ({frame.instance.series}): its images have more than "
                    f"{MAX_PLANES} orientations, expected one or few; its headers are damaged"
                )
            planes[size].add(frame, len(groups))
            groups.append([])
            number = len(groups) - 1
        groups[number].append(frame)
    return groups


def _unplaced(frames):
    """Images without a place make no volume: each file is one scan of its own."""
    files = defaultdict(list)
    for frame in sorted(frames, key=lambda frame: (frame.instance.number, frame.index)):
        files[frame.instance.file].append(frame)
    return [tuple(part) for part in files.values()]


def _order(series):
    instance = series.frames[0].instance
    return instance.series_number, instance.series, series.localizer, -len(series.frames), instance.number


def _check_one_patient(frames):
    patients = {frame.instance.patient for frame in frames}
    if len(patients) > 1:
        instance = frames[0].instance
        raise InputError(
            f"series {instance.series_number} {instance.modality} ({instance.series}): its slices are of "
            f"{len(patients)} patients, expected one; give each patient's files by themselves"
        )


def _named(source):
    if isinstance(source, list | tuple):
        return ", ".join(map(str, source[:3])) + (", ..." if len(source) > 3 else "")
    return str(source)
