"""The worklist, a case, who has it open, and what changed."""

import contextlib
import hashlib
import json
import threading
from collections import Counter

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from imaging.io.cases import case_name, check_case_name, is_scan, scan_suffix
from imaging.io.files import read
from medseg.atomic import write_durably
from medseg.errors import InputError
from medseg.untrusted import shown
from review.errors import ConflictError, WrongRequestError
from review.server.cases_json import case_details, case_json, previous_studies
from review.server.described import UNCHANGED, answers, file_body, json_body
from review.server.requests import body_of, json_of, user_of
from review.server.routes.context import OneCase, Review
from review.store.audit import audit_csv, record
from review.store.cases import STATES, add_sources, all_cases, get_case
from review.store.drafts import drafts_of
from review.store.versions import versions_of
from review.volumes.sources import Source
from review.worklist import ORDERS, ordered

router = APIRouter(prefix="/api")
MOST = 5000
_ARRIVING: set[str] = set()  # names of cases whose scan is being sent
_ARRIVING_LOCK = threading.Lock()


@router.get("/cases", responses=UNCHANGED)
def worklist(request: Request, review: Review, sort: str = "need", state: str = "", limit: int = 500, offset: int = 0):
    """The cases, what needs a person most first."""
    if sort not in ORDERS:
        raise WrongRequestError(f"sort {shown(sort)}: expected one of {', '.join(ORDERS)}")
    if state and state not in STATES:
        raise WrongRequestError(f"state {shown(state)}: expected one of {', '.join(STATES)}")
    if not 0 < limit <= MOST or not 0 <= offset < 2**31:
        raise WrongRequestError(f"limit {limit}, offset {offset}: expected 1 to {MOST}, and at least 0")
    cases = all_cases(review.database)
    drafts, previous = drafts_of(review.database), previous_studies(cases)
    chosen = ordered([case for case in cases if state in ("", case.state)], sort)
    counts = Counter(case.state for case in cases)
    unsegmented = counts["waiting"] + counts["segmenting"]
    content = {
        "total": len(chosen),
        "counts": dict(counts),
        "segmenting": {
            "done": len(cases) - unsegmented, "total": len(cases), "current": review.segmenting.current,
        },
        "cases": [
            case_json(review, case, drafts.get(case.id, []), previous.get(case.id))
            for case in chosen[offset : offset + limit]
        ],
    }  # fmt: skip
    etag = '"' + hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16] + '"'
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers={"ETag": etag})
    return JSONResponse(content, headers={"ETag": etag})


@router.post("/cases", status_code=201, openapi_extra=file_body())
async def upload(request: Request, review: Review, name: str = ""):
    """Take a scan, as the field ``file`` of a form or as the body with ``?name=FILE``."""
    if request.headers.get("content-type", "").startswith("multipart/"):
        async with request.form(max_files=1, max_fields=4) as form:
            file = form.get("file")
            if file is None or isinstance(file, str):
                raise WrongRequestError("file: missing; send the scan as a file of the form")
            name = name or (file.filename or "")
            content = await file.read()
    else:
        content = await body_of(request)
    return {"case": await run_in_threadpool(add_upload, review, name, content, user_of(request))}


def add_upload(review, name: str, content: bytes, user: str, case: str = "") -> dict:
    """Make a case of a scan that a client sent.

    Args:
        review: the review.
        name: of the file; its suffix says what it is, and only its last part counts.
        content: of the file.
        user: who sent it.
        case: what it is to be called; after the file by default.

    Raises:
        InputError: if it cannot be read as a scan of the network's axes and channels.
        ConflictError: if there is a case of that name.
        NoRoomError: if clients sent as much as they may, or the disk is nearly full.
    """
    file_name = name.replace("\\", "/").rsplit("/", 1)[-1]
    if not is_scan(file_name):
        raise WrongRequestError(f"name {shown(file_name)}: expected a scan, .nii.gz for example")
    case = case or case_name(file_name)
    check_case_name(case, "name")
    with _only_upload_of(case):
        if review.database.row("SELECT 1 FROM cases WHERE id = ?", case) is not None:
            raise ConflictError(f"case {case}: is there already; give the scan another name")
        with review.upload_room.taken(len(content)):
            _keep_scan(review, case, file_name, content)
    with review.database.change() as connection:
        record(connection, "upload scan", user, case)
    review.segmenting.wake()
    return case_json(review, get_case(review.database, case), [], None)


