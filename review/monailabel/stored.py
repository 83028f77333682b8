"""The cases of a review as MONAI Label's datastore describes them."""

import datetime

from imaging.io.cases import scan_suffix
from imaging.io.nifti import nifti_bytes
from medseg.untrusted import read_limited
from review.errors import UnavailableError
from review.service import Service
from review.store.cases import Case, all_cases
from review.store.tags import FINAL, image_notes, tags_of
from review.volumes.page_grid import on_page

_AS_THEY_ARE = (".nii", ".nii.gz", ".nrrd")
_LARGEST = 2**32


def image_suffix(case: Case) -> str:
    """The suffix under which a case's scan is sent."""
    known = scan_suffix(case.files[0]).lower()
    return known if len(case.files) == 1 and known in _AS_THEY_ARE else ".nii.gz"


def image_bytes(service: Service, case: Case) -> bytes:
    """A case's scan as a file: as it lies there where it is one volume, else as NIfTI on the page's grid.

    Raises:
        UnavailableError: if it cannot be read any more.
    """
    if len(case.files) == 1 and scan_suffix(case.files[0]).lower() in _AS_THEY_ARE:
        try:
            return read_limited(case.files[0], _LARGEST, "a scan")
        except OSError as error:
            raise UnavailableError(f"case {case.id}: the scan cannot be read ({error.strerror})") from None
    return nifti_bytes(on_page(service.scan_of(case.files)), compressed=True)


def status_json(service: Service) -> dict:
    """How many cases there are, and how many are decided on."""
    tags = tags_of(service.database)
    counts: dict[str, int] = {}
    for of_case in tags.values():
        for tag in of_case:
            counts[tag] = counts.get(tag, 0) + 1
    cases = all_cases(service.database)
    return {"total": len(cases), "completed": sum(FINAL in tags.get(c.id, {}) for c in cases), "label_tags": counts}


def all_json(service: Service) -> dict:
    """Every case with its labels by tag."""
    tags = tags_of(service.database)
    objects = {
        case.id: {
            "image": {"ext": image_suffix(case), "info": image_info(service, case)},
            "labels": {
                tag: {"ext": ".nii.gz", "info": {"version": version, "name": f"{case.id}.nii.gz", **info}}
                for tag, (version, info) in tags.get(case.id, {}).items()
            },
        }
        for case in all_cases(service.database)
    }
    scans = service.workspace.scans.name
    return {
        "name": scans,
        "description": f"Review of {scans}",
        "images_dir": "",
        "labels_dir": "labels",
        "objects": objects,
    }


def train_json(service: Service) -> list[dict]:
    """Scan and label of each case that is decided on, as addresses below this server."""
    tags = tags_of(service.database)
    return [
        {"image": f"/datastore/image?image={case.id}", "label": f"/datastore/label?label={case.id}&tag={FINAL}"}
        for case in all_cases(service.database)
        if FINAL in tags.get(case.id, {})
    ]


def image_info(service: Service, case: Case) -> dict:
    """What is known of a scan."""
    added = int(datetime.datetime.fromisoformat(case.added).timestamp())
    known = {"ts": added, "name": f"{case.id}{image_suffix(case)}", "state": case.state}
    return known | image_notes(service.database, case.id)
