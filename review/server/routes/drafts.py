"""Drafts: what is being drawn, safe from the moment that it is acknowledged."""

from dataclasses import asdict
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from review.server.described import NIFTI, answers, file_body
from review.server.requests import body_of, user_of, whole
from review.server.routes.cases import others
from review.server.routes.context import OneCase, Review
from review.server.routes.labels import nifti_answer
from review.store.drafts import Draft, discard_draft, read_draft, save_draft
from review.volumes.labels import label_bytes
from review.volumes.page_grid import on_page
from review.volumes.quick import quick_labels

router = APIRouter(prefix="/api")
Window = Annotated[str, Query(pattern="^[0-9A-Za-z-]{0,40}$", description='the window, "" for none')]


@router.put("/cases/{case_id}/draft", openapi_extra=file_body())
async def save(
    request: Request, review: Review, case: OneCase, base: str = "0", seq: str = "", window: Window = "", seen: str = ""
):
    """Keep a draft; once this answers, it is on the disk.

    ``window`` names who saves; ``seen`` is the WINDOW/SEQ of another window's draft that it replaces.
    """
    user = user_of(request)
    draft = Draft(user, whole(seq, "seq"), whole(base, "base"), "", window)
    content = await body_of(request)

    def keep():
        labels = review.parse_labels(case, content)
        # What the page sends is kept as it came; packing it again would take longer than all else.
        as_sent = content[:2] == b"\x1f\x8b" and quick_labels(content, on_page(review.grid(case))) is not None
        packed = content if as_sent else label_bytes(labels)
        kept = save_draft(review.database, review.workspace, case.id, draft, packed, seen)
        return {"draft": asdict(kept), "others": others(review, case.id, user)}

    return await run_in_threadpool(keep)


@router.get("/cases/{case_id}/draft", **answers(NIFTI))
def read(request: Request, review: Review, case: OneCase, of: str = ""):
    """One's own draft, or that of another user."""
    draft, packed = read_draft(review.database, review.workspace, case.id, of or user_of(request))
    headers = {
        "X-Seq": str(draft.seq),
        "X-Window": draft.window,
        "X-Base": str(draft.base),
        "X-User": quote(draft.user),
        "Cache-Control": "no-store",
    }
    return nifti_answer(request, packed, headers)


@router.delete("/cases/{case_id}/draft", status_code=204)
def discard(request: Request, review: Review, case: OneCase, window: Window = "", seen: str = ""):
    """Forget one's own draft: what this window saved, or the WINDOW/SEQ that it has seen."""
    discard_draft(review.database, review.workspace, case.id, user_of(request), window, seen)
    return Response(status_code=204)
