"""``/scoring/`` and ``/batch/infer``: work in the background."""

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool

from medseg.errors import InputError
from medseg.untrusted import shown
from review.errors import UnknownError, WrongRequestError
from review.monailabel.models import SEGMENTATION, get_model
from review.scoring import dice_in_service
from review.segmenting import segment_case
from review.server.described import json_body
from review.server.requests import json_of
from review.server.routes.context import Review
from review.store.cases import DECIDED, all_cases
from review.store.tags import FINAL, ORIGINAL, tags_of

router = APIRouter(tags=["MONAI Label"])
IMAGES = ("unlabeled", "labeled", "all")


@router.post("/scoring/{method}", openapi_extra=json_body(False))
async def score(request: Request, review: Review, method: str):
    """Compare the network's labels with those decided on."""
    if method != "dice":
        raise UnknownError(f"method {shown(method)}: expected dice")
    await json_of(request)

    def work(tell, stop):
        scores = dice_in_service(review.database, [label.name for label in review.labels[1:]])
        tell(f"dice: {scores}")
        return scores

    return request.app.state.tasks["scoring"].start(method, work)


@router.post("/batch/infer/{model}", openapi_extra=json_body(False))
async def batch(request: Request, review: Review, model: str, images: str = "all"):
    """Segment many cases again; what a person decided on stays."""
    chosen = get_model(review, model)
    if chosen.type != SEGMENTATION:
        raise WrongRequestError(f"model {model}: expected one that segments without clicks")
    if images not in IMAGES:
        raise WrongRequestError(f"images {shown(images)}: expected one of {', '.join(IMAGES)}")
    await json_of(request)

    def work(tell, stop):
        tags = tags_of(review.database)
        cases = [case for case in all_cases(review.database) if case.state not in DECIDED]
        labelled = {"unlabeled": False, "labeled": True}.get(images)
        cases = [
            c for c in cases if labelled is None or bool(tags.get(c.id, {}).keys() & {FINAL, ORIGINAL}) == labelled
        ]
        for number, case in enumerate(cases, 1):
            if stop.is_set():
                break
            try:
                segment_case(review, case, stop, chosen.artifact)
                tell(f"{number} of {len(cases)}: {case.id}")
            except InputError as error:
                tell(f"{number} of {len(cases)}: {case.id}: {error}")
        return {"cases": len(cases)}

    return await run_in_threadpool(request.app.state.tasks["batch"].start, model, work)


def _add(path, kind):
    """Status and stop of a kind of task."""

    @router.get(path, name=f"{kind} status")
    def status(request: Request, all: bool = False, check_if_running: bool = False):
        return request.app.state.tasks[kind].status(all, check_if_running)

    @router.delete(path, name=f"{kind} stop")
    def stop(request: Request):
        return request.app.state.tasks[kind].stop()


_add("/scoring/", "scoring")
_add("/batch/infer", "batch")
