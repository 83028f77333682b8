"""Cases as the page gets them."""

from dataclasses import asdict

import numpy as np

from review.service import Service
from review.store.cases import Case
from review.store.drafts import Draft, drafts_of
from review.store.versions import versions_of
from review.volumes.page_grid import on_page
from review.worklist import age_hours, need


def case_json(service: Service, case: Case, drafts: list[Draft], previous: str | None) -> dict:
    """A row of the worklist as plain JSON types.

    Args:
        service: the review.
        case: the case.
        drafts: of it, the newest first.
        previous: the case of the same patient's study before, or None.
    """
    return {
        "id": case.id,
        "state": case.state,
        "need": need(case),
        "quality": case.quality,
        "flags": list(case.flags),
        "error": case.error,
        "added": case.added,
        "age_hours": round(age_hours(case), 2),
        "changed": case.changed,
        "version": case.version,
        "user": case.user,
        "reason": case.reason,
        "draft": asdict(drafts[0]) if drafts else None,
        "open_by": sorted(service.presence.others(case.id)),
        "modality": case.origin.get("modality") or None,
        "patient": case.origin.get("patient") or None,
        "previous": previous,
    }


def case_details(service: Service, case: Case, cases: list[Case]) -> dict:
    """A case with what the page needs to show it.

    Args:
        service: the review.
        case: the case.
        cases: all of them, for the study before.

    Raises:
        UnavailableError: if its scan cannot be read.
    """
    drafts = drafts_of(service.database, case.id).get(case.id, [])
    opened = service.scans.get(case.files)
    page = on_page(opened.scan)
    return case_json(service, case, drafts, previous_studies(cases).get(case.id)) | {
        "rank": opened.scan.rank,
        "shape": list(page.shape),
        "spacing": [round(float(size), 6) for size in page.spacing],
        "affine": np.round(page.affine, 9).tolist(),
        "channels": opened.scan.channels,
        "rgb": is_colour(opened.scan),
        "window": {"low": opened.window[0], "high": opened.window[1]},
        "volumes_ml": case.volumes,
        "versions": versions_of(service.database, case.id),
        "drafts": [asdict(draft) for draft in drafts],
    }


def is_colour(scan) -> bool:
    """Whether a scan is a coloured picture."""
    return scan.rank == 2 and scan.channels == 3


def previous_studies(cases: list[Case]) -> dict[str, str]:
    """Case to the case of the same patient's last study before it, where DICOM tells."""
    by_patient: dict[str, list[Case]] = {}
    for case in cases:
        if case.origin.get("patient") and case.origin.get("study_date"):
            by_patient.setdefault(case.origin["patient"], []).append(case)
    before = {}
    for group in by_patient.values():
        for case in group:
            earlier = [c for c in group if c.origin["study_date"] < case.origin["study_date"]]
            if earlier:
                before[case.id] = max(earlier, key=lambda c: (c.origin["study_date"], c.id)).id
    return before
