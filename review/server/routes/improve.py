"""The next version: start, watch, stop, promote, refuse, roll back."""

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse

from medseg.untrusted import shown
from review.errors import WrongRequestError
from review.improvement.improver import Improver, improve_json
from review.server.described import json_body
from review.server.requests import json_of, text_of, user_of, whole
from review.store.artifacts import active

router = APIRouter(prefix="/api/improve")
_VERSION = {"type": "integer", "minimum": 1, "needed": True}
_START = json_body(False, epochs={"type": "integer", "minimum": 1}, minutes={"type": "number", "exclusiveMinimum": 0})


def improver_of(request: Request) -> Improver:
    """What makes the next version."""
    return request.app.state.improver


@router.get("")
def progress(request: Request) -> dict:
    """How far it is, and what would be trained on."""
    return improve_json(improver_of(request))


@router.post("", status_code=202, openapi_extra=_START)
async def start(request: Request):
    """Begin."""
    data, user = await json_of(request), user_of(request)
    epochs = None if data.get("epochs") is None else whole(data["epochs"], "epochs", 1)
    minutes = data.get("minutes")
    if minutes is not None and not (type(minutes) in (int, float) and 0 < minutes < 1e5):
        raise WrongRequestError(f"minutes {shown(minutes)}: expected a number above 0")
    if epochs is not None and minutes is not None:
        raise WrongRequestError("epochs and minutes: give one of them")
    await run_in_threadpool(improver_of(request).start, user, epochs, minutes)
    return JSONResponse(improve_json(improver_of(request)), 202)


@router.delete("")
def stop(request: Request) -> dict:
    """Stop it."""
    improver_of(request).stop()
    return improve_json(improver_of(request))


@router.post("/promote", openapi_extra=json_body(version=_VERSION))
async def promote(request: Request) -> dict:
    """Let a version segment from now on."""
    data = await json_of(request)
    version = whole(data.get("version"), "version", 1)
    await run_in_threadpool(improver_of(request).promote, version, user_of(request))
    return _active(request)


@router.post("/refuse", openapi_extra=json_body(version=_VERSION, reason={"type": "string"}))
async def refuse(request: Request) -> dict:
    """Refuse a version."""
    data = await json_of(request)
    version, reason = whole(data.get("version"), "version", 1), text_of(data.get("reason"), "reason")
    await run_in_threadpool(improver_of(request).refuse, version, user_of(request), reason)
    return _active(request)


@router.post("/rollback", openapi_extra=json_body(version=_VERSION))
async def rollback(request: Request) -> dict:
    """Go back to a version that segmented before."""
    data = await json_of(request)
    version = whole(data.get("version"), "version", 1)
    await run_in_threadpool(improver_of(request).rollback, version, user_of(request))
    return _active(request)


def _active(request):
    return {"active": active(improver_of(request).service.database).version}
