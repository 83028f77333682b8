"""``/datastore/image``: scans."""

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from imaging.io.cases import is_scan
from review.errors import ReviewError, UnknownError, WrongRequestError
from review.monailabel.routes.forms import checksum, params_of, read_form
from review.monailabel.stored import image_bytes, image_info, image_suffix
from review.server.described import NIFTI, answers, form_body
from review.server.requests import user_of
from review.server.routes.cases import add_upload
from review.server.routes.context import Review
from review.store.cases import get_case
from review.store.tags import add_image_notes

router = APIRouter(tags=["MONAI Label"])
_SCAN = form_body(("file",), ("file",), params={"type": "string", "description": "a JSON object"})


class KeptError(ReviewError):
    """Nothing that is reviewed is ever removed."""

    status = 403


def sent(content: bytes, name: str) -> Response:
    """A file as an answer."""
    safe = name.encode("ascii", "replace").decode().replace('"', "_")
    headers = {"Content-Disposition": f'attachment; filename="{safe}"'}
    return Response(content, media_type="application/octet-stream", headers=headers)


@router.get("/datastore/image", **answers(NIFTI))
def download(review: Review, image: str):
    """A scan."""
    case = get_case(review.database, image)
    return sent(image_bytes(review, case), f"{case.id}{image_suffix(case)}")


@router.head("/datastore/image", **answers())
def check(review: Review, image: str, check_sum: str = ""):
    """Whether there is a scan, and whether it has a checksum."""
    case = get_case(review.database, image)
    if check_sum and checksum(image_bytes(review, case)).split(":")[1] != check_sum.split(":")[-1].lower():
        raise UnknownError(f"image {case.id}: has another checksum")
    return Response()


@router.put("/datastore/", openapi_extra=_SCAN)
@router.put("/datastore/image", openapi_extra=_SCAN)
async def add(request: Request, review: Review, image: str = "") -> dict:
    """Take a scan."""
    fields, files = await read_form(request)
    if not files.get("file"):
        raise WrongRequestError("file: missing; send the scan as a file of the form")
    name, content = files["file"][0]
    params_of(fields)
    # ``?image=`` may be the name that the case gets, or that of the file.
    case = image if image not in ("", "None") and not is_scan(image) else ""
    made = await run_in_threadpool(add_upload, review, name, content, user_of(request), case)
    return {"image": made["id"]}


@router.get("/datastore/image/info")
def info(review: Review, image: str) -> dict:
    """What is known of a scan."""
    return image_info(review, get_case(review.database, image))


@router.put("/datastore/image/info", openapi_extra=form_body(info={"type": "string", "description": "a JSON object"}))
async def note(request: Request, review: Review, image: str) -> dict:
    """Add notes to a scan."""
    case = get_case(review.database, image)
    fields, _ = await read_form(request)
    return await run_in_threadpool(add_image_notes, review.database, case.id, params_of(fields, "info"))


@router.delete("/datastore/")
@router.delete("/datastore/image")
def remove(review: Review):
    """Refused: what is reviewed stays."""
    raise KeptError("scans are never removed here; take the file out of the folder that is reviewed")
