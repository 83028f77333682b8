"""Accept, reject, correct, reopen."""

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool

from review.corrections import accept_or_reject, correct_by_draft
from review.errors import WrongRequestError
from review.server.cases_json import case_json
from review.server.described import json_body
from review.server.requests import json_of, seconds_of, text_of, user_of, whole
from review.server.routes.context import OneCase, Review
from review.store.cases import get_case
from review.store.drafts import drafts_of
from review.store.versions import ACTIONS

router = APIRouter(prefix="/api")
_DECISION = json_body(
    action={"enum": ["correct", *ACTIONS], "needed": True},
    draft={"type": "string", "description": "WINDOW/SEQ of the draft that is meant; any by default"},
    version={"type": "integer", "minimum": 0, "needed": True},
    reason={"type": "string", "maxLength": 2000},
    seconds={"type": "number", "minimum": 0, "maximum": 1e6},
)


@router.post("/cases/{case_id}/decision", openapi_extra=_DECISION)
async def decision(request: Request, review: Review, case: OneCase) -> dict:
    """Decide on the newest version of a case's labels."""
    data, user = await json_of(request), user_of(request)
    action = text_of(data.get("action"), "action", 40)
    reason, seconds = text_of(data.get("reason"), "reason"), seconds_of(data.get("seconds"))
    draft = text_of(data.get("draft"), "draft", 80)
    if "version" not in data:
        raise WrongRequestError("version: missing; send the version that the decision is about")
    version = whole(data["version"] or 0, "version")

    def decide():
        if action == "correct":
            done = correct_by_draft(review, case, version, user, seconds, reason, draft)
        else:
            done = accept_or_reject(review, case, action, version, user, seconds, reason)
        drafts = drafts_of(review.database, case.id).get(case.id, [])
        return {"case": case_json(review, get_case(review.database, case.id), drafts, None), **done}

    return await run_in_threadpool(decide)
