"""Which cases a folder holds: scans, a dataset folder with its labels, or DICOM series."""

import hashlib
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from edge.cases import scans_of
from imaging.io.cases import case_name, check_case_name, owner, scans_in
from imaging.io.dicom.dataset import decoding, open_dataset
from imaging.io.dicom.reference import dicom_reference
from imaging.io.dicom.series import Series, find_series
from imaging.io.dicom.sources import files_of
from medseg.errors import InputError

# Folders of a dataset: images that may have labels, and where those lie.
_DATASET = (("images", "labels"), ("imagesTr", "labelsTr"), ("imagesTs", "labelsTs"))


# Where a node keeps what it received; a series is taken for complete when it has not grown for a while.
NODE_RECEIVED = "received"
QUIET_S = 30.0


@dataclass(frozen=True)
class Source:
    """A case as it lies in the folder.

    Attributes:
        name: of the case, which a file may be called by on every system.
        files: of the scan, one a channel; or ``folder#UID`` of a DICOM series.
        label: file of labels that the folder holds for it, or None.
        origin: what DICOM says of where it comes from: modality, scanner, site, study date, pseudonym of the patient.
    """

    name: str
    files: tuple[str, ...]
    label: str | None = None
    origin: dict = field(default_factory=dict)


def find_sources(folder, channels: int, rank: int, salt: str = "") -> tuple[Source, ...]:
    """The cases of a folder, sorted by name.

    Args:
        folder: of scans, or with ``images`` and ``labels`` (or ``imagesTr``, ``imagesTs``) in it, or of DICOM files, or
            that of a node (``zoo-edge serve``), of which the received series count once they are complete.
        channels: that the network takes.
        rank: spatial axes that it takes.
        salt: makes the pseudonyms of patients; the same for the same review.

    Raises:
        InputError: if it holds no case, or two of one name.
    """
    folder = Path(folder)
    node = folder / NODE_RECEIVED
    if node.is_dir() and next(iter(files_of(node, 1)), None):
        return tuple(sorted(_series(node, rank, salt, QUIET_S), key=lambda source: source.name))
    if scans_in(folder):
        return _files(folder, folder / "labels", channels)
    parts = [(folder / images, folder / labels) for images, labels in _DATASET if scans_in(folder / images)]
    if parts:
        sources = [source for images, labels in parts for source in _files(images, labels, channels)]
    else:
        sources = list(_series(folder, rank, salt)) if next(iter(files_of(folder, 1)), None) else []
    if not sources:
        raise InputError(
            f"{folder}: holds no scan; give a folder of scans, a dataset folder (images/, imagesTr/) or a folder of "
            "DICOM files"
        )
    _check_unique(sources, folder)
    return tuple(sorted(sources, key=lambda source: source.name))


def _files(images, labels, channels):
    cases = scans_of(images, channels)
    names = {name for name, _ in cases}
    label_of = {}
    for path in scans_in(labels):
        name = owner(case_name(path), names)
        if name is not None:
            label_of.setdefault(name, str(path))
    for name, files in cases:
        check_case_name(name, files[0])
    return tuple(Source(name, tuple(map(str, files)), label_of.get(name)) for name, files in cases)


def _series(folder, rank, salt, quiet_s=0.0) -> Iterable[Source]:
    for series in find_series(folder):
        if series.localizer or (rank == 3 and len(series.frames) == 1) or (rank == 2 and len(series.frames) > 1):
            continue
        if quiet_s and time.time() - max(file.path.stat().st_mtime for file in series.files) < quiet_s:
            continue
        key = _digest(series.uid, series.selection, *(frame.instance.uid for frame in series.frames[:1]))
        # The header is a stranger's, and one series whose name cannot be a file's would stop the whole review.
        kind = "".join(letter for letter in series.modality if letter.isascii() and letter.isalnum())[:16]
        name = f"{kind or 'series'}-{series.frames[0].instance.series_number}-{key}"
        place = str(dicom_reference(folder, series.uid)) if rank == 3 else str(series.files[0].path)
        yield Source(name, (place,), None, _origin(series, salt))


def _origin(series: Series, salt) -> dict:
    header = open_dataset(series.files[0], pixels=False)

    def text(keyword):
        with decoding(series.files[0].name):
            value = str(header.get(keyword) or "").strip()
        return "".join(letter for letter in value if letter.isprintable())[:80]

    patient = text("PatientID")
    return {
        "modality": series.modality,
        "scanner": " ".join(filter(None, [text("Manufacturer"), text("ManufacturerModelName")])),
        "site": text("InstitutionName"),
        "study_date": text("StudyDate"),
        "patient": _digest(salt, patient) if patient else "",
    }


def _digest(*parts) -> str:
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:8]


def _check_unique(sources, folder):
    seen = {}
    for source in sources:
        key = source.name.casefold()
        if key in seen:
            raise InputError(
                f"{folder}: two scans make case {source.name}: {seen[key]} and {source.files[0]}; rename one"
            )
        seen[key] = source.files[0]
