"""``/session/``: scans that a client works on without keeping them."""

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool

from medseg.untrusted import read_limited
from review.errors import WrongRequestError
from review.monailabel.routes.forms import read_form
from review.monailabel.routes.images import sent
from review.monailabel.sessions import session_json
from review.server.described import NIFTI, answers, form_body

router = APIRouter(tags=["MONAI Label"])
_LARGEST = 2**32


@router.put("/session/", openapi_extra=form_body(files=("files",)))
async def create(request: Request, expiry: int = 0) -> dict:
    """Begin a session with a scan, or the files of a DICOM series."""
    _, files = await read_form(request)
    given = files.get("files") or files.get("file") or []
    session = await run_in_threadpool(request.app.state.sessions.add, given, expiry)
    return {"session_id": session.name, "session_info": session_json(session)}


@router.get("/session/{session_id}", **answers("application/json", NIFTI))
def get(request: Request, session_id: str, update_ts: bool = False, image: bool = False):
    """What is known of a session, or its scan."""
    sessions = request.app.state.sessions
    if not image:
        return session_json(sessions.get(session_id, update_ts))
    try:
        with sessions.used(session_id, update_ts) as (session, scan):
            return sent(read_limited(scan, _LARGEST, "a scan"), session.image)
    except OSError:
        raise WrongRequestError("image: the session holds a series of several files") from None


@router.delete("/session/{session_id}")
def remove(request: Request, session_id: str) -> dict:
    """End a session."""
    return session_json(request.app.state.sessions.remove(session_id))
