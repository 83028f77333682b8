"""Smart tools."""

import threading
import time

import numpy as np
from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool

from imaging.scan import Scan
from medseg.untrusted import shown
from review.errors import ConflictError, WrongRequestError
from review.server.described import NIFTI, POINT, POINTS, answers, json_body
from review.server.requests import json_of, user_of, whole
from review.server.routes.context import OneCase, Review
from review.server.routes.labels import nifti_answer
from review.tools import apply_tool, parse_request
from review.volumes.labels import label_bytes

router = APIRouter(prefix="/api")
_DRAWN = json_body(
    label={"type": "integer", "needed": True},
    foreground=POINTS,
    background=POINTS,
    box={"anyOf": [{"type": "array", "items": POINT, "minItems": 2, "maxItems": 2}, {"type": "null"}]},
    axis={"enum": [0, 1, 2]},
    base={"anyOf": [{"const": "draft"}, {"type": "integer", "minimum": 0}, {"type": "null"}]},
)
_BUSY: set[tuple[str, str]] = set()
_GUARD = threading.Lock()


@router.post("/cases/{case_id}/tools/{tool}", openapi_extra=_DRAWN, **answers(NIFTI))
async def use_tool(request: Request, review: Review, case: OneCase, tool: str):
    """What a tool makes of points, strokes or a box: NIfTI, 1 where the label shall be."""
    data, user = await json_of(request), user_of(request)
    return await run_in_threadpool(_alone, request, review, case, tool, data, user)


def _alone(request, review, case, tool, data, user):
    key = case.id, user
    with _GUARD:
        if key in _BUSY:
            raise ConflictError("the tool still works on what was drawn before; wait for its answer")
        _BUSY.add(key)
    try:
        began = time.perf_counter()
        scan = review.page_scan(case)
        drawn = parse_request(data, scan.shape, tuple(label.value for label in review.labels))
        propose = None if review.manifest.regions else lambda: review.probabilities(case)
        mask = apply_tool(tool, drawn, scan, _base(review, case, data.get("base"), user), propose)
        packed = label_bytes(Scan(mask.astype(np.uint8)[..., None], scan.affine, scan.geometry))
        return nifti_answer(request, packed, {"X-Seconds": f"{time.perf_counter() - began:.3f}"})
    finally:
        with _GUARD:
            _BUSY.discard(key)


def _base(review, case, base, user):
    if base is None or base == 0:
        return None
    if base == "draft":
        return review.draft(case, user)
    if isinstance(base, bool) or not isinstance(base, int | str):
        raise WrongRequestError(f'base {shown(base)}: expected "draft", a version or null')
    return review.label(case, whole(base, "base", 1))