@contextlib.contextmanager
def _only_upload_of(case):
    """Of two scans that come at one moment under one name, the second must not take the place of the first."""
    key = case.casefold()
    with _ARRIVING_LOCK:
        if key in _ARRIVING:
            raise ConflictError(f"case {case}: is just being sent; give the scan another name")
        _ARRIVING.add(key)
    try:
        yield
    finally:
        with _ARRIVING_LOCK:
            _ARRIVING.discard(key)


def _keep_scan(review, case, file_name, content):
    """Keep a scan that can be read, and nothing of one that cannot, whatever the reason."""
    place = review.workspace.uploads / f"{case}{scan_suffix(file_name).lower()}"
    write_durably(place, content)
    try:
        scan = read(place, review.manifest.recipe.channels, review.manifest.recipe.nan)
        if scan.rank != review.manifest.recipe.rank:
            raise InputError(f"{file_name}: has {scan.rank} axes, expected {review.manifest.recipe.rank}")
        source = Source(case, (str(place),), None, {"upload": True})
        add_sources(review.database, (source,), complete=False)
    except BaseException as error:
        place.unlink(missing_ok=True)
        if isinstance(error, InputError):
            raise type(error)(str(error).replace(str(place), file_name)) from None
        raise


@router.get("/cases/{case_id}")
def one_case(review: Review, case: OneCase) -> dict:
    """A case with its geometry and versions."""
    return case_details(review, case, all_cases(review.database))


@router.get("/cases/{case_id}/versions")
def versions(review: Review, case: OneCase) -> dict:
    """The versions of its labels."""
    return {"versions": versions_of(review.database, case.id)}


@router.post("/cases/{case_id}/presence", openapi_extra=json_body(False, open={"type": "boolean"}))
async def presence(request: Request, review: Review, case: OneCase) -> dict:
    """Say that one has a case open, or closed it; answers who else has."""
    data, user = await json_of(request), user_of(request)
    if data.get("open", True) is False:
        review.presence.leave(case.id, user)
    elif review.presence.enter(case.id, user):
        await run_in_threadpool(_record_view, review, case, user)
    return {"others": others(review, case.id, user)}


def others(review, case: str, user: str) -> list[dict]:
    """Who else has a case open, and whether they have begun to draw."""
    drawing = {draft.user for draft in drafts_of(review.database, case).get(case, [])}
    seen = review.presence.others(case, user)
    return [{"user": name, "since": since, "draft": name in drawing} for name, since in sorted(seen.items())]


def _record_view(review, case, user):
    with review.database.change() as connection:
        record(connection, "view", user, case.id, case.version)


@router.get("/changes")
def changes(review: Review, since: int = 0) -> dict:
    """The cases that something happened to after ``since``, a number that an earlier answer gave."""
    newest = review.database.row("SELECT COALESCE(MAX(number), 0) AS newest FROM audit")["newest"]
    since = max(-1, min(since, 2**62))
    rows = review.database.rows("SELECT id FROM cases WHERE touched > ? ORDER BY touched", since)
    return {"counter": newest, "cases": [row["id"] for row in rows]}


@router.get("/audit.csv", **answers("text/csv"))
def audit(review: Review):
    """The audit trail."""
    return Response(
        audit_csv(review.database),
        media_type="text/csv",
        headers={"Content-Disposition": "attachment; filename=audit.csv"},
    )
