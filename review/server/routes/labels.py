"""Versions of labels: read, and saved in one call."""

import gzip

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from review.corrections import correct, remove_draft_of
from review.errors import WrongRequestError
from review.server.described import NIFTI, answers, file_body
from review.server.requests import body_of, seconds_of, text_of, user_of, whole
from review.server.routes.context import OneCase, Review
from review.store.cases import get_case

router = APIRouter(prefix="/api")
_IF_MATCH = {
    "name": "If-Match", "in": "header", "required": True, "schema": {"type": "integer", "minimum": 0},
    "description": "the version that the label was made from, 0 for none",
}  # fmt: skip


def nifti_answer(request: Request, packed: bytes, headers: dict) -> Response:
    """A gzipped NIfTI file as an uncompressed one, left packed on the way where the client unpacks it."""
    headers = {"Vary": "Accept-Encoding", **headers}
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(packed, media_type="application/octet-stream", headers={"Content-Encoding": "gzip", **headers})
    return Response(gzip.decompress(packed), media_type="application/octet-stream", headers=headers)


@router.get("/cases/{case_id}/label.nii", **answers(NIFTI))
def label(request: Request, review: Review, case: OneCase, version: int | None = None):
    """A version of the labels, the newest by default."""
    number, packed = review.label_content(case, version)
    return nifti_answer(request, packed, {"ETag": f'"{number}"', "X-Version": str(number), "Cache-Control": "no-cache"})


@router.put("/cases/{case_id}/label", openapi_extra=file_body(_IF_MATCH))
async def save(request: Request, review: Review, case: OneCase):
    """Save corrected labels; ``If-Match`` names the version that they were made from.

    The sender's draft stays, unless it is the same labels or ``draft`` is its WINDOW/SEQ.
    """
    if "if-match" not in request.headers:
        raise WrongRequestError("If-Match: missing; send the version that the label was made from, 0 for none")
    base = whole(request.headers["if-match"], "If-Match")
    user, query = user_of(request), request.query_params
    seconds, reason = seconds_of(query.get("seconds")), text_of(query.get("reason"), "reason")
    mark = text_of(query.get("draft"), "draft", 80)
    content = await body_of(request)

    def keep():
        labels = review.parse_labels(case, content)
        done = correct(review, case, labels, base, user, seconds, reason)
        remove_draft_of(review, case, labels, user, mark)
        return done | {"state": get_case(review.database, case.id).state}

    return await run_in_threadpool(keep)
