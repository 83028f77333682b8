"""``/activelearning/{strategy}``: the next case."""

import time

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool

from review.learning import next_case
from review.monailabel.routes.forms import checksum
from review.monailabel.stored import image_bytes, image_info, image_suffix
from review.server.described import json_body
from review.server.requests import json_of, user_of
from review.server.routes.context import Review
from review.store.cases import all_cases
from review.store.tags import add_image_notes

router = APIRouter(tags=["MONAI Label"])


@router.post("/activelearning/{strategy}", openapi_extra=json_body(False, client_id={"type": "string"}))
async def sample(request: Request, review: Review, strategy: str) -> dict:
    """A case that nobody decided on; {} where there is none."""
    params = await json_of(request)
    user = str(params.get("client_id") or user_of(request))[:80]
    loopback = request.app.state.settings.loopback

    def choose():
        case = next_case(all_cases(review.database), strategy)
        if case is None:
            return {}
        content = image_bytes(review, case)
        notes = {"strategy": {strategy: {"ts": int(time.time()), "client_id": user}}}
        add_image_notes(review.database, case.id, notes)
        # A client on this machine may open the file itself; others load it from /datastore/image.
        whole = len(case.files) == 1 and case.files[0].lower().endswith(image_suffix(case))
        return {
            **image_info(review, case),
            "id": case.id,
            "path": case.files[0] if loopback and whole else "",
            "checksum": checksum(content),
        }

    return await run_in_threadpool(choose)
