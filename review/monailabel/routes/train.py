"""``/train/``: the next version, as MONAI Label's clients start, ask about and stop it."""

import uuid

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool

from medseg.untrusted import shown
from review.errors import UnknownError, WrongRequestError
from review.improvement.improver import FAILED, IDLE, RUNNING, STOPPED, improve_json
from review.monailabel.models import SEGMENTATION, get_model
from review.monailabel.tasks import clock
from review.server.described import json_body
from review.server.requests import json_of, user_of
from review.server.routes.context import Review
from review.server.routes.improve import improver_of

router = APIRouter(prefix="/train", tags=["MONAI Label"])
_START = json_body(False, client_id={"type": "string"}, max_epochs={"type": "integer", "minimum": 1})
_STATUS = {FAILED: "ERROR", STOPPED: "STOPPED"}


@router.post("/", openapi_extra=_START)
@router.post("/{model}", openapi_extra=_START)
async def start(request: Request, review: Review, model: str = ""):
    """Begin; too few cases are told by the status."""
    if model and get_model(review, model).type != SEGMENTATION:
        raise WrongRequestError(f"model {model}: expected one of a network")
    params = await json_of(request)
    user = str(params.get("client_id") or user_of(request))[:80]
    epochs = params.get("max_epochs") or None
    if epochs is not None and not (type(epochs) is int and epochs > 0):
        raise WrongRequestError(f"max_epochs {shown(epochs)}: expected a whole number above 0")
    await run_in_threadpool(improver_of(request).start, user, epochs, None, False)
    request.app.state.training = {"id": str(uuid.uuid4()), "start_ts": clock(), "model": model}
    return _task(request) | {"status": "RUNNING"}  # which it was when it began, however soon it failed


@router.get("/")
def status(request: Request, all: bool = False, check_if_running: bool = False):
    """The training: 404 where none was started, or none runs and only that was asked."""
    state = improver_of(request).progress.state
    if state == IDLE or (check_if_running and state not in RUNNING):
        raise UnknownError("train: no training is running")
    return [_task(request)] if all else _task(request)


@router.delete("/")
def stop(request: Request) -> dict:
    """Stop it."""
    if improver_of(request).progress.state not in RUNNING:
        return {}
    improver_of(request).stop()
    return _task(request)


def _task(request):
    known = improve_json(improver_of(request))
    state = known["state"]
    kept = getattr(request.app.state, "training", {"id": "", "start_ts": "", "model": ""})
    status = "RUNNING" if state in RUNNING else _STATUS.get(state, "DONE")
    return {**kept, "status": status, "details": [*known["log"][-19:], known["text"]], "stage": state}
