"""What a person decides about a case, with the files that other programs read."""

from dataclasses import replace

import numpy as np

from imaging.io.dicom.series import Series
from imaging.io.files import IMAGES
from imaging.io.image import image_bytes
from imaging.io.nifti import nifti_bytes
from imaging.scan import Scan
from medseg.atomic import write_durably
from medseg.errors import InputError
from review.errors import ConflictError, UnknownError
from review.service import Service
from review.store.audit import record
from review.store.cases import CORRECTED, Case
from review.store.drafts import read_draft, remove_draft
from review.store.versions import CORRECTION, Result, change_from, decide, save_result
from review.volumes.opened import series_of
from review.volumes.page_grid import is_picture, off_page


def correct(service: Service, case: Case, labels: Scan, base: int, user: str, seconds=None, reason="") -> dict:
    """Keep corrected labels as the newest version.

    Args:
        service: the review.
        case: the case.
        labels: on the page's grid.
        base: version that they were made from, 0 for none.
        user: who did.
        seconds: spent on it.
        reason: why.

    Returns:
        "version", "voxels_changed" and "dice" against the base; "warning" where a file for other programs could not be
        written.

    Raises:
        NewerVersionError: if somebody saved a version since.
    """
    before = service.label(case, base) if base else service.empty(case)
    change = change_from(base, before, labels, service.labels)
    result = Result(
        labels, CORRECTION, CORRECTED, user=user, seconds=seconds, reason=reason, volumes=service.volumes(case, labels)
    )
    version = save_result(service.database, service.workspace, case.id, result, change)
    done = {"version": version, "voxels_changed": change.voxels, "dice": change.dice}
    return done | write_final(service, case, labels, version, user)


def correct_by_draft(
    service: Service, case: Case, base: int, user: str, seconds=None, reason="", mark: str = ""
) -> dict:
    """The same of the user's own draft, which is removed afterwards; one that is saved meanwhile stays.

    Args:
        service, case, base, user, seconds, reason: as above.
        mark: ``Draft.mark`` of the draft that the user sees; "" for whichever is kept.

    Raises:
        ConflictError: if the user has no draft of the case, or another one than that.
    """
    try:
        draft, content = read_draft(service.database, service.workspace, case.id, user)
    except UnknownError:
        raise ConflictError(f"case {case.id}: {user} has no draft of it, so there is nothing to save") from None
    if mark not in ("", draft.mark):
        raise ConflictError(
            f"case {case.id}: another window of {user} saved draft {draft.mark} meanwhile, expected {mark}; load it",
            seq=draft.seq,
            window=draft.window,
        )
    done = correct(service, case, service.parse_labels(case, content), base, user, seconds, reason)
    remove_draft(service.database, service.workspace, case.id, user, draft)
    return done


def remove_draft_of(service: Service, case: Case, labels: Scan, user: str, mark: str = "") -> None:
    """Remove the user's draft once labels were kept as a version that it led to.

    Args:
        service: the review.
        case: the case.
        labels: what was kept, on the page's grid.
        user: who sent them.
        mark: ``Draft.mark`` of the draft that they were made from. Without it, or where another draft is kept, only one
            of the very same labels goes: anything else is somebody's work that no version holds.
    """
    try:
        draft, content = read_draft(service.database, service.workspace, case.id, user)
        led_here = mark == draft.mark or np.array_equal(service.parse_labels(case, content).voxels, labels.voxels)
    except InputError:  # there is none, or it cannot be read now: then it stays
        return
    if led_here:
        remove_draft(service.database, service.workspace, case.id, user, draft)


def accept_or_reject(
    service: Service, case: Case, action: str, version: int, user: str, seconds=None, reason=""
) -> dict:
    """Decide on the newest labels as they are; see ``review.store.versions.decide``."""
    decide(service.database, case, action, user, version, reason, seconds)
    done = {"version": version, "voxels_changed": 0, "dice": {label.name: 1.0 for label in service.labels[1:]}}
    if action != "accept":
        return done
    return done | write_final(service, case, service.label(case, version), version, user)


def write_final(service: Service, case: Case, labels: Scan, version: int, user: str) -> dict:
    """Write a case's decided labels for other programs: in the scan's own geometry, and as DICOM SEG of a series.

    The version itself is safe already, so what fails here is only told. Of two people who decide at once the newer
    version stays, whoever comes last.

    Returns:
        "warning", or nothing.
    """
    with service.finals_lock:
        if version < service.finals.get(case.id, 0):
            return {}
        service.finals[case.id] = version
        return _write_final(service, case, labels, user)


def _write_final(service, case, labels, user):
    grid = service.grid(case)
    own = off_page(labels, grid)
    try:
        if is_picture(grid) and not own.voxels.min() < 0:
            suffix, content = IMAGES[0], image_bytes(own, IMAGES[0])
        else:
            suffix, content = ".nii.gz", nifti_bytes(labels if is_picture(grid) else own, compressed=True)
        write_durably(service.workspace.final(case.id, suffix), content)
        series = series_of(case.files, grid.rank)
        if series is not None:
            write_durably(service.workspace.final(case.id, ".dcm"), seg_bytes(service, series, own, user))
    except (InputError, OSError) as error:
        text = str(error) if isinstance(error, InputError) else f"{error.strerror}"
        with service.database.change() as connection:
            record(connection, "export failed", user, case.id, error=text)
        return {"warning": f"saved, but the file for other programs could not be written: {text}"}
    return {}


def seg_bytes(service: Service, series: Series, own: Scan, user: str) -> bytes:
    """A DICOM Segmentation of labels that a person decided on."""
    from edge.dicom.objects import dicom_bytes, dicom_objects
    from edge.dicom.origin import origin_of

    _, segmenter = service.segmenter()
    (dataset,) = dicom_objects(replace(own, geometry=None), series, origin_of(segmenter.manifest))["seg"]
    for segment in dataset.SegmentSequence:
        segment.SegmentAlgorithmType = "SEMIAUTOMATIC"
    dataset.ContentCreatorName = "".join(letter for letter in user if letter not in "\\=")[:60]
    return dicom_bytes(dataset)
