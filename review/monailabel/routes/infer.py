"""``/infer/{model}``."""

import shutil
import tempfile

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool

from imaging.io.cases import is_scan, scan_suffix
from medseg.errors import InputError
from medseg.untrusted import shown
from review.errors import WrongRequestError
from review.monailabel.infer import OUTPUTS, Job, answer, infer
from review.monailabel.models import get_model
from review.monailabel.routes.forms import params_of, read_form
from review.room import check_free
from review.server.described import NIFTI, answers, form_body
from review.server.routes.context import Review
from review.store.cases import get_case

router = APIRouter(tags=["MONAI Label"])
_SENT = form_body(files=("label", "file"), params={"type": "string", "description": "a JSON object"})


@router.post("/infer/{model}", openapi_extra=_SENT, **answers("application/json", "multipart/form-data", NIFTI))
async def run(request: Request, review: Review, model: str, image: str = "", session_id: str = "", output: str = ""):
    """Run a model on a case (``?image=``), on a session's scan, or on a scan that comes with the request."""
    chosen = get_model(review, model)
    if output and output not in OUTPUTS:
        raise WrongRequestError(f"output {shown(output)}: expected one of {', '.join(OUTPUTS)}")
    fields, files = await read_form(request)
    params = params_of(fields)
    label = files["label"][0][1] if files.get("label") else None
    sessions = request.app.state.sessions

    def work(place):
        if session_id:
            with sessions.used(session_id) as (_, scan):
                return _answered(review, chosen, Job((scan,), None, params, label), output)
        if files.get("file"):
            name, content = files["file"][0]
            check_free(place, len(content), review.room.free_bytes)
            return _answered(review, chosen, Job((_kept(place, name, content),), None, params, label), output)
        if image:
            case = get_case(review.database, image)
            return _answered(review, chosen, Job(case.files, case, params, label), output)
        raise WrongRequestError("image: missing; name a case, a session or send a scan as the file of the form")

    def in_folder():
        review.workspace.incoming.mkdir(parents=True, exist_ok=True)
        place = tempfile.mkdtemp(dir=review.workspace.incoming)
        try:
            return work(place)
        except InputError as error:
            raise _named(error, place) from None
        finally:
            shutil.rmtree(place, ignore_errors=True)

    return await run_in_threadpool(in_folder)


def _answered(review, model, job, output):
    labels, params = infer(review, model, job)
    return answer(review, job, labels, params, output or None)


def _kept(place, name, content):
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    suffix = scan_suffix(last).lower() if is_scan(last) else ".zip" if last.lower().endswith(".zip") else ".dcm"
    path = f"{place}/scan{suffix}"
    with open(path, "wb") as file:
        file.write(content)
    return path


def _named(error, place):
    """The same error without the server's temporary folder in it."""
    if place not in str(error):
        return error
    text = str(error).replace(f"{place}/", "")
    return type(error)(text, **error.facts) if hasattr(error, "facts") else type(error)(text)
